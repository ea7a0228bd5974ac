"""Plain numbers of a picture that no honest detector should get far with.

A probe is a short list of numbers a picture and a small classifier on them. Where a probe
separates live from fake, a network may have learned the same shortcut: a tint, a background, the
length of a file. ``data_prep.inspection.audit`` trains these probes and reports what they reach.

All features take pictures as they are stored, uint8 of shape (n, height, width, 3), and give
float32 of shape (n, dimension), whatever the size of the picture.

Five look for shortcuts, which say something about how a set was put together:

========== === =====================================================================
mean_color   3 mean of red, green and blue
thumbnail  192 the picture averaged to 8 x 8 (layout, background, light)
border     144 the outer twelfth of the picture, averaged to 12 cells on each side
file_size    1 logarithm of the bytes of the stored file
spectrum    32 logarithm of the power of the gray picture in 32 rings of frequency
========== === =====================================================================

Two look for what attacks do to fine texture. These are honest features, and a network worth its
price beats them (``high_pass`` also shows when an attack gives itself away by noise alone):

========== === =====================================================================
high_pass    9 size, shape and tail of three residuals, over the whole picture
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
"""Added to a size before its logarithm: a quarter of a gray level, below any noise."""


def mean_color(pictures: Pictures) -> Features:
    """Mean of red, green and blue in [0, 1], (n, 3)."""
    return _values(pictures).mean((2, 3)).numpy()


def thumbnail(pictures: Pictures) -> Features:
    """The picture averaged to 8 x 8 cells in [0, 1], (n, 192)."""
    return F.adaptive_avg_pool2d(_values(pictures), 8).flatten(1).numpy()


def border(pictures: Pictures) -> Features:
    """The outer twelfth on each of four sides, averaged to 12 cells a side, (n, 144)."""
    values = _values(pictures)
    depth = max(1, min(values.shape[-2:]) // BORDER_CELLS)
    rows = [values[:, :, :depth], values[:, :, -depth:]]
    columns = [values[..., :depth], values[..., -depth:]]
    sides = [F.adaptive_avg_pool2d(side, (1, BORDER_CELLS)) for side in rows]
    sides += [F.adaptive_avg_pool2d(side, (BORDER_CELLS, 1)) for side in columns]
    return torch.cat([side.flatten(1) for side in sides], 1).numpy()


def file_size(size_in_bytes: NDArray[np.int64]) -> Features:
    """Natural logarithm of the bytes of each file, (n, 1)."""
    return np.log(np.maximum(size_in_bytes, 1))[:, None].astype(np.float32)


def spectrum(pictures: Pictures) -> Features:
    """Logarithm of the mean power in 32 rings, from no frequency to half a cycle a pixel.

    The gray picture is multiplied by a Hann window first, or its edges would fill all rings.
    Frequencies beyond half a cycle a pixel (the corners) belong to the last ring. (n, 32).
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
    """Nine statistics of fine texture, (n, 9).

    Three residuals (high-pass, twice high-pass, twice high-pass of red minus green), and of each
    the logarithm of its mean absolute value, how heavy its tails are (standard deviation over
    mean absolute value) and how far they reach (99th percentile over mean absolute value).
    """
    values = _values(pictures)
    once, twice = _residuals(values)
    _, chroma = _residuals(values[:, :1] - values[:, 1:2])
    return torch.cat([_shape(residual) for residual in (once, twice, chroma)], 1).numpy()


def energy(pictures: Pictures) -> Features:
    """Fine texture in 6 x 6 cells, (n, 72).

    The logarithm of the mean absolute twice high-passed picture in each cell, and how much less
    that is than the once high-passed one: how strong and how fine the texture is, by place.
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
"""Every probe and how many numbers it sees, in the order of the audit's table."""


def picture_features(pictures: Pictures) -> dict[str, Features]:
    """All features that need the pixels, by the name of their probe.

    Raises:
        ValueError: not uint8 of shape (n, height, width, 3), or smaller than 12 pixels.
    """
    _check(pictures)
    return {name: function(pictures) for name, function in PICTURE_PROBES.items()}


def _check(pictures: Pictures) -> None:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise ValueError(
            f"pictures are {pictures.dtype} of shape {pictures.shape}; expected uint8 of shape "
            "(n, height, width, 3)"
        )
    if min(pictures.shape[1:3]) < BORDER_CELLS:
        raise ValueError(
            f"pictures are {pictures.shape[2]} x {pictures.shape[1]} pixels; probes need at least "
            f"{BORDER_CELLS} x {BORDER_CELLS}"
        )


def _values(pictures: Pictures) -> Tensor:
    """Pictures in [0, 1], (n, 3, height, width)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def _residuals(values: Tensor) -> tuple[Tensor, Tensor]:
    """What a 3 x 3 mean takes away, and what a second one takes away from that."""
    once = values - _mean3(values)
    return once, once - _mean3(once)


def _mean3(values: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(values, (1, 1, 1, 1), mode="reflect"), 3, stride=1)


def _shape(residual: Tensor) -> Tensor:
    flat = residual.flatten(1)
    size = flat.abs().mean(1) + _DARKEST
    rank = int(0.99 * (flat.shape[1] - 1))
    # Only the value at one rank is needed; numpy finds it without sorting the rest.
    tail = torch.from_numpy(np.partition(flat.abs().numpy(), rank, axis=1)[:, rank])
    return torch.stack([size.log(), flat.std(1) / size, tail / size], 1)


def _cell_energy(residual: Tensor) -> Tensor:
    size = residual.abs().mean(1, keepdim=True)
    return torch.log(F.adaptive_avg_pool2d(size, ENERGY_CELLS) + _DARKEST).flatten(1)


def _rings(height: int, width: int) -> Tensor:
    """The ring of each coefficient of a real Fourier transform, flat."""
    vertical, horizontal = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    radius = torch.hypot(vertical, horizontal.expand(height, -1))
    return (radius * 2 * RINGS).long().clamp(max=RINGS - 1).flatten()
