"""Sparse routing against the package mixture-of-experts, which transcribes GShard's TensorFlow."""

from __future__ import annotations

import pytest
import torch

from lasoftmoe.moe import TopKMoE, balance_loss

peer_package = pytest.importorskip("mixture_of_experts")

# tokens, experts, its capacity factor; chosen so that no capacity has to be rounded
SIZES = [(16, 4, 1.0), (24, 4, 2.0), (40, 2, 0.5), (16, 2, 8.0)]


def make_pair(tokens: int, experts: int, factor: float, dim: int = 8):
    """Our layer and the peer with equal weights, in double precision."""
    torch.manual_seed(0)
    peer = peer_package.MoE(
        dim,
        num_experts=experts,
        hidden_dim=2 * dim,
        activation=torch.nn.GELU,
        second_policy_train="all",
        capacity_factor_train=factor,
    ).double()
    ours = TopKMoE(dim, experts, k=2, capacity_factor=factor / 2, hidden_dim=2 * dim).double()
    ours.router.data = peer.gate.w_gating.data.T.clone()
    ours.experts.weight_in.data = peer.experts.w1.data.clone()
    ours.experts.weight_out.data = peer.experts.w2.data.clone()
    return ours, peer, torch.randn(3, tokens, dim, dtype=torch.float64)


@pytest.mark.parametrize("sizes", SIZES)
def test_routing_of_top_2_gating(sizes):
    ours, peer, x = make_pair(*sizes)
    dispatch, combine, _ = peer.gate(x)
    routing = ours.route(x)
    assert dispatch.shape == routing.dispatch.shape
    torch.testing.assert_close(routing.dispatch, dispatch)
    torch.testing.assert_close(routing.combine, combine, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients(sizes):
    ours, peer, x = make_pair(*sizes)
    actual, (wanted, _) = ours(x), peer(x)
    torch.testing.assert_close(actual, wanted, rtol=1e-6, atol=1e-8)
    cotangent = torch.randn_like(actual)
    actual.backward(cotangent)
    wanted.backward(cotangent)
    for mine, theirs in (
        (ours.router.grad.T, peer.gate.w_gating.grad),
        (ours.experts.weight_in.grad, peer.experts.w1.grad),
        (ours.experts.weight_out.grad, peer.experts.w2.grad),
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_some_tokens_are_dropped_in_these_comparisons():
    """Guards the tests above: without dropping they would say nothing about queues."""
    ours, _, x = make_pair(*SIZES[0])
    served = ours.route(x).dispatch.sum(dim=(2, 3))
    assert (served < 2).any() and (served == 2).any()


def test_balance_loss_of_an_image():
    """It takes the loss image by image; ours is over the tokens it is given."""
    ours, peer, x = make_pair(*SIZES[0])
    for image in x:
        loss = peer.gate(image[None])[2]
        torch.testing.assert_close(balance_loss(ours.route(image[None]).logits, k=1), loss)
