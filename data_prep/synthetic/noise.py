"""Banks of periodic noise, and smooth functions for drawing."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.row_numbers import Number, Numbers

BANK_SIZE = 512
SKIN, BLOTCHES, FINE, SPOTS = range(4)
"""Channels: skin (broad and fine), soft blotches, single-pixel grain, and small spots."""

_CPU = torch.device("cpu")
_OCTAVES = {
    SKIN: ((8, 0.5), (16, 0.3), (64, 0.35), (128, 0.35), (256, 0.35)),
    BLOTCHES: ((4, 0.6), (8, 0.4), (16, 0.3)),
    FINE: ((256, 1.0), (512, 0.6)),
}


@functools.cache
def noise_bank(device: torch.device = _CPU) -> Tensor:
    """Return four banks, (4, 1, 1, size + 1, size + 1), of about unit variance (spots: 0 to 2).

    The last row and column repeat the first, so that bilinear sampling wraps without a seam. The
    banks are drawn on the CPU, so they are the same on every device.
    """
    if device != _CPU:
        return noise_bank().to(device)
    with _CPU:
        return _draw_banks()


def _draw_banks() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    layers = []
    for channel in (SKIN, BLOTCHES, FINE):
        layer = sum(weight * _periodic(cells, generator) for cells, weight in _OCTAVES[channel])
        layers.append(layer / layer.std())
    layers.append(_spots(generator))
    return torch.stack([F.pad(layer, (0, 1, 0, 1), mode="circular") for layer in layers])


def _periodic(cells: int, generator: torch.Generator) -> Tensor:
    """Draw smooth noise of ``cells`` random values per side, (1, 1, size, size)."""
    values = torch.randn(1, 1, cells, cells, generator=generator)
    if cells == BANK_SIZE:
        return values
    step = BANK_SIZE // cells
    padded = F.pad(values, (3, 3, 3, 3), mode="circular")
    large = F.interpolate(padded, scale_factor=step, mode="bicubic", align_corners=False)
    return large[..., 3 * step : -3 * step, 3 * step : -3 * step]


def _spots(generator: torch.Generator) -> Tensor:
    spots = torch.zeros(1, 1, BANK_SIZE, BANK_SIZE)
    rows, columns = torch.randint(0, BANK_SIZE - 1, (2, 900), generator=generator).tolist()
    for row, column, strength in zip(
        rows, columns, torch.rand(900, generator=generator), strict=True
    ):
        spots[..., row : row + 2, column : column + 2] += strength
    return 2 * F.avg_pool2d(F.pad(spots, (1, 1, 1, 1), mode="circular"), 3, stride=1)


def noise(channel: int, x: Tensor, y: Tensor) -> Tensor:
    """Return noise at places (..., h, w); a bank repeats every two units."""
    grid = torch.stack([(x + 1) % 2 - 1, (y + 1) % 2 - 1], dim=-1)
    bank = noise_bank(x.device)[channel]
    # Sample all images as one tall image, so that the bank need not be copied for each.
    tall = grid.view(1, -1, x.shape[-1], 2)
    found = F.grid_sample(bank, tall, mode="bilinear", padding_mode="border", align_corners=True)
    return found.view(x.shape)


def smoothstep(start: Number | Tensor, end: Number | Tensor, x: Tensor) -> Tensor:
    """Return 0 before ``start``, 1 after ``end``, and a smooth cubic between, in either order."""
    t = ((x - start) / (end - start)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bell(x: Tensor, width: Number | Tensor) -> Tensor:
    """Return a Gaussian bump of height 1."""
    return torch.exp(-0.5 * (x / width) ** 2)


def bell2(dx: Tensor, dy: Tensor, width: Number | Tensor, height: Number | Tensor) -> Tensor:
    """Return a Gaussian hill of height 1 in two dimensions."""
    return torch.exp(-0.5 * ((dx / width) ** 2 + (dy / height) ** 2))


def gray(maps: Tensor) -> Tensor:
    """Turn maps (..., h, w) into images of one channel (..., 1, h, w)."""
    return maps.unsqueeze(-3)


def blend(base: Tensor, color: Tensor, amount: Tensor) -> Tensor:
    """Move ``base`` toward ``color`` by ``amount``.

    Images are (..., 3, h, w), colors (..., 3, 1, 1), and amounts (..., h, w).
    """
    return base + (color - base) * gray(amount)


def rgb(red: Number, green: Number, blue: Number) -> Tensor:
    """Return a color, (3, 1, 1) for all rows, or (b, 3, 1, 1) if a channel differs by row."""
    channels = (red, green, blue)
    rows = next((value.values for value in channels if isinstance(value, Numbers)), None)
    if rows is None:
        return torch.tensor(channels).view(3, 1, 1)
    columns = [v.values if isinstance(v, Numbers) else torch.full_like(rows, v) for v in channels]
    return torch.stack(columns, -1).float().view(-1, 3, 1, 1)
