"""La-SoftMoE (paper, Eq. 7 and Algorithm 2): combine weights from linear attention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.moe.checks import require_choice
from lasoftmoe.moe.linear_attention import LinearAttention
from lasoftmoe.moe.self_attention import SelfAttention
from lasoftmoe.moe.soft_moe import SoftMoE
from lasoftmoe.moe.softmax_attention import SoftmaxAttention

VARIANTS = ("paper", "stable")
ATTENTIONS = ("linear", "softmax")


def instance_norm(weights: Tensor, eps: float = 1e-5) -> Tensor:
    """Instance Norm of Algorithm 2, line 8, on ``weights`` (batch, tokens, experts * slots).

    In the layout of Algorithm 2 a token is a channel, so each token's weights get zero mean
    and unit (biased) variance over the e * s slots: what ``torch.nn.InstanceNorm1d`` does to
    a tensor of this shape, which is also a layer norm over its last axis.
    """
    return F.layer_norm(weights, weights.shape[-1:], eps=eps)


class LaSoftMoE(SoftMoE):
    """Soft MoE whose combine weights are linear attention among the tokens' logits (Eq. 7).

    ``variant="paper"`` is Algorithm 2 to the letter: raw logits, linear attention over them,
    Instance Norm. Its combine weights have zero mean: about half are negative, whatever the
    paper says of them. ``variant="stable"`` normalizes the routing, keeps the logits as a
    residual, so that tokens keep different weights, and makes the weights of each token
    non-negative with sum one: softplus(logits + InstanceNorm(LinearAttention(logits))) over
    its row sum.

    Args:
        dim, num_experts, slots_per_expert, hidden_dim: as in :class:`SoftMoE`.
        variant: ``"paper"`` or ``"stable"``.
        normalize_routing: as in :class:`SoftMoE`; ``None`` means the variant's own choice
            (paper: False, stable: True).
        routing_scale: as in :class:`SoftMoE`.
        heads, feature_map, project, normalize: of the :class:`LinearAttention` over the
            logits, whose width is num_experts * slots_per_expert. The paper gives none of
            them. With one head Instance Norm cancels the denominator that ``normalize``
            switches, since it divides a token's whole row by one positive number.
        attention: ``"linear"``, or ``"softmax"`` for :class:`SoftmaxAttention` in its place
            (Eq. 5, from which the paper sets out), which has heads and projections only.

    Raises:
        ValueError: as in :class:`SoftMoE` and :class:`LinearAttention`; an unknown variant or
            attention; a single slot in all with ``variant="paper"``, whose only weight would
            always be 0.
    """

    def __init__(
        self,
        dim: int,
        num_experts: int = 4,
        slots_per_expert: int = 49,
        hidden_dim: int | None = None,
        *,
        variant: str = "paper",
        normalize_routing: bool | None = None,
        routing_scale: float | None = None,
        heads: int = 1,
        feature_map: str = "elu",
        project: bool = True,
        normalize: bool = True,
        attention: str = "linear",
    ) -> None:
        require_choice("variant", variant, VARIANTS)
        require_choice("attention", attention, ATTENTIONS)
        if normalize_routing is None:
            normalize_routing = variant == "stable"
        super().__init__(
            dim,
            num_experts,
            slots_per_expert,
            hidden_dim,
            normalize_routing=normalize_routing,
            routing_scale=routing_scale,
        )
        width = num_experts * slots_per_expert
        if variant == "paper" and width == 1:
            raise ValueError("variant='paper' needs at least two slots in all, got 1")
        self.variant = variant
        self.attention: SelfAttention
        if attention == "softmax":
            self.attention = SoftmaxAttention(width, heads, project)
        else:
            self.attention = LinearAttention(width, heads, feature_map, project, normalize)

    def combine_weights(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """C of Eq. 7, normalized as the variant says."""
        weights = instance_norm(self.attention(logits.flatten(2), mask)).view_as(logits)
        if self.variant == "stable":
            weights = positive_rows(logits + weights)
        return weights if mask is None else weights * mask[:, :, None, None]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, variant={self.variant!r}"


def positive_rows(scores: Tensor, floor: float = 1e-6) -> Tensor:
    """softplus(scores) over its sum across (experts, slots): non-negative rows that sum to one.

    ``floor`` is added to every weight first; a token that all slots reject strongly gets
    uniform weights instead of 0 / 0.
    """
    weights = F.softplus(scores) + floor
    return weights / weights.sum(dim=(-2, -1), keepdim=True)
