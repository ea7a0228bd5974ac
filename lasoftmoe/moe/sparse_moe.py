"""Sparse MoE: each token goes to its k best experts, as long as they have room.

Shazeer et al. 2017 (noisy top-k gating), Lepikhin et al. 2021 (GShard: capacity), Fedus et al.
2022 (Switch: k = 1, balance loss) and Zoph et al. 2022 (ST-MoE: z-loss).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lasoftmoe.moe.checks import (
    at_least_float32,
    require_choice,
    require_mask,
    require_positive,
    require_tokens,
    without_masked,
)
from lasoftmoe.moe.experts import Experts
from lasoftmoe.moe.routing import RoutedLayer, Routing

PRIORITIES = ("position", "weight")


class TopKMoE(RoutedLayer):
    """Every token goes to k experts; an expert that is full drops what comes later.

    The queues are those of one image, so that images of a batch do not compete. All first
    choices of an image are served before any second choice (GShard). A dropped choice adds
    nothing to its token: in a transformer the residual connection carries it on.

    ``route`` says where everything went: ``dispatch`` (batch, tokens, experts, capacity) is one
    where a token took a place in a queue, ``combine`` holds the gate weight there. The forward
    pass is the same two matrix products as in Soft MoE, with these weights; that costs no
    indexing and no synchronization with a GPU, but multiplies mostly zeros.

    Args:
        dim: width of the tokens.
        num_experts: number of experts.
        k: experts per token, at most ``num_experts``.
        capacity_factor: places for an image's choices over the number of these choices, as
            :func:`expert_capacity` takes it; ``None`` drops nothing.
        hidden_dim: hidden width of the experts; ``None`` means 4 * dim.
        normalize_gates: make a token's k gate weights sum to one before any is dropped (GShard,
            ST-MoE). Off, they are the router's probabilities; with k = 1 only these send a
            gradient to the router (Switch). ``None`` means on for k > 1.
        priority: who is served first within a round of choices: ``"position"`` (the earlier
            token) or ``"weight"`` (the token surest of its first choice; V-MoE's batch
            prioritized routing, here within an image).
        noise: standard deviation of the normal noise on the logits in training (0: none).

    Raises:
        ValueError: a size below 1, k above num_experts, a capacity factor of 0 or less,
            negative noise, an unknown priority; tokens or a mask of the wrong shape in
            ``forward``.
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
        priority: str = "position",
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive(dim=dim)
        expert_capacity(1, num_experts, k, capacity_factor)
        require_choice("priority", priority, PRIORITIES)
        if noise < 0:
            raise ValueError(f"noise is a standard deviation, at least 0, got {noise}")
        self.dim = dim
        self.num_experts = num_experts
        self.k = k
        self.capacity_factor = capacity_factor
        self.normalize_gates = k > 1 if normalize_gates is None else normalize_gates
        self.priority = priority
        self.noise = noise
        self.router = nn.Parameter(torch.randn(num_experts, dim) * dim**-0.5)
        self.experts = Experts(num_experts, dim, 4 * dim if hidden_dim is None else hidden_dim)

    def route(self, x: Tensor, mask: Tensor | None = None) -> Routing:
        """Who goes where, for tokens ``x`` (batch, tokens, dim)."""
        require_tokens(x, self.dim)
        logits = self.router_logits(without_masked(x, mask))
        dispatch, combine = self.assign(logits.softmax(dim=-1), mask)
        return Routing(logits[..., None], dispatch.to(x.dtype), combine.to(x.dtype))

    def router_logits(self, x: Tensor) -> Tensor:
        """(batch, tokens, experts), in float32 at least: who wins must not hang on rounding."""
        with torch.autocast(x.device.type, enabled=False):
            logits = at_least_float32(x) @ at_least_float32(self.router).T
        if self.training and self.noise:
            logits = logits + self.noise * torch.randn_like(logits)
        return logits

    def assign(self, probabilities: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Dispatch and combine weights, each (batch, tokens, experts, capacity).

        Args:
            probabilities: (batch, tokens, experts).
            mask: bool (batch, tokens); a token where it is false takes no place.
        """
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
        # A token chooses an expert once at most, so that its k choices fit into one row.
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
    """Places in each expert's queue for one image: ceil(factor * k * tokens / experts).

    With a factor of one there is exactly room for all choices if all experts are chosen equally
    often. No expert can be chosen by a token twice, so that ``tokens`` places are always enough.

    Raises:
        ValueError: a size below 1, k above num_experts, a factor of 0 or less.
    """
    require_positive(tokens=tokens, num_experts=num_experts, k=k)
    if k > num_experts:
        raise ValueError(f"a token cannot choose k={k} of {num_experts} experts")
    if capacity_factor is None:
        return tokens
    if not capacity_factor > 0:
        raise ValueError(f"capacity_factor has to be greater than 0 or None, got {capacity_factor}")
    # The factor may be a rounded decimal: 1.1 * 10 is a hair above 11.
    return min(tokens, math.ceil(capacity_factor * k * tokens / num_experts - 1e-9))


def queue_places(choices: Tensor, priority: Tensor | None = None) -> Tensor:
    """The place, from 0, that each choice has in its expert's queue.

    Args:
        choices: (batch, tokens, k, experts), one for the expert chosen, else zero.
        priority: (batch, tokens), the highest is served first; ``None``: the first token.

    Returns:
        Places of the shape of ``choices``; those of experts not chosen mean nothing.
    """
    if priority is not None:
        order = priority.argsort(dim=1, descending=True, stable=True)
        served = choices.gather(1, order[:, :, None, None].expand_as(choices))
        places = queue_places(served)
        return places.gather(1, order.argsort(dim=1)[:, :, None, None].expand_as(choices))
    rounds = choices.transpose(1, 2)  # all first choices, then all second ones
    places = rounds.flatten(1, 2).cumsum(dim=1) - 1
    return places.view_as(rounds).transpose(1, 2)


def balance_loss(logits: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """1 when experts are used evenly, up to experts / k when the same few get all (Switch, Eq. 4).

    experts * sum over experts of (share of the choices that it got, dropped ones included) *
    (mean probability that the router gave it). The shares are counts without a gradient; the
    probabilities carry it.

    Exactly 1 when the shares, or the mean probabilities, are equal for all experts. That is not
    quite the minimum: where the expert chosen most often has the lower mean probability, because
    it wins narrowly and the others clearly, the loss is a little below 1 (two experts, k = 1: down
    to 7/8).

    Args:
        logits: (batch, tokens, experts) or, as in :class:`Routing`, (..., experts, 1).
        k: choices per token that count; Switch and GShard count the first one only.
        mask: bool (batch, tokens), false for tokens that do not count.

    Returns:
        A scalar.
    """
    logits, weights = _counted(logits, mask)
    experts = logits.shape[-1]
    chosen = F.one_hot(logits.topk(k, dim=-1).indices, experts).sum(dim=2) / k
    shares = (chosen * weights).sum(dim=(0, 1))
    probabilities = (logits.softmax(dim=-1) * weights).sum(dim=(0, 1))
    return experts * (shares * probabilities).sum()


def z_loss(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared log of the softmax's denominator: keeps logits small (ST-MoE, Eq. 5).

    Arguments as in :func:`balance_loss`.
    """
    logits, weights = _counted(logits, mask)
    return (logits.logsumexp(dim=-1, keepdim=True).square() * weights).sum()


def _counted(logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits (batch, tokens, experts) and the weights (batch, tokens, 1) of a mean over tokens."""
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
