"""Random inputs of an exercise: a generator per seed, with sizes that differ from each other."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import torch
from torch import Tensor

BOOK_SECRET = b"the book"


class Draw:
    """Random numbers for one case of an exercise.

    Attributes:
        torch: generator of tensors.
        rng: generator of everything else.
    """

    def __init__(self, seed: int) -> None:
        self.torch = torch.Generator().manual_seed(seed)
        self.rng = np.random.default_rng(seed)

    def size(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def sizes(self, count: int, low: int, high: int) -> list[int]:
        """Return ``count`` different sizes, so that a wrong axis shows in the shape."""
        return (low + self.rng.permutation(high - low + 1)[:count]).tolist()

    def normal(self, *shape: int) -> Tensor:
        """Return a tensor of standard normal numbers."""
        return torch.randn(shape, generator=self.torch)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between ``low`` and ``high``."""
        return float(self.rng.uniform(low, high))


def draw(secret: bytes, *labels: str) -> Draw:
    """Return the random numbers that belong to ``labels`` under a secret.

    Nobody without the secret can tell the inputs of a hidden test, and nobody with it gets others.
    """
    digest = hmac.new(secret, "/".join(labels).encode(), hashlib.sha256).digest()
    return Draw(int.from_bytes(digest[:7], "big"))
