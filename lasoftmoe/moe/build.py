"""From a run's configuration to the branch beside one block's MLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.checks import require_choice, require_positive
from lasoftmoe.moe.la_soft_moe import VARIANTS, LaSoftMoE
from lasoftmoe.moe.routing import RoutedLayer, Routing
from lasoftmoe.moe.soft_moe import SoftMoE
from lasoftmoe.moe.sparse_moe import TopKMoE, balance_loss, z_loss
from lasoftmoe.settings import CHECKED, Count, NonNegative, Positive

KINDS = ("soft", "la", "topk")


@dataclass(frozen=True, config=CHECKED)
class MoEConfig:
    """The branch beside each block's MLP (paper, Algorithms 1 and 2).

    ``kind="none"`` leaves CLIP as it is. ``variant="paper"`` routes by raw logits, as Eq. 2-4 and
    Algorithm 2 print it; ``"stable"`` routes by normalized ones, and with ``kind="la"`` also
    keeps combine weights non-negative.
    ``rank`` is the width of the adapter around the MoE (``None``: the block's own width);
    the paper draws the two Linear layers of the adapter in figure 2 without giving their width.
    ``hidden_ratio`` is the experts' hidden width over ``rank``; the paper does not give it.
    ``blocks`` lists the blocks that get a branch (``None``: all of them, as in Algorithm 1).

    ``kind="la"`` has more choices that the paper leaves open: ``heads`` of the attention over
    the logits, its ``feature_map`` and whether to ``normalize`` by Katharopoulos' denominator,
    which Eq. 6 drops. ``attention="softmax"`` puts Eq. 5 in the place of Eq. 6, to compare.

    The rest matters for ``kind="topk"`` only, a sparse MoE to compare with, which has no slots
    and is not in the paper: ``top_k`` experts per token, ``capacity_factor`` (places in the
    experts' queues over choices made; ``None``: no token is ever dropped), ``router_noise``
    (standard deviation of the noise on its logits in training), and the factors with which the
    balance loss and the z-loss of each block enter the training loss (the values are those of
    ST-MoE).
    """

    kind: Literal["none", "soft", "la", "topk"] = "none"
    variant: Literal["paper", "stable"] = "paper"
    num_experts: Count = 4
    slots_per_expert: Count = 49
    rank: Count | None = None
    hidden_ratio: Positive = 4.0
    blocks: list[int] | None = None
    attention: Literal["linear", "softmax"] = "linear"
    heads: Count = 1
    feature_map: Literal["elu", "relu"] = "elu"
    normalize: bool = True
    top_k: Count = 2
    capacity_factor: Positive | None = 1.25
    router_noise: NonNegative = 0.0
    balance_coefficient: NonNegative = 0.01
    z_coefficient: NonNegative = 0.001


class BranchSizes(NamedTuple):
    """The sizes of a MoE, in the order in which the layers take them."""

    rank: int
    num_experts: int
    slots_per_expert: int
    hidden_dim: int


def branch_sizes(dim: int, config: MoEConfig) -> BranchSizes:
    """The sizes that ``config`` gives the MoE beside a block of width ``dim``.

    Raises:
        ValueError: ``kind="none"`` (there is nothing to build), an unknown kind or variant,
            a size below 1.
    """
    require_choice("kind of MoE", config.kind, KINDS)
    require_choice("variant", config.variant, VARIANTS)
    rank = dim if config.rank is None else config.rank
    sizes = BranchSizes(
        rank=rank,
        num_experts=config.num_experts,
        slots_per_expert=config.slots_per_expert,
        hidden_dim=round(config.hidden_ratio * rank),
    )
    require_positive(**sizes._asdict())
    return sizes


def build_moe(dim: int, config: MoEConfig) -> MoEAdapter:
    """The branch that ``config`` describes, for a block whose tokens have width ``dim``.

    ``kind="soft"`` and ``kind="la"`` differ in the combine weights only: both route by raw
    logits with ``variant="paper"`` and by normalized ones with ``variant="stable"``.

    Raises:
        ValueError: as in :func:`branch_sizes`, and what the layers raise.
    """
    sizes = branch_sizes(dim, config)
    return MoEAdapter(dim, sizes.rank, _build_layer(sizes, config))


def _build_layer(sizes: BranchSizes, config: MoEConfig) -> RoutedLayer:
    if config.kind == "soft":
        return SoftMoE(*sizes, normalize_routing=config.variant == "stable")
    if config.kind == "la":
        return LaSoftMoE(
            *sizes,
            variant=config.variant,
            heads=config.heads,
            feature_map=config.feature_map,
            normalize=config.normalize,
            attention=config.attention,
        )
    return TopKMoE(
        sizes.rank,
        sizes.num_experts,
        config.top_k,
        config.capacity_factor,
        sizes.hidden_dim,
        noise=config.router_noise,
    )


def routing_loss(routing: Mapping[str, Routing], config: MoEConfig) -> Tensor:
    """What sparse routing adds to the training loss, summed over the blocks (Switch, ST-MoE).

    Args:
        routing: of a model's branches, from ``capture_routing(model, detach=False)``.
        config: what the branches were built from; gives k and the two coefficients.

    Returns:
        A scalar; zero for the soft kinds, which leave no expert without tokens.
    """
    total = torch.zeros(())
    if config.kind != "topk":
        return total
    for layer in routing.values():
        balance = config.balance_coefficient * balance_loss(layer.logits, config.top_k)
        total = total.to(balance.device) + balance + config.z_coefficient * z_loss(layer.logits)
    return total
