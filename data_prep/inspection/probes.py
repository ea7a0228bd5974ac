"""Simple image statistics that should not be enough to detect attacks.

A probe is a small classifier on a few numbers per image. If it separates live from fake, a network
may learn the same shortcut: a tint, a background, the length of a file.
``data_prep.inspection.audit`` trains these probes and reports their results.

All features take images as they are stored, uint8 (n, height, width, 3) of any size, and return
float32 (n, dimension).

Five look for shortcuts, which come from the way a dataset was made:

========== === =====================================================================
mean_color   3 mean of red, green, and blue
thumbnail  192 the image averaged to 8 x 8 (layout, background, light)
border     144 the outer twelfth of the image, averaged to 12 cells on each side
file_size    1 logarithm of the file's bytes
spectrum    32 logarithm of the gray image's power in 32 rings of frequency
========== === =====================================================================

Two look for what attacks do to fine texture. These are honest features that a good network beats
(``high_pass`` also shows whether noise alone reveals an attack):

========== === =====================================================================
high_pass    9 size, shape, and tail of three residuals, over the whole image
energy      72 mean size of two residuals in 6 x 6 cells
========== === =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Pictures = NDArray[np.uint8]
Features = NDArray[np.float32]

FILE_SIZE = "file_size"
RINGS = 32
BORDER_CELLS = 12
ENERGY_CELLS = 6
_DARKEST = 1e-3
"""Offset before a logarithm: a quarter of a gray level, below any noise."""


def mean_color(pictures: Pictures) -> Features:
    """Return the mean of red, green, and blue in [0, 1], (n, 3)."""
    return _values(pictures).mean((2, 3)).numpy()


def thumbnail(pictures: Pictures) -> Features:
    """Average the image to 8 x 8 cells in [0, 1], (n, 192)."""
    return F.adaptive_avg_pool2d(_values(pictures), 8).flatten(1).numpy()


def border(pictures: Pictures) -> Features:
    """Average the outer twelfth on each of four sides to 12 cells, (n, 144)."""
    values = _values(pictures)
    depth = max(1, min(values.shape[-2:]) // BORDER_CELLS)
    rows = [values[:, :, :depth], values[:, :, -depth:]]
    columns = [values[..., :depth], values[..., -depth:]]
    sides = [F.adaptive_avg_pool2d(side, (1, BORDER_CELLS)) for side in rows]
    sides += [F.adaptive_avg_pool2d(side, (BORDER_CELLS, 1)) for side in columns]
    return torch.cat([side.flatten(1) for side in sides], 1).numpy()


def file_size(size_in_bytes: NDArray[np.int64]) -> Features:
    """Return the natural logarithm of each file's bytes, (n, 1)."""
    return np.log(np.maximum(size_in_bytes, 1))[:, None].astype(np.float32)


def spectrum(pictures: Pictures) -> Features:
    """Return the log mean power in 32 rings of frequency, from 0 to 0.5 cycles per pixel, (n, 32).

    A Hann window keeps the edges of the gray image from filling all rings. The corners, above 0.5
    cycles per pixel, belong to the last ring.
    """
    gray = _values(pictures).mean(1)
    gray = gray - gray.mean((1, 2), keepdim=True)
    height, width = gray.shape[1:]
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(
        width, periodic=False
    )
    power = torch.fft.rfft2(gray * window).abs().square().flatten(1)
    ring = _rings(height, width)
    total = torch.zeros(len(power), RINGS).index_add_(1, ring, power)
    count = torch.bincount(ring, minlength=RINGS).clamp(min=1)
    return torch.log(total / count + 1e-8).numpy()


def high_pass(pictures: Pictures) -> Features:
    """Return nine statistics of fine texture, (n, 9).

    There are three residuals: high-pass, twice high-pass, and twice high-pass of red minus green.
    Each gives the logarithm of its mean absolute value, and its standard deviation and 99th
    percentile (how heavy and how long its tails are) divided by the mean absolute value.
    """
    values = _values(pictures)
    once, twice = _residuals(values)
    _, chroma = _residuals(values[:, :1] - values[:, 1:2])
    return torch.cat([_shape(residual) for residual in (once, twice, chroma)], 1).numpy()


def energy(pictures: Pictures) -> Features:
    """Return how strong and how fine the texture is in 6 x 6 cells, (n, 72).

    Strength is the log mean absolute value after two high-passes. Fineness is strength minus the
    same number after one high-pass.
    """
    once, twice = (_cell_energy(residual) for residual in _residuals(_values(pictures)))
    return torch.cat([twice, twice - once], 1).numpy()


PICTURE_PROBES: dict[str, Callable[[Pictures], Features]] = {
    "mean_color": mean_color,
    "thumbnail": thumbnail,
    "border": border,
    "spectrum": spectrum,
    "high_pass": high_pass,
    "energy": energy,
}

DIMENSIONS = {
    "mean_color": 3,
    "thumbnail": 192,
    "border": 12 * BORDER_CELLS,
    FILE_SIZE: 1,
    "spectrum": RINGS,
    "high_pass": 9,
    "energy": 2 * ENERGY_CELLS**2,
}
"""Number of features of every probe, in the order of the audit's table."""


def picture_features(pictures: Pictures) -> dict[str, Features]:
    """Compute all features of the pixels, by probe.

    Raises:
        ValueError: If ``pictures`` are not uint8 (n, height, width, 3), or have sides below 12.
    """
    _check(pictures)
    return {name: function(pictures) for name, function in PICTURE_PROBES.items()}


def _check(pictures: Pictures) -> None:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise ValueError(
            f"images are {pictures.dtype} of shape {pictures.shape}; expected uint8 of shape "
            "(n, height, width, 3)"
        )
    if min(pictures.shape[1:3]) < BORDER_CELLS:
        raise ValueError(
            f"images are {pictures.shape[2]} x {pictures.shape[1]} pixels; probes need at least "
            f"{BORDER_CELLS} x {BORDER_CELLS}"
        )


def _values(pictures: Pictures) -> Tensor:
    """Return the images in [0, 1], (n, 3, height, width)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def _residuals(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a 3 x 3 mean removes, and what a second one removes from that."""
    once = values - _mean3(values)
    return once, once - _mean3(once)


def _mean3(values: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(values, (1, 1, 1, 1), mode="reflect"), 3, stride=1)


def _shape(residual: Tensor) -> Tensor:
    flat = residual.flatten(1)
    size = flat.abs().mean(1) + _DARKEST
    rank = int(0.99 * (flat.shape[1] - 1))
    # numpy finds the value at one rank without sorting the rest.
    tail = torch.from_numpy(np.partition(flat.abs().numpy(), rank, axis=1)[:, rank])
    return torch.stack([size.log(), flat.std(1) / size, tail / size], 1)


def _cell_energy(residual: Tensor) -> Tensor:
    size = residual.abs().mean(1, keepdim=True)
    return torch.log(F.adaptive_avg_pool2d(size, ENERGY_CELLS) + _DARKEST).flatten(1)


def _rings(height: int, width: int) -> Tensor:
    """Return the ring of each coefficient of a real Fourier transform, flat."""
    vertical, horizontal = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    radius = torch.hypot(vertical, horizontal.expand(height, -1))
    return (radius * 2 * RINGS).long().clamp(max=RINGS - 1).flatten()
