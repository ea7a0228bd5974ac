"""Sparse MoE, in which each token goes to its k best experts while they have space.

Shazeer et al. 2017 (noisy top-k gating), Lepikhin et al. 2021 (GShard: capacity), Fedus et al.
2022 (Switch: k = 1, balance loss) and Zoph et al. 2022 (ST-MoE: z-loss).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from lasoftmoe.moe.checks import (
    require_choice,
    require_mask,
    require_positive,
    require_tokens,
    without_masked,
)
from lasoftmoe.moe.experts import Experts
from lasoftmoe.moe.numerics import at_least_float32
from lasoftmoe.moe.routing import RoutedLayer, Routing

Priority = Literal["position", "weight"]


class TopKMoE(RoutedLayer):
    """Sparse MoE layer: every token goes to k experts, and a full expert drops later tokens.

    Each image has its own queues, so images of a batch do not compete. All first choices of an
    image are served before any second choice (GShard). A dropped choice adds nothing to its token;
    in a transformer, the residual connection still carries the token.

    In its :class:`Routing`, ``dispatch`` (batch, tokens, experts, capacity) is one where a token
    took a place in a queue, and ``combine`` has the gate weight there. The forward pass is the same
    two matrix products as in Soft MoE. They need no indexing and no synchronization with a GPU, but
    multiply mostly zeros.

    Args:
        dim: Width of the tokens.
        num_experts: Number of experts.
        k: Experts per token, at most ``num_experts``.
        capacity_factor: See :func:`expert_capacity`; ``None`` drops nothing.
        hidden_dim: Hidden width of the experts; ``None`` means 4 * dim.
        normalize_gates: Make a token's k gate weights sum to one before any is dropped (GShard,
            ST-MoE). Otherwise, they are the router's probabilities. With k = 1, only these send a
            gradient to the router (Switch). ``None`` means True for k > 1.
        priority: Order within a round of choices: ``"position"`` (earlier tokens first) or
            ``"weight"`` (tokens surest of their first choice first; V-MoE's batch prioritized
            routing, here within an image).
        noise: Standard deviation of the normal noise on the logits in training.

    Raises:
        ValueError: If a size is below 1, k is above num_experts, the capacity factor is not
            positive, the noise is negative, the priority is unknown, or ``forward`` gets tokens or
            a mask of the wrong shape.
    """

    def __init__(
        self,
        dim: int,
        num_experts: int = 4,
        k: int = 2,
        capacity_factor: float | None = 1.25,
        hidden_dim: int | None = None,
        *,
        normalize_gates: bool | None = None,
        priority: Priority = "position",
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive(dim=dim)
        expert_capacity(1, num_experts, k, capacity_factor)
        require_choice("priority", priority, Priority)
        if noise < 0:
            raise ValueError(f"noise is a standard deviation and must be at least 0, got {noise}")
        self.dim = dim
        self.num_experts = num_experts
        self.k = k
        self.capacity_factor = capacity_factor
        self.normalize_gates = k > 1 if normalize_gates is None else normalize_gates
        self.priority = priority
        self.noise = noise
        self.router = nn.Parameter(torch.randn(num_experts, dim) * dim**-0.5)
        self.experts = Experts(num_experts, dim, 4 * dim if hidden_dim is None else hidden_dim)

    def route(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Routing:
        """Choose experts and places in their queues for the tokens."""
        require_tokens(x, self.dim)
        logits = self.router_logits(without_masked(x, mask))
        dispatch, combine = self.assign(logits.softmax(dim=-1), mask)
        return Routing(logits[..., None], dispatch.to(x.dtype), combine.to(x.dtype))

    def router_logits(
        self, x: Float[Tensor, "batch tokens dim"]
    ) -> Float[Tensor, "batch tokens experts"]:
        """Compute logits in at least float32, so that rounding does not decide who wins."""
        with torch.autocast(x.device.type, enabled=False):
            logits = at_least_float32(x) @ at_least_float32(self.router).T
        if self.training and self.noise:
            logits = logits + self.noise * torch.randn_like(logits)
        return logits

    def assign(
        self,
        probabilities: Float[Tensor, "batch tokens experts"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
    ) -> tuple[
        Bool[Tensor, "batch tokens experts capacity"],
        Float[Tensor, "batch tokens experts capacity"],
    ]:
        """Return dispatch and combine weights; tokens where ``mask`` is false take no place."""
        tokens = probabilities.shape[1]
        capacity = expert_capacity(tokens, self.num_experts, self.k, self.capacity_factor)
        gates, chosen = probabilities.topk(self.k, dim=-1)
        if self.normalize_gates:
            gates = gates / gates.sum(dim=-1, keepdim=True)
        choices = F.one_hot(chosen, self.num_experts)  # (batch, tokens, k, experts)
        if mask is not None:
            choices = choices * mask[:, :, None, None]
        surest_first = probabilities.amax(dim=-1) if self.priority == "weight" else None
        places = queue_places(choices, surest_first)
        # A token chooses an expert at most once, so its k choices fit into one row.
        place = (places * choices).sum(dim=2)[..., None]
        taken = place == torch.arange(capacity, device=place.device)
        dispatch = taken & choices.any(dim=2)[..., None]
        weights = (gates[..., None] * choices).sum(dim=2)[..., None]
        return dispatch, weights * dispatch

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, num_experts={self.num_experts}, k={self.k}, "
            f"capacity_factor={self.capacity_factor}, normalize_gates={self.normalize_gates}, "
            f"priority={self.priority!r}, noise={self.noise}"
        )


def expert_capacity(
    tokens: int, num_experts: int, k: int, capacity_factor: float | None = 1.25
) -> int:
    """Return the places in each expert's queue for one image, factor * k * tokens / experts.

    The result is rounded up. A factor of one leaves just enough places if all experts are chosen
    equally often. No token can choose an expert twice, so ``tokens`` places are always enough, and
    a factor of ``None`` means that many.

    Raises:
        ValueError: If a size is below 1, k is above num_experts, or the factor is not positive.
    """
    require_positive(tokens=tokens, num_experts=num_experts, k=k)
    if k > num_experts:
        raise ValueError(f"a token cannot choose k={k} of {num_experts} experts")
    if capacity_factor is None:
        return tokens
    if not capacity_factor > 0:
        raise ValueError(f"capacity_factor must be greater than 0 or None, got {capacity_factor}")
    # The factor may be a rounded decimal: 1.1 * 10 is a hair above 11.
    return min(tokens, math.ceil(capacity_factor * k * tokens / num_experts - 1e-9))


def queue_places(
    choices: Int[Tensor, "batch tokens k experts"],
    priority: Num[Tensor, "batch tokens"] | None = None,
) -> Int[Tensor, "batch tokens k experts"]:
    """Return the place, from 0, that each choice has in its expert's queue.

    Args:
        choices: One for the chosen expert, otherwise zero.
        priority: Tokens with the highest values are served first; ``None`` means by position.

    Returns:
        Places; those of experts not chosen mean nothing.
    """
    if priority is not None:
        order = priority.argsort(dim=1, descending=True, stable=True)
        served = choices.gather(1, order[:, :, None, None].expand_as(choices))
        places = queue_places(served)
        return places.gather(1, order.argsort(dim=1)[:, :, None, None].expand_as(choices))
    rounds = choices.transpose(1, 2)  # all first choices, then all second ones
    places = rounds.flatten(1, 2).cumsum(dim=1) - 1
    return places.view_as(rounds).transpose(1, 2)


def balance_loss(
    logits: Float[Tensor, "batch tokens *experts"],
    k: int,
    mask: Bool[Tensor, "batch tokens"] | None = None,
) -> Float[Tensor, ""]:
    """Measure how unevenly experts are used (Switch, Eq. 4).

    The loss is experts * sum over experts of (its share of the choices, including dropped ones) *
    (mean probability that the router gave it). The shares are counts without a gradient; the
    probabilities have one. The loss is 1 for even use and rises to experts / k if the same few
    experts get all tokens.

    It is exactly 1 if the shares, or the mean probabilities, are equal for all experts. That is not
    quite the minimum. If the expert chosen most often has the lower mean probability, because it
    wins narrowly and the others clearly, the loss is a little below 1 (for two experts and k = 1,
    down to 7/8).

    Args:
        logits: (batch, tokens, experts) or, as in :class:`Routing`, (batch, tokens, experts, 1).
        k: Choices per token that count. Switch and GShard count only the first.
        mask: False for tokens that do not count.
    """
    logits, weights = _counted(logits, mask)
    experts = logits.shape[-1]
    chosen = F.one_hot(logits.topk(k, dim=-1).indices, experts).sum(dim=2) / k
    shares = (chosen * weights).sum(dim=(0, 1))
    probabilities = (logits.softmax(dim=-1) * weights).sum(dim=(0, 1))
    return experts * (shares * probabilities).sum()


def z_loss(
    logits: Float[Tensor, "batch tokens *experts"], mask: Bool[Tensor, "batch tokens"] | None = None
) -> Float[Tensor, ""]:
    """Return the mean squared log of the softmax's denominator (ST-MoE, Eq. 5).

    It keeps logits small. Arguments are as in :func:`balance_loss`.
    """
    logits, weights = _counted(logits, mask)
    return (logits.logsumexp(dim=-1, keepdim=True).square() * weights).sum()


def _counted(logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return logits (batch, tokens, experts) and weights (batch, tokens, 1) of a token mean."""
    if logits.dim() == 4 and logits.shape[-1] == 1:
        logits = logits.squeeze(-1)
    if logits.dim() != 3:
        raise ValueError(
            f"expected router logits of shape (batch, tokens, experts), got {tuple(logits.shape)}"
        )
    require_mask(mask, logits)
    logits = at_least_float32(logits)
    counts = logits.new_ones(logits.shape[:2]) if mask is None else mask.to(logits.dtype)
    return logits, (counts / counts.sum().clamp(min=1))[..., None]
