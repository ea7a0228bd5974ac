"""From a run's configuration to the branch beside one block's MLP."""

from __future__ import annotations

from lasoftmoe.config import MoEConfig
from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.checks import require_choice
from lasoftmoe.moe.la_soft_moe import LaSoftMoE
from lasoftmoe.moe.soft_moe import SoftMoE


def build_moe(dim: int, config: MoEConfig) -> MoEAdapter:
    """The branch that ``config`` describes, for a block whose tokens have width ``dim``.

    ``kind="soft"`` and ``kind="la"`` differ in the combine weights only: both route by raw
    logits with ``variant="paper"`` and by normalized ones with ``variant="stable"``.

    Raises:
        ValueError: ``kind="none"`` (there is nothing to build), an unknown kind or variant,
            a size below 1.
    """
    require_choice("kind of MoE", config.kind, ("soft", "la"))
    require_choice("variant", config.variant, ("paper", "stable"))
    rank = dim if config.rank is None else config.rank
    hidden_dim = round(config.hidden_ratio * rank)
    sizes = (rank, config.num_experts, config.slots_per_expert, hidden_dim)
    if config.kind == "soft":
        moe = SoftMoE(*sizes, normalize_routing=config.variant == "stable")
    else:
        moe = LaSoftMoE(*sizes, variant=config.variant)
    return MoEAdapter(dim, rank, moe)
