"""A second face recognizer, to measure whether attacks on the surrogate transfer.

The surrogate has plain strided convolutions with ReLU. This network has residual blocks, average
pooling, a smooth activation, and other widths, and is trained on other people.
``python -m data_prep surrogate --network second`` trains it.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from data_prep.synthetic.attacks.surrogate import WEIGHTS as SURROGATE_WEIGHTS
from data_prep.synthetic.attacks.surrogate_training import Recognizer, SurrogateTraining

WEIGHTS = SURROGATE_WEIGHTS.with_name("second_recognizer.safetensors")
_WIDTHS = (20, 48, 64, 80)


class SecondRecognizer(nn.Module):
    """Network from images (batch, 3, 96, 96), sRGB in [0, 1], to unit embeddings (batch, dim)."""

    def __init__(self, dim: int = 48) -> None:
        super().__init__()
        self.dim = dim
        stem = nn.Conv2d(3, _WIDTHS[0], 5, 2, 2, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(_WIDTHS[0]), nn.SiLU()]
        for width, wider in itertools.pairwise(_WIDTHS):
            layers += [nn.AvgPool2d(2), nn.Conv2d(width, wider, 1, bias=False), _Residual(wider)]
        layers.append(nn.AvgPool2d(2))
        self.features = nn.Sequential(*layers)
        # 3 x 3 cells remain, because the position of a feature on the face tells who it is.
        self.embedding = nn.Sequential(nn.Flatten(), nn.Linear(9 * _WIDTHS[-1], dim, bias=False))
        self.center = nn.BatchNorm1d(dim, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.center(self.embedding(self.features(2 * images - 1)))
        return F.normalize(embedding, dim=1)


class _Residual(nn.Module):
    """Residual block with normalization and activation before the convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.BatchNorm2d(width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1, bias=False)
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.change(maps)


SECOND = Recognizer(
    "second", "second face recognizer, to which attacks may transfer", SecondRecognizer
)
TRAINING = SurrogateTraining(
    identities=160, captures=5, unseen_identities=40, unseen_captures=4, epochs=20
)
"""Shorter than the surrogate's: minutes on a laptop."""


@functools.cache
def load_second_recognizer(path: Path = WEIGHTS) -> SecondRecognizer:
    """Load the trained network, in evaluation mode and without gradients of its weights.

    Raises:
        ValueError: If the file is missing or its weights have another shape.
    """
    if not path.is_file():
        raise ValueError(
            f"no weights of the second recognizer at {path}; train them with `python -m data_prep "
            f"surrogate --network second --seed 1 --out {path}`"
        )
    network = SecondRecognizer()
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the second recognizer: {error}") from error
    return network.eval().requires_grad_(False)
