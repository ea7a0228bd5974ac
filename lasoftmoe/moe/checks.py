"""The errors that all layers of the branch share, and the precision they share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def require_positive(**sizes: int) -> None:
    """Raise ValueError for the first size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} has to be a whole number of at least 1, got {size!r}")


def require_tokens(x: Tensor, dim: int) -> None:
    """Raise ValueError unless ``x`` is (batch, tokens, dim)."""
    if x.dim() != 3 or x.shape[-1] != dim:
        raise ValueError(f"expected x of shape (batch, tokens, {dim}), got {tuple(x.shape)}")


def require_mask(mask: Tensor | None, x: Tensor) -> None:
    """Raise ValueError unless ``mask`` is None or bool (batch, tokens), as ``x`` has them."""
    if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
        raise ValueError(
            f"expected a bool mask of shape (batch, tokens) = {tuple(x.shape[:2])}, true for "
            f"tokens to keep; got {mask.dtype} of shape {tuple(mask.shape)}"
        )


def without_masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """``x`` (batch, tokens, dim) with zeros, whatever stood there, where ``mask`` is false."""
    require_mask(mask, x)
    return x if mask is None else x.masked_fill(~mask[..., None], 0)


def require_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``known``."""
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision widened to float32; float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def no_float16(device_type: str) -> AbstractContextManager[object]:
    """A context without autocast to float16, whose numbers end at 65504; bfloat16 may stay.

    Raw routing logits pass that limit long before the tokens do.
    """
    if not torch.is_autocast_enabled(device_type):
        return nullcontext()
    enabled = torch.get_autocast_dtype(device_type) != torch.float16
    return torch.autocast(device_type, enabled=enabled)
