"""Random flips and shifts of a batch of images: nothing that would blur an attack's trace.

Resampling, color jitter and noise would; the finest textures are what tells many attacks apart.
"""

from __future__ import annotations

import torch
from torch import Tensor


def flip_and_shift(
    images: Tensor,
    generator: torch.Generator,
    flip: bool = True,
    shift_pixels: int = 4,
    part: int = 0,
    parts: int = 1,
) -> Tensor:
    """Mirror each image with probability 1/2 and move it by whole pixels.

    Args:
        images: (batch, channels, height, width) of any type.
        generator: on the CPU; fixes all choices.
        flip: whether to mirror left to right.
        shift_pixels: largest shift in either direction. Pixels from beyond the border are
            mirrored in, which leaves the image's noise statistics as they are.
        part, parts: where several processes hold parts of a batch, ``images`` is part number
            ``part`` of ``parts`` equal ones; each image is moved as in the whole batch.
    """
    batch, channels, height, width = images.shape
    whole = batch * parts
    rows = _shifted(height, whole, shift_pixels, generator)
    columns = _shifted(width, whole, shift_pixels, generator)
    if flip:
        mirror = torch.rand(whole, 1, generator=generator) < 0.5
        columns = torch.where(mirror, columns.flip(1), columns)
    own = slice(part * batch, (part + 1) * batch)
    rows, columns = rows[own].to(images.device), columns[own].to(images.device)
    moved = images.gather(2, rows[:, None, :, None].expand(batch, channels, height, width))
    return moved.gather(3, columns[:, None, None, :].expand(batch, channels, height, width))


def _shifted(size: int, batch: int, shift: int, generator: torch.Generator) -> Tensor:
    """Where each pixel of a moved row (or column) is taken from, (batch, size)."""
    index = torch.arange(size) + torch.randint(-shift, shift + 1, (batch, 1), generator=generator)
    index = index.abs()
    return torch.where(index >= size, 2 * size - 2 - index, index)
