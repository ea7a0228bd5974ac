"""Soft MoE and La-SoftMoE as the paper prints them, one line of code for each of its lines.

The layers :class:`~lasoftmoe.moe.SoftMoE` and :class:`~lasoftmoe.moe.LaSoftMoE` compute the same
and are tested against these functions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor


def soft_moe(
    x: Float[Tensor, "batch tokens dim"],
    phi: Float[Tensor, "experts slots dim"],
    experts: Callable[[Tensor], Tensor],
) -> Float[Tensor, "batch tokens dim"]:
    """Compute Soft MoE (Eq. 2-4).

    Args:
        x: Tokens X.
        phi: Vectors of the slots, Phi.
        experts: Maps the slots of each expert, (batch, experts, slots, dim), to outputs of the
            same shape.
    """
    logits = einsum(x, phi, "b n d, e s d -> b n e s")  # X Phi
    dispatch = logits.softmax(dim=1)  # Eq. 2, D: softmax over the tokens
    slots = einsum(dispatch, x, "b n e s, b n d -> b e s d")  # Eq. 2, D^T X
    outputs = rearrange(experts(slots), "b e s d -> b (e s) d")  # Eq. 3
    combine = rearrange(logits, "b n e s -> b n (e s)").softmax(dim=-1)  # Eq. 4, C
    return einsum(combine, outputs, "b n s, b s d -> b n d")  # Eq. 4, Y


def la_soft_moe(
    x: Float[Tensor, "batch tokens dim"],
    phi: Float[Tensor, "experts slots dim"],
    attention: Callable[[Tensor], Tensor],
    experts: Callable[[Tensor], Tensor],
) -> Float[Tensor, "batch tokens dim"]:
    """Compute La-SoftMoE (Algorithm 2 and Eq. 7), with a batch axis b that the paper omits.

    Args:
        x: Tokens X (line 2).
        phi: Vectors of the slots, Phi (line 3). A parameter, initialized with ``randn``.
        attention: Maps logits (batch, tokens, experts * slots) to the same shape (line 7).
        experts: See :func:`soft_moe`.
    """
    logits = einsum(x, phi, "b n d, e s d -> b n e s")  # line 4
    dispatch = logits.softmax(dim=1)  # line 5: D, softmax over the tokens
    combine = rearrange(logits, "b n e s -> b n (e s)")  # line 6
    combine = attention(combine)  # line 7
    combine = F.instance_norm(combine)  # line 8: each token's row is an instance
    slots = einsum(x, dispatch, "b n d, b n e s -> b e s d")  # line 9
    out = experts(slots)  # line 10
    out = rearrange(out, "b e s d -> b (e s) d")  # line 11
    out = einsum(out, combine, "b s d, b n s -> b n d")  # line 12
    return out  # line 13
