"""Linear attention (paper, Eq. 6; Katharopoulos et al., "Transformers are RNNs", 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lasoftmoe.moe.checks import (
    at_least_float32,
    require_choice,
    require_positive,
    require_tokens,
    without_masked,
)


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1, the feature map of Katharopoulos et al.

    Written as max(x, 0) + exp(min(x, 0)): the same function, but adding 1 to elu(x) rounds
    to zero below about -17 in float32, this one only below about -100.
    """
    return F.relu(x) + x.clamp(max=0).exp()


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
    summary = key_features.transpose(-1, -2) @ values
    output = query_features @ summary
    if not normalize:
        return output
    key_sum = key_features.sum(dim=-2).unsqueeze(-1)
    return output / (query_features @ key_sum).clamp(min=eps)


class LinearAttention(nn.Module):
    """Self-attention of cost linear in the number of tokens (Eq. 6).

    Args:
        dim: width of the tokens, in and out.
        heads: number of heads; has to divide ``dim``.
        feature_map: ``"elu"`` (elu + 1) or ``"relu"``.
        project: make queries, keys and values by learned projections without bias; otherwise
            all three are the input itself. The paper does not say.
        normalize: Katharopoulos' denominator, which Eq. 6 leaves out.

    Raises:
        ValueError: a size below 1, heads that do not divide dim, an unknown feature map.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 1,
        feature_map: str = "elu",
        project: bool = True,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        require_positive(dim=dim, heads=heads)
        require_choice("feature_map", feature_map, tuple(FEATURE_MAPS))
        if dim % heads:
            raise ValueError(f"dim={dim} is not divisible by heads={heads}")
        self.dim = dim
        self.heads = heads
        self.feature_map = feature_map
        self.normalize = normalize
        self.qkv = nn.Linear(dim, 3 * dim, bias=False) if project else None
        if self.qkv is not None:
            nn.init.normal_(self.qkv.weight, std=dim**-0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend among the tokens of ``x`` (batch, tokens, dim); the same shape comes back.

        ``mask`` is bool (batch, tokens), false for tokens that nobody attends to.
        """
        require_tokens(x, self.dim)
        phi = FEATURE_MAPS[self.feature_map]
        queries, keys, values = self._heads(without_masked(x, mask))
        # Sums over tokens of non-negative features only grow: half precision overflows here.
        with torch.autocast(x.device.type, enabled=False):
            queries, keys, values = map(at_least_float32, (queries, keys, values))
            keys = phi(keys) if mask is None else phi(keys) * mask[:, None, :, None]
            output = linear_attention(phi(queries), keys, values, self.normalize)
        return output.transpose(1, 2).flatten(2).to(x.dtype)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, dim / heads)."""
        if self.qkv is None:
            parts = (x, x, x)
        else:
            parts = self.qkv(x.to(self.qkv.weight.dtype)).chunk(3, dim=-1)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts
        )
        return queries, keys, values

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, heads={self.heads}, feature_map={self.feature_map!r}, "
            f"project={self.qkv is not None}, normalize={self.normalize}"
        )
