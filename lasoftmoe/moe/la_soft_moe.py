"""La-SoftMoE: Soft MoE with combine weights from linear attention.

Implements Eq. 7 and Algorithm 2 of Zou et al. (2024).
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lasoftmoe.moe.checks import require_choice
from lasoftmoe.moe.linear_attention import FeatureMap, LinearAttention
from lasoftmoe.moe.self_attention import SelfAttention
from lasoftmoe.moe.soft_moe import SoftMoE
from lasoftmoe.moe.softmax_attention import SoftmaxAttention

Variant = Literal["paper", "stable"]
Attention = Literal["linear", "softmax"]


def instance_norm(
    weights: Float[Tensor, "*batch tokens slots"], eps: float = 1e-5
) -> Float[Tensor, "*batch tokens slots"]:
    """Apply Instance Norm to combine weights (Algorithm 2, line 8).

    In the layout of Algorithm 2, a token is a channel, so each token's weights get zero mean and
    unit (biased) variance over the e * s slots. ``torch.nn.InstanceNorm1d`` does the same to a
    tensor of this shape. So does a layer norm over its last axis.
    """
    return F.layer_norm(weights, weights.shape[-1:], eps=eps)


class LaSoftMoE(SoftMoE):
    """Soft MoE layer whose combine weights come from linear attention over the logits.

    ``variant="paper"`` follows Algorithm 2: raw logits, linear attention, Instance Norm. Each
    token's weights have mean zero, so about half are negative, although the paper says (0, 1).

    ``variant="stable"`` is our repair. It normalizes the routing and computes the weights as
    ``softplus(logits + instance_norm(attention(logits)))``, divided by each token's sum, so
    they are non-negative and sum to one. The added logits keep tokens' weights different.

    :func:`lasoftmoe.moe.naive.la_soft_moe` has Algorithm 2 line by line. Here its lines are in:

    ====== ========================================= ===========================================
    Line   Algorithm 2                               Method
    ====== ========================================= ===========================================
    2      n, d <- X.shape                           ``forward``, which checks the shape
    3      Phi <- randn(e, s, d)                     ``__init__``, as a parameter
    4      logits <- X Phi                           ``routing_logits``
    5      D <- softmax of logits over tokens        ``dispatch_weights``
    6, 7   C <- LinearAttention(logits as n, (e s))  ``combine_weights``, through ``attention``
    8      C <- InstanceNorm(C)                      ``combine_weights``, :func:`instance_norm`
    9      slots <- D^T X                            ``forward``
    10     out <- experts(slots)                     ``forward``, through ``experts``
    11, 12 out <- C (out as (e s), d)                ``forward``
    ====== ========================================= ===========================================

    Args:
        dim, num_experts, slots_per_expert, hidden_dim, routing_scale: See :class:`SoftMoE`.
        variant: ``"paper"`` or ``"stable"``.
        normalize_routing: See :class:`SoftMoE`. ``None`` means False for ``"paper"`` and True
            for ``"stable"``.
        heads, project: See :class:`SelfAttention`. The paper specifies neither.
        feature_map, normalize: See :class:`LinearAttention`; unused by softmax attention. With
            one head, Instance Norm cancels the effect of ``normalize``.
        attention: ``"linear"`` (Eq. 6) or ``"softmax"`` (Eq. 5).

    Raises:
        ValueError: If a size or choice is invalid, or if ``variant="paper"`` has only one slot
            in total, whose weight would always be zero.
    """

    def __init__(
        self,
        dim: int,
        num_experts: int = 4,
        slots_per_expert: int = 49,
        hidden_dim: int | None = None,
        *,
        variant: Variant = "paper",
        normalize_routing: bool | None = None,
        routing_scale: float | None = None,
        heads: int = 1,
        feature_map: FeatureMap = "elu",
        project: bool = True,
        normalize: bool = True,
        attention: Attention = "linear",
    ) -> None:
        require_choice("variant", variant, Variant)
        require_choice("attention", attention, Attention)
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
            raise ValueError("variant='paper' needs at least two slots in total, got 1")
        self.variant: Variant = variant
        self.attention: SelfAttention
        if attention == "softmax":
            self.attention = SoftmaxAttention(width, heads, project)
        else:
            self.attention = LinearAttention(width, heads, feature_map, project, normalize)

    def combine_weights(
        self,
        logits: Float[Tensor, "batch tokens experts slots"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens experts slots"]:
        """Compute C of Eq. 7 (Algorithm 2, lines 6-8), then normalize it as the variant says."""
        weights = instance_norm(self.attention(logits.flatten(2), mask)).view_as(logits)
        if self.variant == "stable":
            weights = positive_rows(logits + weights)
        return weights if mask is None else weights * mask[:, :, None, None]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, variant={self.variant!r}"


def positive_rows(
    scores: Float[Tensor, "batch tokens experts slots"], floor: float = 1e-6
) -> Float[Tensor, "batch tokens experts slots"]:
    """Divide softplus(scores) by each token's sum: non-negative weights that sum to one.

    ``floor`` is added to every weight first, so a token that all slots reject strongly gets
    uniform weights instead of 0 / 0.
    """
    weights = F.softplus(scores) + floor
    return weights / weights.sum(dim=(-2, -1), keepdim=True)
