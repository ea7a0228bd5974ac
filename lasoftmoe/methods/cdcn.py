"""CDCN and CDCN++: depth from central differences, for live faces only (Yu et al. 2020).

A live face has the shape of a head; prints and displays are flat. The network predicts a depth map,
with zeros as the target for attacks. Its convolutions read differences from the center pixel,
which show the texture of paper and displays but not the color of a face.

CDCN++ has the widths that an architecture search found, and each block's output is weighted by a
map of attention.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.detector import Batch, Detector
from lasoftmoe.method import Method, MethodConfig
from lasoftmoe.methods.depth_target import DepthTarget, known_pairs
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED, Count, Fraction

STAGES = 3
SEARCHED_WIDTHS = ((1.0, 1.6, 1.0), (1.2, 1.0, 1.4, 1.0), (1.0, 1.2, 1.0))
"""Widths inside the three blocks of CDCN++, in units of a block's last width."""
ATTENTION_KERNELS = (7, 5, 3)
"""Sides of the kernels of CDCN++ that make the attention of the three blocks."""


@dataclass(frozen=True, config=CHECKED)
class CDCNConfig(MethodConfig):
    """Widths and target of the network.

    ``variant`` is ``"cdcn"`` or ``"cdcn++"``. ``theta`` mixes a plain convolution (0) with pure
    differences (1). ``block_widths`` are the channels inside each of three blocks, ``head_widths``
    those before the map; CDCN++ reads only the last of the former and the first of the latter. The
    map has ``map_size`` pixels on each side. ``target`` is the target for live faces, see
    ``depth_target``.
    """

    kind: ClassVar[str] = "cdcn"
    variant: Literal["cdcn", "cdcn++"] = "cdcn"
    theta: Fraction = 0.7
    stem_width: Count = 64
    stem_stride: Count = 1
    block_widths: tuple[Count, Count, Count] = (128, 196, 128)
    head_widths: tuple[Count, Count] = (128, 64)
    map_size: Count = 32
    target: DepthTarget = "depth"


class CentralDifferenceConv2d(nn.Conv2d):
    r"""Convolution minus ``theta`` times the center pixel's share of it, without a bias.

    .. math:: y(p) = \sum_n w_n x(p + n) - \theta\, x(p) \sum_n w_n

    Computed as one convolution whose center weight is reduced by ``theta`` times the kernel's sum.
    ``theta=0`` is ``nn.Conv2d``; with ``theta=1`` a constant image gives 0 away from the border.

    Args:
        in_channels, out_channels: See ``nn.Conv2d``.
        kernel_size: An odd number.
        theta: A number in [0, 1].
        stride: See ``nn.Conv2d``. The output has the size of the input, divided by it.

    Raises:
        ValueError: If ``kernel_size`` is even or ``theta`` is outside [0, 1].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        theta: float = 0.7,
        stride: int = 1,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; an even kernel has no center")
        if not 0 <= theta <= 1:
            raise ValueError(f"theta is {theta}; expected a number from 0 to 1")
        padding = kernel_size // 2
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) to (batch, out_channels, h / stride, w / stride)."""
        return F.conv2d(x, self.folded(), None, self.stride, self.padding)

    def folded(self) -> Tensor:
        """Return the single convolution's kernel, (out_channels, in_channels, k, k)."""
        if self.theta == 0:
            return self.weight
        center = F.pad(self.weight.sum((2, 3), keepdim=True), 4 * [self.kernel_size[0] // 2])
        return self.weight - self.theta * center


def contrastive_depth_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of the two maps' slopes in eight directions.

    A slope is a neighbor's value minus the center's, at every pixel that has all its neighbors. So
    maps that differ by a constant have loss 0.

    Args:
        predicted, target: (batch, 1, h, w).
    """
    kernels = torch.zeros(9, 1, 3, 3, dtype=predicted.dtype, device=predicted.device)
    kernels.view(9, 9).fill_diagonal_(1.0)
    kernels[:, 0, 1, 1] -= 1.0
    neighbors = kernels[[0, 1, 2, 3, 5, 6, 7, 8]]
    return F.mse_loss(F.conv2d(predicted, neighbors), F.conv2d(target, neighbors))


class SpatialAttention(nn.Module):
    """Weight for each pixel, from the mean and the maximum of its channels (Woo et al. 2018).

    Args:
        kernel_size: Odd.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) to the same, multiplied by weights in (0, 1)."""
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(summary))


class CDCN(Detector):
    """Central difference network with a depth map as its output.

    Args:
        config: See :class:`CDCNConfig`.
    """

    def __init__(self, config: CDCNConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = ("depth",) if config.target == "depth" else ()
        plus = config.variant == "cdcn++"
        stem, last = config.stem_width, config.block_widths[-1]
        self.stem = self._layer(3, stem, config.stem_stride)
        widths = (stem, last, last)
        self.blocks = nn.ModuleList(
            self._block(width, _block_widths(config, stage)) for stage, width in enumerate(widths)
        )
        self.attention = nn.ModuleList(
            SpatialAttention(kernel) if plus else nn.Identity() for kernel in ATTENTION_KERNELS
        )
        heads = (STAGES * last, *config.head_widths[: 1 if plus else 2])
        self.head = nn.Sequential(
            *(self._layer(a, b) for a, b in pairwise(heads)),
            CentralDifferenceConv2d(heads[-1], 1, theta=config.theta),
            nn.ReLU(),
        )

    def _layer(self, width: int, out: int, stride: int = 1) -> nn.Sequential:
        convolution = CentralDifferenceConv2d(width, out, theta=self.config.theta, stride=stride)
        return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())

    def _block(self, width: int, widths: tuple[int, ...]) -> nn.Sequential:
        layers = [self._layer(a, b) for a, b in pairwise((width, *widths))]
        return nn.Sequential(*layers, nn.MaxPool2d(3, stride=2, padding=1))

    def depth(self, images: Tensor) -> Tensor:
        """Return the predicted depth, (batch, 1, map_size, map_size), 0 or more."""
        pixels = to_unit_range(images, next(self.parameters()).dtype)
        x = self.stem(2 * pixels - 1)
        size = (self.config.map_size, self.config.map_size)
        stages = []
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = block(x)
            seen = attention(x)
            stages.append(F.interpolate(seen, size, mode="bilinear", align_corners=False))
        return self.head(torch.cat(stages, dim=1))

    def attack_score(self, images: Tensor) -> Tensor:
        """Return minus the mean depth, (batch,)."""
        return -self.depth(images).mean((1, 2, 3))

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of the depth and the contrastive depth loss, weighted 1:1."""
        predicted, target = known_pairs(self.depth(batch["image"]), batch, self.config.target)
        return {
            "depth": F.mse_loss(predicted, target),
            "contrast": contrastive_depth_loss(predicted, target),
        }

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)


def _block_widths(config: CDCNConfig, stage: int) -> tuple[int, ...]:
    if config.variant == "cdcn":
        return config.block_widths
    return tuple(int(share * config.block_widths[-1]) for share in SEARCHED_WIDTHS[stage])


METHOD = Method(CDCNConfig, CDCN, paper="Tables 2 and 3: CDCN", code=("methods/depth_target.py",))
