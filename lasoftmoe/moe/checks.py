"""Checks that all layers of the branch share."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor


def require_positive(**sizes: int) -> None:
    """Raise ValueError for the first size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}")


def require_tokens(x: Tensor, dim: int) -> None:
    """Raise ValueError unless ``x`` is (batch, tokens, dim)."""
    if x.dim() != 3 or x.shape[-1] != dim:
        raise ValueError(f"expected x of shape (batch, tokens, {dim}), got {tuple(x.shape)}")


def require_mask(mask: Tensor | None, x: Tensor) -> None:
    """Raise ValueError unless ``mask`` is None or bool (batch, tokens) for tokens ``x``."""
    if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
        raise ValueError(
            f"expected a bool mask of shape (batch, tokens) = {tuple(x.shape[:2])}, true for "
            f"tokens to keep; got {mask.dtype} of shape {tuple(mask.shape)}"
        )


def without_masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set ``x`` (batch, tokens, dim) to zero, even if it is NaN, where ``mask`` is false."""
    require_mask(mask, x)
    return x if mask is None else x.masked_fill(~mask[..., None], 0)


def require_choice(name: str, value: str, choices: Any) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``, a Literal type."""
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")
