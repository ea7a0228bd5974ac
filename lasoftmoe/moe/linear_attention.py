"""Linear attention (paper, Eq. 6; Katharopoulos et al., "Transformers are RNNs", 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.moe.checks import at_least_float32, require_choice
from lasoftmoe.moe.self_attention import SelfAttention


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1, the feature map of Katharopoulos et al.

    Written as max(x, 0) + exp(min(x, 0)): the same function, but adding 1 to elu(x) rounds
    to zero below about -17 in float32, this one only below about -100. It is also several
    times faster on a CPU, where elu calls expm1 and where clamp is slow to differentiate.
    """
    positive = F.relu(x)
    return positive + (x - positive).exp_()


FEATURE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {"elu": elu_plus_one, "relu": F.relu}
"""Elementwise maps to non-negative features. ``relu`` drops what a query and a key share below
zero and lets no gradient through there; Katharopoulos et al. prefer elu + 1 for that reason."""


def linear_attention(
    query_features: Tensor,
    key_features: Tensor,
    values: Tensor,
    normalize: bool = True,
    eps: float = 1e-6,
) -> Tensor:
    """phi(Q) (phi(K)^T V): tokens are summed into one small matrix, which each query reads.

    Args:
        query_features: phi(Q), (..., tokens, features), non-negative.
        key_features: phi(K), (..., tokens, features), non-negative.
        values: V, (..., tokens, dim).
        normalize: divide by phi(Q) (sum of phi(K) over the tokens), so that each output is
            an average of values. Eq. 6 of the paper leaves this denominator out.
        eps: lower bound of the denominator, for queries without any feature left.

    Returns:
        (..., tokens, dim).
    """
    # phi(K)^T V; written this way, the gradient of phi(K) comes out without a transposed layout.
    summary = (values.transpose(-1, -2) @ key_features).transpose(-1, -2)
    output = query_features @ summary
    if not normalize:
        return output
    # A product with one column is slow as a matrix product; a sum of products is not.
    key_sum = at_least_float32(key_features).sum(dim=-2, keepdim=True)
    total = (query_features * key_sum.to(output.dtype)).sum(dim=-1, keepdim=True)
    return output / total.clamp(min=eps)


class LinearAttention(SelfAttention):
    """Self-attention of cost linear in the number of tokens (Eq. 6).

    Args:
        dim, heads, project: as in :class:`SelfAttention`.
        feature_map: ``"elu"`` (elu + 1) or ``"relu"``.
        normalize: Katharopoulos' denominator, which Eq. 6 leaves out.

    Raises:
        ValueError: as in :class:`SelfAttention`; an unknown feature map.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 1,
        feature_map: str = "elu",
        project: bool = True,
        normalize: bool = True,
    ) -> None:
        super().__init__(dim, heads, project)
        require_choice("feature_map", feature_map, tuple(FEATURE_MAPS))
        self.feature_map = feature_map
        self.normalize = normalize

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """See :func:`linear_attention`."""
        phi = FEATURE_MAPS[self.feature_map]
        # Sums over tokens of non-negative features only grow: float16 overflows here. bfloat16
        # does not, and its products are many times faster on a GPU than those of float32.
        product_dtype = values.dtype if values.dtype != torch.float16 else torch.float32
        with torch.autocast(values.device.type, enabled=False):
            queries, keys = phi(at_least_float32(queries)), phi(at_least_float32(keys))
            if keep is not None:
                keys = keys * keep
            queries, keys, values = (t.to(product_dtype) for t in (queries, keys, values))
            return linear_attention(queries, keys, values, self.normalize)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, feature_map={self.feature_map!r}, normalize={self.normalize}"
        )
