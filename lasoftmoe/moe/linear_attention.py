"""Linear attention (paper, Eq. 6; Katharopoulos et al., "Transformers are RNNs", 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lasoftmoe.moe.checks import require_choice
from lasoftmoe.moe.numerics import at_least_float32
from lasoftmoe.moe.self_attention import SelfAttention

FeatureMap = Literal["elu", "relu"]


def elu_plus_one(x: Tensor) -> Tensor:
    """Compute elu(x) + 1, the feature map of Katharopoulos et al.

    It is written as max(x, 0) + exp(min(x, 0)), which is the same function. In float32, adding 1
    to elu(x) rounds to zero below about -17, but this form only below about -100. It is also
    several times faster on a CPU, where elu calls expm1 and where clamp is slow to differentiate.
    """
    positive = F.relu(x)
    return positive + (x - positive).exp_()


FEATURE_MAPS: dict[FeatureMap, Callable[[Tensor], Tensor]] = {"elu": elu_plus_one, "relu": F.relu}
"""Elementwise maps to non-negative features. ``relu`` drops what a query and a key share below
zero and lets no gradient through there, so Katharopoulos et al. prefer elu + 1."""


def linear_attention(
    query_features: Float[Tensor, "*batch queries features"],
    key_features: Float[Tensor, "*batch keys features"],
    values: Float[Tensor, "*batch keys dim"],
    normalize: bool = True,
    eps: float = 1e-6,
) -> Float[Tensor, "*batch queries dim"]:
    """Compute phi(Q) (phi(K)^T V), Eq. 6: each query reads one small summary of all tokens.

    Args:
        query_features: phi(Q), non-negative.
        key_features: phi(K), non-negative.
        values: V.
        normalize: Divide by phi(Q) (sum of phi(K) over the tokens), so that each output is an
            average of values. Eq. 6 omits this denominator.
        eps: Lower bound of the denominator, for queries without any feature left.
    """
    # phi(K)^T V, written so that the gradient of phi(K) does not get a transposed layout.
    summary = (values.transpose(-1, -2) @ key_features).transpose(-1, -2)
    output = query_features @ summary
    if not normalize:
        return output
    # A matrix product with a single column is slow; a sum of products is not.
    key_sum = at_least_float32(key_features).sum(dim=-2, keepdim=True)
    total = (query_features * key_sum.to(output.dtype)).sum(dim=-1, keepdim=True)
    return output / total.clamp(min=eps)


class LinearAttention(SelfAttention):
    """Self-attention of cost linear in the number of tokens (Eq. 6).

    Args:
        dim, heads, project: See :class:`SelfAttention`.
        feature_map: ``"elu"`` (elu + 1) or ``"relu"``.
        normalize: Divide by Katharopoulos' denominator, which Eq. 6 omits.

    Raises:
        ValueError: As in :class:`SelfAttention`, or if the feature map is unknown.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 1,
        feature_map: FeatureMap = "elu",
        project: bool = True,
        normalize: bool = True,
    ) -> None:
        super().__init__(dim, heads, project)
        require_choice("feature_map", feature_map, FeatureMap)
        self.feature_map: FeatureMap = feature_map
        self.normalize = normalize

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """See :func:`linear_attention`."""
        phi = FEATURE_MAPS[self.feature_map]
        # Sums over tokens of non-negative features only grow, and float16 overflows here. bfloat16
        # does not, and on a GPU its products are many times faster than those of float32.
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
