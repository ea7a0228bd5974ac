"""The face recognizer that adversarial attacks are computed on.

A small convolutional network that maps a picture to a point on the unit sphere, trained to tell
identities apart (softmax over the cosines to one direction per identity, as in NormFace, Wang et
al. 2017). Its identities come from a seed of their own: no subject of a dataset is among them.
``python -m data_prep surrogate`` trains it and writes the weights and a card with what it can do.
"""

from __future__ import annotations

import functools
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).parent / "weights" / "surrogate.safetensors"
_WIDTHS = (32, 64, 96)


class Surrogate(nn.Module):
    """Pictures (batch, 3, 96, 96), sRGB in [0, 1], to embeddings of length 1, (batch, dim)."""

    def __init__(self, dim: int = 64) -> None:
        super().__init__()
        self.dim = dim
        channels = 16
        layers = [_convolution(3, channels, stride=2)]
        for width in _WIDTHS:
            layers += [_convolution(channels, width, stride=2), _convolution(width, width)]
            channels = width
        self.features = nn.Sequential(*layers)
        # The 6 x 6 cells stay apart: where a feature lies on the face belongs to who it is.
        self.embedding = nn.Sequential(
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(9 * channels, dim, bias=False)
        )
        self.center = nn.BatchNorm1d(dim, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.center(self.embedding(self.features(2 * images - 1)))
        return F.normalize(embedding, dim=1)


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


@functools.cache
def load_surrogate(path: Path = WEIGHTS) -> Surrogate:
    """The trained surrogate, in evaluation mode and without gradients of its weights.

    Raises:
        ValueError: the file is missing or holds weights of another shape.
    """
    if not path.is_file():
        raise ValueError(
            f"no surrogate weights at {path}; train them with "
            f"`python -m data_prep surrogate --out {path}`"
        )
    surrogate = Surrogate()
    try:
        surrogate.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the surrogate's weights: {error}") from error
    return surrogate.eval().requires_grad_(False)
