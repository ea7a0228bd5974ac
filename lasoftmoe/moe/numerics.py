"""Guards against half precision where it would overflow or round too much."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Widen half precision to float32; leave float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def no_float16(device_type: str) -> AbstractContextManager[object]:
    """Return a context without autocast to float16, which ends at 65504; bfloat16 may stay.

    Raw routing logits exceed that limit long before the tokens do.
    """
    if not torch.is_autocast_enabled(device_type):
        return nullcontext()
    enabled = torch.get_autocast_dtype(device_type) != torch.float16
    return torch.autocast(device_type, enabled=enabled)
