"""Soft MoE against the package soft-moe-pytorch, weights copied over.

That package always normalizes: RMS norm of the tokens, which it also dispatches, and of Phi.
Eq. 2-4 have no such norm, so it is replaced by the identity in the first comparison; in the
second it stays and our layer is fed what it makes of tokens and Phi.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lasoftmoe.moe import SoftMoE

peer_package = pytest.importorskip("soft_moe_pytorch")

SHAPES = [(16, 4, 3), (8, 1, 5), (8, 3, 1), (32, 4, 49)]


def make_pair(dim: int, experts: int, slots: int) -> tuple[SoftMoE, nn.Module]:
    """Our layer and the peer's, with equal weights, in double precision."""
    torch.manual_seed(0)
    peer = peer_package.SoftMoE(
        dim, num_experts=experts, num_slots=slots, offload_unused_experts_to_cpu=False
    ).double()
    ours = SoftMoE(dim, experts, slots, hidden_dim=4 * dim).double()
    with torch.no_grad():
        ours.phi.copy_(peer.slot_embeds)
        for index, expert in enumerate(peer.experts.experts):
            first, last = expert[0], expert[-1]
            ours.experts.weight_in[index].copy_(first.weight.T)
            ours.experts.bias_in[index].copy_(first.bias)
            ours.experts.weight_out[index].copy_(last.weight.T)
            ours.experts.bias_out[index].copy_(last.bias)
    return ours, peer


@pytest.mark.parametrize(("dim", "experts", "slots"), SHAPES)
def test_values_and_gradients_without_its_norms(dim, experts, slots):
    ours, peer = make_pair(dim, experts, slots)
    peer.norm = peer.slot_norm = nn.Identity()
    x = torch.randn(3, 11, dim, dtype=torch.float64, requires_grad=True)
    actual, wanted = ours(x), peer(x)
    torch.testing.assert_close(actual, wanted)
    cotangent = torch.randn_like(actual)
    pairs = [(x, x), (ours.phi, peer.slot_embeds)]
    got = torch.autograd.grad(actual, [mine for mine, _ in pairs], cotangent, retain_graph=True)
    want = torch.autograd.grad(wanted, [theirs for _, theirs in pairs], cotangent)
    for mine, theirs in zip(got, want, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("dim", "experts", "slots"), SHAPES)
def test_values_with_its_norms_applied_outside(dim, experts, slots):
    ours, peer = make_pair(dim, experts, slots)
    with torch.no_grad():
        ours.phi.copy_(peer.slot_norm(peer.slot_embeds))
        x = torch.randn(3, 11, dim, dtype=torch.float64)
        torch.testing.assert_close(ours(peer.norm(x)), peer(x))


@pytest.mark.parametrize(("dim", "experts", "slots"), SHAPES)
def test_our_switches_reproduce_it(dim, experts, slots):
    """Its two RMS norms are L2 norms times sqrt(dim) each, hence a routing scale of dim."""
    plain, peer = make_pair(dim, experts, slots)
    ours = SoftMoE(dim, experts, slots, normalize_routing=True, routing_scale=float(dim)).double()
    ours.load_state_dict({**plain.state_dict(), "scale": ours.scale.detach()})
    x = torch.randn(3, 11, dim, dtype=torch.float64)
    torch.testing.assert_close(ours(peer.norm(x)), peer(x))


def test_kept_tokens_under_a_mask():
    ours, peer = make_pair(16, 4, 3)
    peer.norm = peer.slot_norm = nn.Identity()
    x = torch.randn(3, 11, 16, dtype=torch.float64)
    mask = (torch.arange(11) < 7).expand(3, 11)
    torch.testing.assert_close(ours(x, mask)[:, :7], peer(x, mask)[:, :7])


def test_its_norms_are_what_had_to_be_switched_off():
    """Guards the two tests above: with the norms on, the plain comparison has to fail."""
    ours, peer = make_pair(16, 4, 3)
    x = torch.randn(3, 11, 16, dtype=torch.float64)
    assert (ours(x) - peer(x)).abs().max() > 0.01


def test_expert_gradients():
    ours, peer = make_pair(16, 4, 3)
    peer.norm = peer.slot_norm = nn.Identity()
    x = torch.randn(3, 11, 16, dtype=torch.float64)
    cotangent = torch.randn_like(x)
    ours(x).backward(cotangent)
    peer(x).backward(cotangent)
    for index, expert in enumerate(peer.experts.experts):
        torch.testing.assert_close(ours.experts.weight_in.grad[index], expert[0].weight.grad.T)
        torch.testing.assert_close(ours.experts.bias_in.grad[index], expert[0].bias.grad)
        torch.testing.assert_close(ours.experts.weight_out.grad[index], expert[-1].weight.grad.T)
        torch.testing.assert_close(ours.experts.bias_out.grad[index], expert[-1].bias.grad)
