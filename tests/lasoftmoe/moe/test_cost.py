"""The cost formulas against PyTorch's own counters, and the figures the book quotes."""

from __future__ import annotations

import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe.moe import MoEConfig, build_moe
from lasoftmoe.moe.cost import block_cost, cost_table


def counted_multiply_adds(module: torch.nn.Module, x: torch.Tensor) -> int:
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        module(x)
    return counter.get_total_flops() // 2


def counted_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("kind", ["soft", "la", "topk"])
@pytest.mark.parametrize("variant", ["paper", "stable"])
@pytest.mark.parametrize("rank", [None, 12])
@pytest.mark.parametrize("batch", [1, 3])
def test_branch(kind, variant, rank, batch):
    config = MoEConfig(
        kind=kind, variant=variant, rank=rank, num_experts=3, slots_per_expert=5, hidden_ratio=2.5
    )
    branch, cost = build_moe(24, config), cost_table(24, 17, config).sum()
    assert cost["parameters"] == counted_parameters(branch)
    x = torch.randn(batch, 17, 24)
    assert batch * cost["multiply_adds"] == counted_multiply_adds(branch, x)


@pytest.mark.parametrize(
    "attention", [{"attention": "softmax"}, {"heads": 3}, {"heads": 5, "normalize": False}]
)
def test_attention_over_the_logits(attention):
    config = MoEConfig(kind="la", rank=12, num_experts=3, slots_per_expert=5, **attention)
    branch, cost = build_moe(24, config), cost_table(24, 17, config).sum()
    assert cost["parameters"] == counted_parameters(branch)
    assert cost["multiply_adds"] == counted_multiply_adds(branch, torch.randn(1, 17, 24))


def test_block():
    block, cost = ResidualAttentionBlock(24, 4), block_cost(24, 17).sum()
    assert cost["parameters"] == counted_parameters(block)
    # Left in training mode: in eval mode a fused kernel hides its products from the counter.
    assert cost["multiply_adds"] == counted_multiply_adds(block, torch.randn(1, 17, 24))


def test_figures_of_vit_b_16():
    """Full width against the paper's "does not increase significantly", and rank 128."""
    block = block_cost(768, 197).sum()
    full = cost_table(768, 197, MoEConfig(kind="la"))
    assert 12 * full.loc["experts", "parameters"] == pytest.approx(227e6, rel=0.01)
    assert full["multiply_adds"].idxmax() == "experts"
    growth = 1 + full.sum() / block
    assert growth["multiply_adds"] == pytest.approx(1.88, abs=0.01)
    assert growth["parameters"] == pytest.approx(3.87, abs=0.01)
    # Without the two Linear layers of figure 2, as Algorithm 2 alone reads:
    bare = 1 + full.drop(["linear in", "linear out"]).sum() / block
    assert bare["multiply_adds"] == pytest.approx(1.72, abs=0.01)
    narrow = 1 + cost_table(768, 197, MoEConfig(kind="la", rank=128)).sum() / block
    assert narrow["multiply_adds"] == pytest.approx(1.08, abs=0.01)
    assert narrow["parameters"] == pytest.approx(1.12, abs=0.01)


@pytest.mark.parametrize("sizes", [{"dim": 0, "tokens": 5}, {"dim": 8, "tokens": 0}])
def test_errors(sizes):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        cost_table(**sizes, config=MoEConfig(kind="la"))
    with pytest.raises(ValueError, match="unknown kind of MoE 'none'"):
        cost_table(8, 5, MoEConfig())
