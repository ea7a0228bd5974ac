"""From a run's configuration to the branch beside one block's MLP."""

from __future__ import annotations

from typing import NamedTuple

from lasoftmoe.config import MoEConfig
from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.checks import require_choice, require_positive
from lasoftmoe.moe.la_soft_moe import VARIANTS, LaSoftMoE
from lasoftmoe.moe.soft_moe import SoftMoE


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
    require_choice("kind of MoE", config.kind, ("soft", "la"))
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
        ValueError: as in :func:`branch_sizes`.
    """
    sizes = branch_sizes(dim, config)
    if config.kind == "soft":
        moe = SoftMoE(*sizes, normalize_routing=config.variant == "stable")
    else:
        moe = LaSoftMoE(*sizes, variant=config.variant)
    return MoEAdapter(dim, sizes.rank, moe)
