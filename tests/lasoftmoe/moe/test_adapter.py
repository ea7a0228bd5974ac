from __future__ import annotations

import pytest
import torch

from lasoftmoe.moe import LaSoftMoE, MoEAdapter, MoEConfig, SoftMoE, build_moe


@pytest.mark.parametrize("rank", [4, 16])
def test_adds_exactly_nothing_at_step_0(rank):
    adapter = MoEAdapter(16, rank, LaSoftMoE(rank, 2, 3))
    x = torch.randn(2, 5, 16)
    output = adapter(x)
    assert output.shape == x.shape
    assert not output.any()
    assert torch.equal(x + output, x)


def test_learns_although_it_starts_at_zero():
    torch.manual_seed(0)
    adapter = MoEAdapter(16, 4, SoftMoE(4, 2, 3))
    x, target = torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    optimizer = torch.optim.Adam(adapter.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = (adapter(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert adapter.moe.phi.grad.abs().max() > 0


def test_is_linear_moe_linear():
    adapter = MoEAdapter(6, 3, SoftMoE(3, 2, 2))
    torch.nn.init.normal_(adapter.up.weight)
    x = torch.randn(1, 4, 6)
    narrow = x @ adapter.down.weight.T + adapter.down.bias
    wanted = adapter.moe(narrow) @ adapter.up.weight.T + adapter.up.bias
    torch.testing.assert_close(adapter(x), wanted)


def test_build_follows_the_configuration():
    config = MoEConfig(
        kind="la", variant="stable", num_experts=3, slots_per_expert=5, rank=8, hidden_ratio=2.5
    )
    adapter = build_moe(32, config)
    assert (adapter.dim, adapter.rank) == (32, 8)
    assert isinstance(adapter.moe, LaSoftMoE) and adapter.moe.variant == "stable"
    assert adapter.moe.phi.shape == (3, 5, 8)
    assert adapter.moe.experts.hidden_dim == 20
    assert adapter.moe.scale is not None


def test_build_reads_no_rank_as_the_full_width():
    adapter = build_moe(32, MoEConfig(kind="la"))
    assert adapter.rank == adapter.moe.dim == 32
    assert adapter.moe.phi.shape == (4, 49, 32)
    assert adapter.moe.experts.hidden_dim == 128


@pytest.mark.parametrize("variant", ["paper", "stable"])
def test_soft_and_la_route_alike(variant):
    """So that an ablation between the two changes the combine weights and nothing else."""
    soft = build_moe(16, MoEConfig(kind="soft", variant=variant)).moe
    la = build_moe(16, MoEConfig(kind="la", variant=variant)).moe
    assert type(soft) is SoftMoE
    assert (soft.scale is None) == (la.scale is None) == (variant == "paper")
