"""Auxiliary supervision by depth, for single images (Liu, Jourabloo, and Liu 2018).

The network must say how near each part of a face is, so it cannot rely on any detail that happens
to differ between live images and attacks. The original also learns the pulse from video. That
branch is left out, because the paper's datasets consist of images.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any, ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.detector import Batch, Detector
from lasoftmoe.method import Method, MethodConfig
from lasoftmoe.methods.depth_target import DepthTarget, known_pairs
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED, Count

STAGES = 3


@dataclass(frozen=True, config=CHECKED)
class AuxiliaryConfig(MethodConfig):
    """The network's input, its widths, and its target.

    ``hsv`` adds hue, saturation, and value to the three colors. ``block_widths`` are the channels
    inside each of three blocks, ``head_widths`` those before the map. Blocks are joined at
    ``join_size`` pixels on each side, and the map is averaged down to ``map_size``. ``target`` is
    what live faces should give, see ``depth_target``.
    """

    kind: ClassVar[str] = "auxiliary"
    hsv: bool = True
    stem_width: Count = 64
    stem_stride: Count = 1
    block_widths: tuple[Count, Count, Count] = (128, 196, 128)
    head_widths: tuple[Count, Count] = (128, 3)
    join_size: Count = 64
    map_size: Count = 32
    target: DepthTarget = "depth"


def rgb_to_hsv(images: Tensor) -> Tensor:
    """Return hue, saturation, and value, each in [0, 1], as ``colorsys`` defines them.

    Gray pixels have hue 0. Gradients are finite everywhere.

    Args:
        images: (batch, 3, h, w), floating point in [0, 1].
    """
    value, largest = images.max(dim=1, keepdim=True)
    spread = value - images.amin(dim=1, keepdim=True)
    gray = spread == 0
    # For a red pixel green minus blue, and so on around the circle of colors.
    difference = (images.roll(-1, dims=1) - images.roll(-2, dims=1)).gather(1, largest)
    hue = ((2 * largest + difference / spread.masked_fill(gray, 1)) / 6 % 1).masked_fill(gray, 0)
    saturation = spread / value.masked_fill(value == 0, 1)
    return torch.cat([hue, saturation, value], dim=1)


class Auxiliary(Detector):
    """A convolutional network that predicts a depth map.

    Args:
        config: See :class:`AuxiliaryConfig`.
    """

    def __init__(self, config: AuxiliaryConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = ("depth",) if config.target == "depth" else ()
        stem, last = config.stem_width, config.block_widths[-1]
        self.stem = _layer(6 if config.hsv else 3, stem, config.stem_stride)
        self.blocks = nn.ModuleList(
            _block(stem if stage == 0 else last, config.block_widths) for stage in range(STAGES)
        )
        wide, narrow = config.head_widths
        self.head = nn.Sequential(
            nn.Conv2d(STAGES * last, wide, 3, padding=1),
            nn.ELU(),
            nn.Conv2d(wide, narrow, 3, padding=1),
            nn.ELU(),
            nn.Conv2d(narrow, 1, 3, padding=1),
        )

    def depth(self, images: Tensor) -> Tensor:
        """Return the predicted depth, (batch, 1, map_size, map_size); 1 is nearest."""
        pixels = to_unit_range(images, next(self.parameters()).dtype)
        if self.config.hsv:
            pixels = torch.cat([pixels, rgb_to_hsv(pixels)], dim=1)
        return self.map_of(2 * pixels - 1)

    def map_of(self, x: Tensor) -> Tensor:
        """Return the map for normalized colors, (batch, 3 or 6, h, w)."""
        x = self.stem(x)
        size = (self.config.join_size, self.config.join_size)
        stages = []
        for block in self.blocks:
            x = block(x)
            stages.append(F.interpolate(x, size, mode="bilinear", align_corners=False))
        return F.adaptive_avg_pool2d(self.head(torch.cat(stages, dim=1)), self.config.map_size)

    def attack_score(self, images: Tensor) -> Tensor:
        """Return minus the mean squared depth, (batch,)."""
        return map_score(self.depth(images))

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared error of the depth in one batch.

        The original prints a squared L1 norm; implementations take the squared error.
        """
        predicted, target = known_pairs(self.depth(batch["image"]), batch, self.config.target)
        return {"depth": F.mse_loss(predicted, target)}

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)


def map_score(depth: Tensor) -> Tensor:
    """Return minus the mean square of each map, (batch,), of maps (batch, 1, h, w)."""
    return -depth.square().mean((1, 2, 3))


def _layer(width: int, out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width, out, 3, stride, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ELU())


def _block(width: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers = [_layer(a, b) for a, b in pairwise((width, *widths))]
    return nn.Sequential(*layers, nn.MaxPool2d(3, stride=2, padding=1))


METHOD = Method(
    AuxiliaryConfig,
    Auxiliary,
    paper="Tables 2 and 3: Auxiliary",
    code=("methods/depth_target.py",),
)
