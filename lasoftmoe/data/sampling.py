"""Which images make up each batch of an epoch: fixed by the seed and the epoch's number alone.

Nothing is remembered from one epoch to the next, so a training can go on at any batch, and the
number of worker processes that load the images changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from torch import Tensor
from torch.utils.data import Sampler

Sampling = Literal["uniform", "class_balanced"]


def epoch_order(is_attack: Tensor, seed: int, epoch: int, sampling: Sampling) -> np.ndarray:
    """The order in which an epoch goes through the images, as row numbers.

    ``"uniform"`` is every image once. ``"class_balanced"`` alternates between live images and
    attacks: the rarer class is repeated and the other one is cut, differently in each epoch, to
    half of the number of images each.

    Args:
        is_attack: bool, (images,).
        seed: of the training.
        epoch: its number, from 0.
        sampling: one of the two.

    Raises:
        ValueError: ``"class_balanced"`` with images of one class only.
    """
    generator = np.random.default_rng([seed, epoch])
    if sampling == "uniform":
        return generator.permutation(len(is_attack))
    attack = is_attack.numpy()
    classes = [np.flatnonzero(~attack), np.flatnonzero(attack)]
    if not all(len(rows) for rows in classes):
        raise ValueError(
            f"class_balanced sampling needs live images and attacks; of {len(attack)} training "
            f"images {int(attack.sum())} are attacks"
        )
    half = len(attack) // 2
    return np.stack([_repeated(rows, half, generator) for rows in classes], axis=1).ravel()


def _repeated(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` of ``rows``: all of them in random order, as often as it takes."""
    rounds = -(-count // len(rows))
    return np.concatenate([generator.permutation(rows) for _ in range(rounds)])[:count]


class EpochBatches(Sampler[list[int]]):
    """The batches of one epoch as lists of row numbers, for a ``DataLoader``'s ``batch_sampler``.

    Several processes share a training so that each of their steps sees the very images that one
    process would see with a batch as large as all of theirs together. Images that do not fill the
    last batch are left out, since the contrastive losses depend on the size of a batch.

    Set ``epoch``, and ``first`` (the batch to begin with), before iterating.
    """

    def __init__(
        self,
        is_attack: Tensor,
        batch_size: int,
        seed: int,
        sampling: Sampling = "uniform",
        processes: int = 1,
        process: int = 0,
    ) -> None:
        """``batch_size`` is that of one process; ``process`` counts from 0."""
        self.is_attack, self.batch_size, self.seed = is_attack, batch_size, seed
        self.sampling, self.processes, self.process = sampling, processes, process
        self.epoch = self.first = 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        images = len(self.is_attack)
        if self.sampling == "class_balanced":
            images -= images % 2
        return images // (self.batch_size * self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        order = epoch_order(self.is_attack, self.seed, self.epoch, self.sampling)
        for batch in range(self.first, len(self)):
            start = (batch * self.processes + self.process) * self.batch_size
            yield order[start : start + self.batch_size].tolist()
