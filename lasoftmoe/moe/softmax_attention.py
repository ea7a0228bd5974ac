"""Other ways from queries, keys and values to averages of values, beside linear attention.

All of them take (..., tokens, dim) and are written to be read; none replaces PyTorch's fused
``scaled_dot_product_attention``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lasoftmoe.moe.checks import at_least_float32
from lasoftmoe.moe.self_attention import SelfAttention


def softmax_attention(
    queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None = None
) -> Tensor:
    """Eq. 5: softmax(Q K^T / sqrt(d)) V. Compares every query with every key: tokens² products.

    ``keep`` is bool (..., tokens, 1), false for keys that nobody may read.
    """
    scores = at_least_float32(queries @ keys.transpose(-1, -2)) * queries.shape[-1] ** -0.5
    if keep is not None:
        scores = scores.masked_fill(~keep.transpose(-1, -2), torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).to(values.dtype) @ values


def efficient_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Shen et al. 2021: linear attention whose feature maps are two softmaxes.

    A query is a distribution over the features, each feature of the keys one over the tokens.
    Their product has rows that sum to one, so that no denominator is needed.
    """
    summary = keys.softmax(dim=-2).transpose(-1, -2) @ values
    return queries.softmax(dim=-1) @ summary


def linformer_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    key_projection: Tensor,
    value_projection: Tensor,
) -> Tensor:
    """Wang et al. 2020: softmax attention over a few learned mixtures of the tokens.

    The projections (mixtures, tokens) are parameters, so that the number of tokens is fixed.
    """
    return softmax_attention(queries, key_projection @ keys, value_projection @ values)


class SoftmaxAttention(SelfAttention):
    """Eq. 5 with the projections and heads of :class:`LinearAttention`, to compare the two."""

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """See :func:`softmax_attention`."""
        return softmax_attention(queries, keys, values, keep)
