"""Soft MoE (paper, Eq. 2-4; Puigcerver et al., "From Sparse to Soft Mixtures of Experts")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive, require_tokens, without_masked
from lasoftmoe.moe.experts import Experts
from lasoftmoe.moe.numerics import at_least_float32, no_float16
from lasoftmoe.moe.routing import RoutedLayer, Routing


class SoftMoE(RoutedLayer):
    """Soft MoE layer: a slot is an average of all tokens, an output token a mixture of all slots.

    :func:`lasoftmoe.moe.naive.soft_moe` is the same, line by line.

    Args:
        dim: Width d of the tokens.
        num_experts: Number of experts e.
        slots_per_expert: Number of slots s of each expert; the layer has e * s slots in total.
        hidden_dim: Hidden width of the experts; ``None`` means 4 * dim.
        normalize_routing: Compute the logits from L2-normalized tokens and L2-normalized columns
            of Phi, times a learned scale (Puigcerver et al., Section 2.3). ``False`` means X Phi as
            in Eq. 2 and Eq. 4, whose logits have no bound. The experts get the raw tokens anyway.
        routing_scale: Initial value of that scale; ``None`` means sqrt(dim), which gives logits of
            unit variance at the start.

    Raises:
        ValueError: If a size is below 1, or ``forward`` gets tokens of the wrong shape.
    """

    def __init__(
        self,
        dim: int,
        num_experts: int = 4,
        slots_per_expert: int = 49,
        hidden_dim: int | None = None,
        *,
        normalize_routing: bool = False,
        routing_scale: float | None = None,
    ) -> None:
        super().__init__()
        require_positive(dim=dim, num_experts=num_experts, slots_per_expert=slots_per_expert)
        self.dim = dim
        self.num_experts = num_experts
        self.slots_per_expert = slots_per_expert
        self.phi = nn.Parameter(torch.randn(num_experts, slots_per_expert, dim))
        self.experts = Experts(num_experts, dim, 4 * dim if hidden_dim is None else hidden_dim)
        self.scale: nn.Parameter | None = None
        if normalize_routing:
            scale = dim**0.5 if routing_scale is None else routing_scale
            # One element in one dimension, because sharded training refuses 0-d parameters.
            self.scale = nn.Parameter(torch.full((1,), float(scale)))
        elif routing_scale is not None:
            raise ValueError("routing_scale has an effect only with normalize_routing=True")

    def route(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Routing:
        """Compute logits, dispatch weights, and combine weights of tokens."""
        require_tokens(x, self.dim)
        with no_float16(x.device.type):
            logits = at_least_float32(self.routing_logits(without_masked(x, mask)))
            dispatch = self.dispatch_weights(logits, mask)
            combine = self.combine_weights(logits, mask)
        return Routing(logits, dispatch.to(x.dtype), combine.to(x.dtype))

    def routing_logits(
        self, x: Float[Tensor, "batch tokens dim"]
    ) -> Float[Tensor, "batch tokens experts slots"]:
        """Compute X Phi."""
        x = x.float() if x.dtype == torch.float16 else x
        phi = self.phi
        if self.scale is not None:
            x = F.normalize(at_least_float32(x), dim=-1).to(x.dtype)
            phi = F.normalize(at_least_float32(phi), dim=-1) * self.scale
        logits = x @ phi.to(x.dtype).flatten(0, 1).T
        return logits.unflatten(-1, (self.num_experts, self.slots_per_expert))

    def dispatch_weights(
        self,
        logits: Float[Tensor, "batch tokens experts slots"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens experts slots"]:
        """Compute D of Eq. 2: for each slot, a distribution over the tokens."""
        if mask is None:
            return logits.softmax(dim=1)
        kept = mask[:, :, None, None]
        # Not -inf: an image without any token would divide zero by zero.
        return logits.masked_fill(~kept, torch.finfo(logits.dtype).min).softmax(dim=1) * kept

    def combine_weights(
        self,
        logits: Float[Tensor, "batch tokens experts slots"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens experts slots"]:
        """Compute C of Eq. 4: for each token, a distribution over the slots of all experts."""
        weights = logits.flatten(2).softmax(dim=-1).view_as(logits)
        return weights if mask is None else weights * mask[:, :, None, None]

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, num_experts={self.num_experts}, "
            f"slots_per_expert={self.slots_per_expert}, "
            f"normalize_routing={self.scale is not None}"
        )
