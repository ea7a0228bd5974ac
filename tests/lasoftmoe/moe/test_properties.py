"""What has to hold of every MoE layer whatever its weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.nn import InstanceNorm1d

from lasoftmoe.moe import LaSoftMoE, SoftMoE
from lasoftmoe.moe.la_soft_moe import instance_norm, positive_rows
from tests.lasoftmoe.moe.layers import DIM, EXPERTS, LAYERS, SLOTS, TOKENS, make, tokens

every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_shapes(name):
    layer, x = make(name), tokens()
    routing = layer.route(x)
    assert layer(x).shape == x.shape
    for weights in routing:
        assert weights.shape == (3, TOKENS, EXPERTS, SLOTS)


@every_layer
def test_dispatch_is_a_distribution_over_tokens(name):
    dispatch = make(name).route(tokens()).dispatch
    assert (dispatch >= 0).all()
    torch.testing.assert_close(dispatch.sum(dim=1), torch.ones(3, EXPERTS, SLOTS))


@pytest.mark.parametrize("name", [name for name in LAYERS if "paper" not in name])
def test_combine_is_a_distribution_over_slots(name):
    combine = make(name).route(tokens()).combine
    assert (combine >= 0).all()
    torch.testing.assert_close(combine.sum(dim=(2, 3)), torch.ones(3, TOKENS))


@pytest.mark.parametrize("name", ["paper", "paper, normalized"])
def test_combine_of_the_paper_is_standardized_not_positive(name):
    """Instance Norm keeps no weight "non-negative": half of each row has to lie below zero."""
    combine = make(name).route(tokens()).combine.flatten(2)
    torch.testing.assert_close(combine.sum(dim=2), torch.zeros(3, TOKENS), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        combine.var(dim=2, correction=0), torch.ones(3, TOKENS), atol=2e-2, rtol=0
    )
    assert ((combine < 0).any(dim=2)).all()
    assert 0.4 < (combine < 0).float().mean() < 0.6


def test_instance_norm_is_that_of_torch_with_tokens_as_channels():
    weights = torch.randn(2, TOKENS, EXPERTS * SLOTS) * 3 + 1
    torch.testing.assert_close(instance_norm(weights), InstanceNorm1d(TOKENS)(weights))


@every_layer
def test_equivariant_under_permuted_tokens(name):
    layer, x = make(name).double(), tokens().double()
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


@pytest.mark.parametrize("name", ["soft", "soft, normalized"])
def test_invariant_under_permuted_slots(name):
    layer, x = make(name).double(), tokens().double()
    before = layer(x)
    order = torch.randperm(SLOTS, generator=torch.Generator().manual_seed(2))
    layer.phi.data[1] = layer.phi.data[1, order]
    torch.testing.assert_close(layer(x), before)


@pytest.mark.parametrize("name", ["paper", "stable"])
def test_invariant_under_permuted_slots_with_their_projections(name):
    """Linear attention has weights of its own per slot; they have to move along."""
    layer, x = make(name).double(), tokens().double()
    before = layer(x)
    order = torch.arange(EXPERTS * SLOTS)
    order[SLOTS : 2 * SLOTS] = order[SLOTS : 2 * SLOTS].flip(0)
    layer.phi.data = layer.phi.data.flatten(0, 1)[order].view_as(layer.phi)
    weight = layer.attention.qkv.weight.data.unflatten(0, (3, -1))
    layer.attention.qkv.weight.data = weight[:, order][:, :, order].flatten(0, 1)
    torch.testing.assert_close(layer(x), before)


@every_layer
def test_images_of_a_batch_do_not_mix(name):
    layer, x = make(name).double(), tokens().double()
    alone = torch.cat([layer(image[None]) for image in x])
    torch.testing.assert_close(layer(x), alone)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert gradient[0].abs().max() > 0
    assert gradient[1:].abs().max() == 0


def test_one_head_makes_the_missing_denominator_of_eq_6_harmless():
    """It divides a row by one positive number, and Instance Norm undoes that."""
    torch.manual_seed(0)
    with_it = LaSoftMoE(DIM, EXPERTS, SLOTS).double()
    without = LaSoftMoE(DIM, EXPERTS, SLOTS, normalize=False).double()
    without.load_state_dict(with_it.state_dict())
    x = tokens().double()
    # Not exactly: the eps inside the norm weighs more where the row is smaller.
    torch.testing.assert_close(with_it(x), without(x), rtol=1e-3, atol=1e-3)


def test_several_heads_do_need_the_denominator():
    torch.manual_seed(0)
    with_it = LaSoftMoE(DIM, EXPERTS, SLOTS, heads=EXPERTS).double()
    without = LaSoftMoE(DIM, EXPERTS, SLOTS, heads=EXPERTS, normalize=False).double()
    without.load_state_dict(with_it.state_dict())
    x = tokens().double()
    assert (with_it(x) - without(x)).abs().max() > 0.1


def test_positive_rows_survive_a_token_that_every_slot_rejects():
    scores = torch.full((1, 2, 2, 2), -500.0, requires_grad=True)
    weights = positive_rows(scores)
    torch.testing.assert_close(weights, torch.full((1, 2, 2, 2), 0.25))
    (gradient,) = torch.autograd.grad(weights[..., 0].sum(), scores)
    assert gradient.isfinite().all()


def mean_cosine_of_rows(combine: torch.Tensor) -> float:
    """Between the centered combine rows of any two tokens of an image."""
    rows = combine.flatten(2)
    rows = F.normalize(rows - rows.mean(dim=2, keepdim=True), dim=2)
    count = rows.shape[1]
    gram = rows @ rows.transpose(1, 2)
    return ((gram.sum(dim=(1, 2)) - count).mean() / (count * (count - 1))).item()


def test_linear_attention_starts_by_giving_every_token_the_same_row():
    """The logit residual of the stable variant keeps tokens apart; softmax does anyway."""
    torch.manual_seed(0)
    x = torch.randn(2, 65, 32)
    layers = {
        "soft": SoftMoE(32, 4, 49, normalize_routing=True),
        "paper": LaSoftMoE(32, 4, 49),
        "paper, normalized": LaSoftMoE(32, 4, 49, normalize_routing=True),
        "stable": LaSoftMoE(32, 4, 49, variant="stable"),
    }
    cosine = {name: mean_cosine_of_rows(layer.route(x).combine) for name, layer in layers.items()}
    assert cosine["soft"] < 0.1
    assert cosine["paper"] > 0.9
    assert cosine["paper, normalized"] > 0.98
    assert cosine["stable"] < 0.6
