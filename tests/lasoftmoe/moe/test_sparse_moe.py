"""Top-k routing: capacity, who is dropped, the two losses, and the layer against loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lasoftmoe.moe import (
    MoEConfig,
    TopKMoE,
    balance_loss,
    build_moe,
    capture_routing,
    routing_loss,
    z_loss,
)
from lasoftmoe.moe.sparse_moe import expert_capacity
from tests.lasoftmoe.moe.reference import assert_matches, randomize

small = st.integers(1, 3)


def double_tokens(batch: int, n: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, n, dim, generator=generator, dtype=torch.float64)


def routed_by(logits: list[list[float]], **options) -> TopKMoE:
    """A layer whose tokens (one-hot) get the given rows of logits."""
    table = torch.tensor(logits)
    layer = TopKMoE(len(logits), table.shape[1], hidden_dim=4, **options)
    layer.router.data = table.T.contiguous()
    return layer


# --- against loops ----------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 6), small),
    experts=st.integers(1, 4),
    k=st.integers(1, 4),
    capacity_factor=st.sampled_from([0.25, 0.5, 1.0, 1.1, 2.0, None]),
    normalize_gates=st.sampled_from([None, False, True]),
    priority=st.sampled_from(["position", "weight"]),
    seed=st.integers(0, 999),
)
def test_values_and_gradients(shape, experts, k, capacity_factor, normalize_gates, priority, seed):
    layer = TopKMoE(
        shape[-1],
        experts,
        min(k, experts),
        capacity_factor,
        hidden_dim=2,
        normalize_gates=normalize_gates,
        priority=priority,
    )
    assert_matches(randomize(layer, seed), double_tokens(*shape, seed))


# --- capacity and dropping --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "experts", "k", "factor", "capacity"),
    [
        (64, 4, 1, 1.0, 16),
        (65, 4, 1, 1.0, 17),  # rounded up
        (65, 4, 2, 1.25, 41),
        (10, 1, 1, 1.1, 10),  # never more than there are tokens
        (100, 10, 1, 1.1, 11),  # and 1.1 * 10 counts as 11
        (197, 4, 1, 0.001, 1),
        (197, 4, 2, None, 197),
        (8, 4, 4, 1.0, 8),
    ],
)
def test_capacity(tokens, experts, k, factor, capacity):
    assert expert_capacity(tokens, experts, k, factor) == capacity
    layer = TopKMoE(4, experts, k, factor, 4)
    assert layer.route(torch.zeros(1, tokens, 4)).dispatch.shape == (1, tokens, experts, capacity)


def test_full_experts_drop_later_tokens():
    """Four tokens want expert 0, which has room for two."""
    layer = routed_by([[4.0, 0], [3, 0], [5, 0], [6, 0]], k=1, capacity_factor=1.0)
    x = torch.eye(4)[None]
    served = layer.route(x).dispatch[0].sum(dim=(1, 2))
    assert served.tolist() == [1, 1, 0, 0]
    assert not layer(x)[0, 2:].any()
    layer.priority = "weight"
    assert layer.route(x).dispatch[0].sum(dim=(1, 2)).tolist() == [0, 0, 1, 1]


def test_first_choices_are_served_before_second_ones():
    """Token 1's first choice takes the place that token 0's second choice would have had."""
    layer = routed_by([[2.0, 1, 0], [0, 2, 1]], k=2, capacity_factor=0.5)
    dispatch = layer.route(torch.eye(2)[None]).dispatch[0, :, :, 0]
    assert dispatch.tolist() == [[1, 0, 0], [0, 1, 1]]


def test_a_place_holds_one_token_and_a_token_one_place_per_expert():
    torch.manual_seed(0)
    dispatch = TopKMoE(8, 4, 2, 0.75).route(torch.randn(3, 21, 8)).dispatch
    assert set(dispatch.unique().tolist()) == {0, 1}
    assert dispatch.sum(dim=1).max() == 1
    assert dispatch.sum(dim=3).max() == 1
    assert dispatch.sum(dim=(2, 3)).max() == 2


def test_without_a_limit_no_choice_is_dropped():
    torch.manual_seed(0)
    routing = TopKMoE(8, 4, 2, None).route(torch.randn(3, 21, 8))
    assert (routing.dispatch.sum(dim=(2, 3)) == 2).all()
    torch.testing.assert_close(routing.combine.sum(dim=(2, 3)), torch.ones(3, 21))


def test_one_expert_with_room_for_all_is_that_expert():
    layer = TopKMoE(8, 1, 1, None)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(layer(x), layer.experts(x[:, None])[:, 0])


def test_all_experts_of_every_token_is_a_dense_mixture():
    torch.manual_seed(0)
    layer, x = TopKMoE(8, 3, 3, None), torch.randn(2, 5, 8)
    gates = (x @ layer.router.T).softmax(dim=-1)
    every = layer.experts(x[:, None].expand(2, 3, 5, 8))
    torch.testing.assert_close(layer(x), torch.einsum("bne,bend->bnd", gates, every))


def test_images_of_a_batch_do_not_compete():
    torch.manual_seed(0)
    layer, x = TopKMoE(8, 4, 2, 0.5).double(), double_tokens(3, 9, 8)
    torch.testing.assert_close(layer(x), torch.cat([layer(image[None]) for image in x]))


# --- gates and noise --------------------------------------------------------------------------


def test_with_one_expert_each_only_plain_probabilities_train_the_router():
    x = torch.randn(2, 9, 8)
    for normalize_gates, trained in ((None, True), (False, True), (True, False)):
        torch.manual_seed(0)
        layer = TopKMoE(8, 4, 1, normalize_gates=normalize_gates)
        layer(x).square().sum().backward()
        assert (layer.router.grad.abs().max() > 1e-4) == trained


def test_noise_is_for_training_only():
    torch.manual_seed(0)
    layer, x = TopKMoE(8, 4, 1, noise=1.0), torch.randn(2, 9, 8)
    noise = layer.route(x).logits - layer.route(x).logits
    assert noise.std().item() == pytest.approx(2**0.5, rel=0.3)
    layer.eval()
    assert torch.equal(layer.route(x).logits, layer.route(x).logits)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_chooses_as_float32_does(half):
    torch.manual_seed(0)
    layer, x = TopKMoE(32, 4, 2), torch.randn(2, 19, 32).to(half)
    with torch.autocast("cpu", dtype=half):
        output, routing = layer(x), layer.route(x)
        assert layer.route(x * 1e4).logits.isfinite().all()
    assert output.isfinite().all()
    assert torch.equal(routing.dispatch, layer.route(x.float()).dispatch.to(half))


# --- losses -----------------------------------------------------------------------------------


def test_balance_loss_is_one_when_balanced_and_all_experts_when_collapsed():
    eye = 20 * torch.eye(4).repeat(3, 1)[None]
    assert balance_loss(eye, k=1).item() == pytest.approx(1, abs=1e-4)
    everyone_to_0 = torch.tensor([20.0, 0, 0, 0]).expand(1, 12, 4)
    assert balance_loss(everyone_to_0, k=1).item() == pytest.approx(4, abs=1e-4)


def test_balance_loss_falls_below_one_when_narrow_wins_meet_clear_ones():
    logits = torch.tensor([[[1e-6, 0.0]] * 3 + [[0.0, 40.0]]])  # shares 3/4 and 1/4, P 3/8 and 5/8
    assert balance_loss(logits, k=1).item() == pytest.approx(7 / 8, abs=1e-5)


def test_balance_loss_by_loops():
    logits, k = double_tokens(2, 5, 3), 2
    shares, probabilities = [0.0] * 3, [0.0] * 3
    for image in logits:
        for token in image.tolist():
            total = sum(math.exp(v) for v in token)
            for e in sorted(range(3), key=lambda e, t=token: -t[e])[:k]:
                shares[e] += 1 / (k * 10)
            for e in range(3):
                probabilities[e] += math.exp(token[e]) / total / 10
    wanted = 3 * sum(f * p for f, p in zip(shares, probabilities, strict=True))
    assert balance_loss(logits, k).item() == pytest.approx(wanted, rel=1e-9)
    assert balance_loss(logits[..., None], k).item() == pytest.approx(wanted, rel=1e-9)


def test_z_loss_by_loops():
    logits = double_tokens(2, 5, 3)
    rows = logits.flatten(0, 1).tolist()
    wanted = sum(math.log(sum(math.exp(v) for v in row)) ** 2 for row in rows) / len(rows)
    assert z_loss(logits).item() == pytest.approx(wanted, rel=1e-9)


def test_losses_skip_masked_tokens():
    logits = double_tokens(2, 5, 3)
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    for loss in (lambda x, m=None: balance_loss(x, 1, m), z_loss):
        torch.testing.assert_close(loss(logits, mask), loss(logits[:, :3]))


def test_balance_loss_spreads_the_tokens():
    torch.manual_seed(0)
    layer, x = TopKMoE(8, 4, 1), torch.randn(4, 32, 8) + 1
    optimizer = torch.optim.Adam([layer.router], lr=0.05)
    losses = []
    for _ in range(60):
        loss = balance_loss(layer.route(x).logits, layer.k)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.2 and losses[-1] < 1.05


def test_losses_reach_the_router_through_a_captured_forward_pass():
    config = MoEConfig(kind="topk", rank=4, balance_coefficient=0.5, z_coefficient=0.25)
    branch, x = build_moe(8, config), torch.randn(2, 9, 8)
    with capture_routing(branch, detach=False) as routing:
        branch(x)
    loss = routing_loss(routing, config)
    logits = routing["moe"].logits
    torch.testing.assert_close(loss, 0.5 * balance_loss(logits, 2) + 0.25 * z_loss(logits))
    loss.backward()
    assert branch.moe.router.grad.abs().max() > 0
    assert branch.down.weight.grad.abs().max() > 0


def test_soft_kinds_add_no_loss():
    config = MoEConfig(kind="soft", rank=4, slots_per_expert=3)
    branch = build_moe(8, config)
    with capture_routing(branch, detach=False) as routing:
        branch(torch.randn(2, 9, 8))
    assert routing_loss(routing, config) == 0


# --- configuration and bad input --------------------------------------------------------------


def test_build_follows_the_configuration():
    config = MoEConfig(
        kind="topk", num_experts=6, top_k=3, capacity_factor=2.0, rank=8, router_noise=0.5
    )
    layer = build_moe(32, config).moe
    assert isinstance(layer, TopKMoE)
    assert (layer.dim, layer.num_experts, layer.k) == (8, 6, 3)
    assert (layer.capacity_factor, layer.noise) == (2.0, 0.5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 5}, "cannot choose k=5 of 4 experts"),
        ({"k": 0}, "k must be .* at least 1, got 0"),
        ({"num_experts": 0}, "num_experts must be .* got 0"),
        ({"capacity_factor": 0.0}, "capacity_factor must be greater than 0 or None, got 0.0"),
        ({"noise": -1.0}, "noise is a standard deviation and must be at least 0, got -1.0"),
        ({"priority": "random"}, "unknown priority 'random'; choose one of position, weight"),
        ({"hidden_dim": 0}, "hidden_dim must be"),
    ],
)
def test_construction_errors(options, message):
    with pytest.raises(ValueError, match=message):
        TopKMoE(8, **options)


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"expected x of shape \(batch, tokens, 8\), got"):
        TopKMoE(8)(torch.zeros(2, 3, 7))
    with pytest.raises(ValueError, match=r"router logits of shape .* got \(2, 3\)"):
        balance_loss(torch.zeros(2, 3), 1)
