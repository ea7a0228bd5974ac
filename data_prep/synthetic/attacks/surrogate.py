"""The face recognizer whose gradients the adversarial attacks use.

A small convolutional network maps an image to a point on the unit sphere. It is trained to
distinguish identities, by a softmax over the cosines to one direction per identity (NormFace, Wang
et al. 2017). Its identities have their own seed, so no subject of a dataset is among them.
``python -m data_prep surrogate`` trains it and writes its weights and a card with its results.
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
    """Network from images (batch, 3, 96, 96), sRGB in [0, 1], to unit embeddings (batch, dim)."""

    def __init__(self, dim: int = 64) -> None:
        super().__init__()
        self.dim = dim
        channels = 16
        layers = [_convolution(3, channels, stride=2)]
        for width in _WIDTHS:
            layers += [_convolution(channels, width, stride=2), _convolution(width, width)]
            channels = width
        self.features = nn.Sequential(*layers)
        # 6 x 6 cells remain, because the position of a feature on the face tells who it is.
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
    """Load the trained surrogate, in evaluation mode and without gradients of its weights.

    Raises:
        ValueError: If the file is missing or its weights have another shape.
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
