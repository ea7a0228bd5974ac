"""Images as floating point numbers, the same way for every network."""

from __future__ import annotations

import torch
from torch import Tensor


def to_unit_range(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return images as floating point in [0, 1].

    Floating point values far outside [0, 1] are refused, except in a graph that is being
    compiled or exported, where no branch may depend on data.

    Args:
        images: uint8 in 0 to 255, or floating point in [0, 1], of any shape.
        dtype: of the result; give the type of the weights that read it.

    Raises:
        TypeError: if ``images`` are neither uint8 nor floating point.
        ValueError: if floating point values lie far outside [0, 1].
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
            "Floating point images must lie in [0, 1]; the largest magnitude here is "
            f"{images.detach().abs().max():.0f}. Divide by 255 or pass uint8."
        )
