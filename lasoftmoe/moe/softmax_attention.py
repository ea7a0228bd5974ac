"""Softmax attention (paper, Eq. 5) and two cheaper forms of it, to compare with linear attention.

They are written to be read. None replaces PyTorch's fused ``scaled_dot_product_attention``.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lasoftmoe.moe.numerics import at_least_float32
from lasoftmoe.moe.self_attention import SelfAttention


def softmax_attention(
    queries: Float[Tensor, "*batch queries width"],
    keys: Float[Tensor, "*batch keys width"],
    values: Float[Tensor, "*batch keys dim"],
    keep: Bool[Tensor, "*#batch keys 1"] | None = None,
) -> Float[Tensor, "*batch queries dim"]:
    """Compute Eq. 5, softmax(Q K^T / sqrt(d)) V, which compares every query with every key.

    No query reads a key where ``keep`` is false.
    """
    scores = at_least_float32(queries @ keys.transpose(-1, -2)) * queries.shape[-1] ** -0.5
    if keep is not None:
        scores = scores.masked_fill(~keep.transpose(-1, -2), torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).to(values.dtype) @ values


def efficient_attention(
    queries: Float[Tensor, "*batch queries width"],
    keys: Float[Tensor, "*batch keys width"],
    values: Float[Tensor, "*batch keys dim"],
) -> Float[Tensor, "*batch queries dim"]:
    """Compute the linear attention of Shen et al. (2021), whose feature maps are two softmaxes.

    A query is a distribution over the features, and each feature of the keys is one over the
    tokens. The rows of their product sum to one, so no denominator is needed.
    """
    summary = keys.softmax(dim=-2).transpose(-1, -2) @ values
    return queries.softmax(dim=-1) @ summary


def linformer_attention(
    queries: Float[Tensor, "*batch queries width"],
    keys: Float[Tensor, "*batch keys width"],
    values: Float[Tensor, "*batch keys dim"],
    key_projection: Float[Tensor, "mixtures keys"],
    value_projection: Float[Tensor, "mixtures keys"],
) -> Float[Tensor, "*batch queries dim"]:
    """Compute softmax attention over a few learned mixtures of the tokens (Wang et al., 2020).

    The projections are parameters, so the number of tokens is fixed.
    """
    return softmax_attention(queries, key_projection @ keys, value_projection @ values)


class SoftmaxAttention(SelfAttention):
    """Eq. 5 with the projections and heads of :class:`LinearAttention`, to compare the two."""

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """See :func:`softmax_attention`."""
        return softmax_attention(queries, keys, values, keep)
