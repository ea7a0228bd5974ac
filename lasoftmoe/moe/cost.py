"""Cost of a branch: parameters and multiply-adds of each part, from formulas."""

from __future__ import annotations

import pandas as pd

from lasoftmoe.moe.build import MoEConfig, branch_sizes
from lasoftmoe.moe.checks import require_positive
from lasoftmoe.moe.sparse_moe import expert_capacity

COLUMNS = ["parameters", "multiply_adds"]


def cost_table(dim: int, tokens: int, config: MoEConfig) -> pd.DataFrame:
    """Compute the cost of the branch beside one block's MLP, part by part.

    Multiply-adds are those of the matrix products for one image, forward only. A FLOP counter
    shows twice as many. Norms, softmax, denominators, and activations are not counted.

    Args:
        dim: Width of the block's tokens.
        tokens: Number of tokens of one image, including the class token.
        config: See :func:`lasoftmoe.moe.build_moe`.

    Returns:
        One row per part with the columns ``parameters`` and ``multiply_adds``; ``.sum()`` is the
        cost of the branch.

    Raises:
        ValueError: If a size is below 1, or the kind or variant cannot be built.
    """
    require_positive(dim=dim, tokens=tokens)
    sizes = branch_sizes(dim, config)
    rank, experts, hidden = sizes.rank, sizes.num_experts, sizes.hidden_dim
    slots, logits = experts * sizes.slots_per_expert, {}
    if config.kind == "topk":
        slots = experts * expert_capacity(tokens, experts, config.top_k, config.capacity_factor)
        logits["router"] = (experts * rank, tokens * experts * rank)
    else:
        scale = 1 if config.variant == "stable" else 0
        logits["logits"] = (slots * rank + scale, tokens * slots * rank)
    rows = {
        "linear in": (dim * rank + rank, tokens * dim * rank),
        **logits,
        "dispatch": (0, tokens * slots * rank),
        "experts": (experts * (2 * rank * hidden + hidden + rank), 2 * slots * rank * hidden),
    }
    if config.kind == "la":
        rows["attention projections"] = (3 * slots**2, 3 * tokens * slots**2)
        rows[f"{config.attention} attention"] = (0, _attention_cost(tokens, slots, config))
    rows["combine"] = (0, tokens * slots * rank)
    rows["linear out"] = (rank * dim + dim, tokens * rank * dim)
    return _table(rows)


def _attention_cost(tokens: int, width: int, config: MoEConfig) -> int:
    """Return the multiply-adds of the attention over the logits, without its projections."""
    if config.attention == "softmax":
        return 2 * tokens**2 * width  # Q K^T, and the weights times V
    return 2 * tokens * width**2 // config.heads  # in each head phi(K)^T V, and phi(Q) times that


def block_cost(dim: int, tokens: int, mlp_ratio: float = 4.0) -> pd.DataFrame:
    """Compute the cost of the transformer block that the branch is put into, to compare.

    Args:
        dim: Width of the block.
        tokens: Number of tokens of one image.
        mlp_ratio: Hidden width of the MLP over ``dim``.

    Returns:
        A table as in :func:`cost_table`.
    """
    require_positive(dim=dim, tokens=tokens)
    hidden = int(mlp_ratio * dim)
    rows = {
        "layer norms": (4 * dim, 0),
        "attention projections": (4 * (dim**2 + dim), 4 * tokens * dim**2),
        "attention": (0, 2 * tokens**2 * dim),
        "mlp": (2 * dim * hidden + hidden + dim, 2 * tokens * dim * hidden),
    }
    return _table(rows)


def _table(rows: dict[str, tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("part")
