"""Branch beside one block's MLP, built from a run's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic.dataclasses import dataclass
from torch import Tensor

from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.checks import require_choice, require_positive
from lasoftmoe.moe.la_soft_moe import Attention, LaSoftMoE, Variant
from lasoftmoe.moe.linear_attention import FeatureMap
from lasoftmoe.moe.routing import RoutedLayer, Routing
from lasoftmoe.moe.soft_moe import SoftMoE
from lasoftmoe.moe.sparse_moe import TopKMoE, balance_loss, z_loss
from lasoftmoe.settings import CHECKED, Count, NonNegative, Positive

BranchKind = Literal["soft", "la", "topk"]
Kind = Literal["none", BranchKind]
_ALL = ("num_experts", "rank", "hidden_ratio", "blocks")
_SLOTS = (*_ALL, "variant", "slots_per_expert")
_SPARSE = ("top_k", "capacity_factor", "router_noise", "balance_coefficient", "z_coefficient")
READ_BY: dict[Kind, tuple[str, ...]] = {
    "none": (),
    "soft": _SLOTS,
    "la": (*_SLOTS, "attention", "heads", "feature_map", "normalize"),
    "topk": (*_ALL, *_SPARSE),
}
"""Fields of :class:`MoEConfig` that each kind of branch reads."""


@dataclass(frozen=True, config=CHECKED)
class MoEConfig:
    """Branch beside each block's MLP (paper, Algorithms 1 and 2).

    Args:
        kind: ``"none"`` leaves CLIP as it is. ``"topk"`` is a sparse MoE to compare with; it has no
            slots and is not in the paper.
        variant: ``"paper"`` routes by raw logits, as in Eq. 2-4 and Algorithm 2. ``"stable"``
            routes by normalized ones, and with ``kind="la"`` keeps combine weights non-negative.
        num_experts, slots_per_expert: See :class:`SoftMoE`.
        rank: Width of the adapter around the MoE; ``None`` means the block's own width. Figure 2
            of the paper draws its two Linear layers without a width.
        hidden_ratio: The experts' hidden width over ``rank``, which the paper does not give.
        blocks: Numbers of the blocks that get a branch; ``None`` means all, as in Algorithm 1.
        attention, heads, feature_map, normalize: See :class:`LaSoftMoE`; for ``kind="la"`` only.
        top_k, capacity_factor, router_noise: See :class:`TopKMoE`; for ``kind="topk"`` only.
        balance_coefficient, z_coefficient: Factors of each block's balance loss and z-loss in the
            training loss, by default those of ST-MoE; for ``kind="topk"`` only.
    """

    kind: Kind = "none"
    variant: Variant = "paper"
    num_experts: Count = 4
    slots_per_expert: Count = 49
    rank: Count | None = None
    hidden_ratio: Positive = 4.0
    blocks: list[int] | None = None
    attention: Attention = "linear"
    heads: Count = 1
    feature_map: FeatureMap = "elu"
    normalize: bool = True
    top_k: Count = 2
    capacity_factor: Positive | None = 1.25
    router_noise: NonNegative = 0.0
    balance_coefficient: NonNegative = 0.01
    z_coefficient: NonNegative = 0.001

    def deciding(self) -> dict[str, Any]:
        """Return the fields that this kind of branch reads."""
        names = READ_BY[self.kind]
        if self.kind == "la" and self.attention == "softmax":
            names = tuple(name for name in names if name not in ("feature_map", "normalize"))
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}


class BranchSizes(NamedTuple):
    """Sizes of a MoE, in the order of the layers' arguments."""

    rank: int
    num_experts: int
    slots_per_expert: int
    hidden_dim: int


def branch_sizes(dim: int, config: MoEConfig) -> BranchSizes:
    """Return the sizes that ``config`` gives the MoE beside a block of width ``dim``.

    Raises:
        ValueError: If the kind is "none" (nothing to build) or a size is below 1.
    """
    require_choice("kind of MoE", config.kind, BranchKind)
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
    """Build the branch that ``config`` describes, for a block whose tokens have width ``dim``.

    The kinds "soft" and "la" differ only in the combine weights. Both route by raw logits in the
    variant "paper" and by normalized logits in the variant "stable".

    Raises:
        ValueError: As in :func:`branch_sizes` and the layers.
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


def routing_loss(routing: Mapping[str, Routing], config: MoEConfig) -> Float[Tensor, ""]:
    """Compute what sparse routing adds to the training loss, summed over blocks (Switch, ST-MoE).

    It is zero for the soft kinds, which leave no expert without tokens.

    Args:
        routing: Routing of a model's branches, from ``capture_routing(model, detach=False)``.
        config: Configuration of the branches, with k and the two coefficients.
    """
    total = torch.zeros(())
    if config.kind != "topk":
        return total
    for layer in routing.values():
        balance = config.balance_coefficient * balance_loss(layer.logits, config.top_k)
        total = total.to(balance.device) + balance + config.z_coefficient * z_loss(layer.logits)
    return total
