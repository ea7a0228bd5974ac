"""Experts of Eq. 3: one small MLP each, all run in one batched product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive


class Experts(nn.Module):
    """Two-layer GELU MLPs, one per expert: dim -> hidden_dim -> dim (Eq. 3).

    Args:
        num_experts: Number of experts e.
        dim: Width d of a slot, in and out.
        hidden_dim: Width h between the two layers.

    Raises:
        ValueError: If a size is below 1, or ``forward`` gets slots of the wrong shape.
    """

    def __init__(self, num_experts: int, dim: int, hidden_dim: int) -> None:
        super().__init__()
        require_positive(num_experts=num_experts, dim=dim, hidden_dim=hidden_dim)
        self.num_experts = num_experts
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.weight_in = nn.Parameter(torch.empty(num_experts, dim, hidden_dim))
        self.bias_in = nn.Parameter(torch.zeros(num_experts, hidden_dim))
        self.weight_out = nn.Parameter(torch.empty(num_experts, hidden_dim, dim))
        self.bias_out = nn.Parameter(torch.zeros(num_experts, dim))
        # By hand: torch's initializers would take e and d of a 3-D weight for one fan-in.
        nn.init.normal_(self.weight_in, std=dim**-0.5)
        nn.init.normal_(self.weight_out, std=hidden_dim**-0.5)

    def forward(
        self, slots: Float[Tensor, "batch experts slots dim"]
    ) -> Float[Tensor, "batch experts slots dim"]:
        """Run expert i on ``slots[:, i]``."""
        batch, _, per_expert, _ = self._require_slots(slots)
        x = slots.transpose(0, 1).reshape(self.num_experts, batch * per_expert, self.dim)
        # Adding in place saves a pass over memory and, under autocast, keeps half precision.
        hidden = F.gelu(torch.bmm(x, self.weight_in).add_(self.bias_in[:, None]))
        y = torch.bmm(hidden, self.weight_out).add_(self.bias_out[:, None])
        return y.view(self.num_experts, batch, per_expert, self.dim).transpose(0, 1)

    def _require_slots(self, slots: Tensor) -> torch.Size:
        if slots.dim() != 4 or slots.shape[1] != self.num_experts or slots.shape[3] != self.dim:
            raise ValueError(
                f"expected slots of shape (batch, {self.num_experts}, slots, {self.dim}), "
                f"got {tuple(slots.shape)}"
            )
        return slots.shape

    def extra_repr(self) -> str:
        return f"num_experts={self.num_experts}, dim={self.dim}, hidden_dim={self.hidden_dim}"
