"""Random flips and shifts of a batch, its images and maps together.

Nothing resamples, jitters colors, or adds noise: the finest textures reveal many attacks.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from lasoftmoe.detector import MAPS, Batch


def move_batch(
    batch: Batch,
    generator: torch.Generator,
    flip: bool = True,
    shift_pixels: int = 4,
    part: int = 0,
    parts: int = 1,
) -> Batch:
    """Apply :func:`flip_and_shift` to a batch's images and, in the same way, to their maps.

    All are (batch, channels, height, width) with the same height and width.
    """
    places = _places(batch["image"], generator, flip, shift_pixels, part, parts)
    moved = {name: _take(batch[name], *places) for name in ("image", *MAPS) if name in batch}
    return cast(Batch, {**batch, **moved})


def flip_and_shift(
    images: Tensor,
    generator: torch.Generator,
    flip: bool = True,
    shift_pixels: int = 4,
    part: int = 0,
    parts: int = 1,
) -> Tensor:
    """Mirror each image with probability 1/2 and shift it by whole pixels.

    Args:
        images: (batch, channels, height, width) of any type.
        generator: Generator on the CPU that fixes all choices.
        flip: Whether to mirror left to right.
        shift_pixels: Largest shift in either direction. Pixels beyond the border are mirrored,
            which preserves the image's noise statistics.
        part, parts: These images are part number ``part`` of ``parts`` equal parts of a batch;
            each image is moved as in the whole batch.
    """
    return _take(images, *_places(images, generator, flip, shift_pixels, part, parts))


def _places(
    images: Tensor, generator: torch.Generator, flip: bool, shift: int, part: int, parts: int
) -> tuple[Tensor, Tensor]:
    """Rows (batch, height) and columns (batch, width) that moved pixels are taken from."""
    batch, _, height, width = images.shape
    whole = batch * parts
    rows = _shifted(height, whole, shift, generator)
    columns = _shifted(width, whole, shift, generator)
    if flip:
        mirror = torch.rand(whole, 1, generator=generator) < 0.5
        columns = torch.where(mirror, columns.flip(1), columns)
    own = slice(part * batch, (part + 1) * batch)
    return rows[own].to(images.device), columns[own].to(images.device)


def _take(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    moved = images.gather(2, rows[:, None, :, None].expand(images.shape))
    return moved.gather(3, columns[:, None, None, :].expand(images.shape))


def _shifted(size: int, batch: int, shift: int, generator: torch.Generator) -> Tensor:
    """Source index of each pixel of a moved row (or column), (batch, size)."""
    index = torch.arange(size) + torch.randint(-shift, shift + 1, (batch, 1), generator=generator)
    index = index.abs()
    return torch.where(index >= size, 2 * size - 2 - index, index)
