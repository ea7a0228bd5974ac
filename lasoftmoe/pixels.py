"""Conversion of images to floating point, the same for every network."""

from __future__ import annotations

import torch
from torch import Tensor


def to_unit_range(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return images as floating point in [0, 1].

    While a graph is being compiled or exported, the range is not checked, because no branch may
    depend on data.

    Args:
        images: uint8 in 0 to 255, or floating point in [0, 1], of any shape.
        dtype: Type of the result; give that of the network's weights.

    Raises:
        TypeError: If ``images`` are neither uint8 nor floating point.
        ValueError: If floating point values are far outside [0, 1].
    """
    if images.dtype == torch.uint8:
        return (images.float() / 255).to(dtype)
    if not images.is_floating_point():
        raise TypeError(f"Expected uint8 or floating point images, got {images.dtype}.")
    if not torch.compiler.is_compiling():
        _refuse_other_ranges(images)
    return images.to(dtype)


def _refuse_other_ranges(images: Tensor) -> None:
    if images.numel() and images.detach().abs().max() > 2:
        raise ValueError(
            "Floating point images must be in [0, 1]; the largest magnitude here is "
            f"{images.detach().abs().max():.0f}. Divide by 255 or pass uint8."
        )
