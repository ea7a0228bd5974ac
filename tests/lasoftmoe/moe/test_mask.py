"""A masked token gets nothing, and nobody can tell that it was there."""

from __future__ import annotations

import pytest
import torch

from lasoftmoe.moe import (
    LaSoftMoE,
    LinearAttention,
    MoEConfig,
    SoftmaxAttention,
    SoftMoE,
    TopKMoE,
    build_moe,
    capture_routing,
)
from tests.lasoftmoe.moe.layers import DIM, EXPERTS, LAYERS, TOKENS, tokens

# No limit: the capacity depends on how many tokens there are, masked ones included.
EVERY = {**LAYERS, "top-k": lambda: TopKMoE(DIM, EXPERTS, 2, capacity_factor=None)}
KEPT = TOKENS - 6


@pytest.fixture
def mask():
    """The last six tokens of every image are padding."""
    return (torch.arange(TOKENS) < KEPT).expand(3, TOKENS)


def build(name):
    torch.manual_seed(0)
    return EVERY[name]().double()


def assert_removed(layer, mask):
    """Kept tokens get what they get when the others are not there; the others get zeros."""
    x = tokens().double()
    output = layer(x, mask)
    torch.testing.assert_close(output[:, :KEPT], layer(x[:, :KEPT]))
    assert not output[:, KEPT:].any(), "not close to zero"


@pytest.mark.parametrize("name", EVERY)
def test_kept_tokens_get_what_they_get_without_the_others(name, mask):
    assert_removed(build(name), mask)


@pytest.mark.parametrize("name", EVERY)
def test_masked_tokens_may_hold_anything(name, mask):
    layer, x = build(name), tokens().double()
    wanted = layer(x, mask)
    x[:, KEPT:] = torch.nan
    assert torch.equal(layer(x, mask), wanted)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x, mask).sum(), x)
    assert not gradient[:, KEPT:].any() and gradient[:, :KEPT].isfinite().all()


@pytest.mark.parametrize("name", EVERY)
def test_removed_from_dispatch_and_combine(name, mask):
    routing = build(name).route(tokens().double(), mask)
    assert not routing.dispatch[:, KEPT:].any()
    assert not routing.combine[:, KEPT:].any()
    if name != "top-k":
        torch.testing.assert_close(
            routing.dispatch.sum(dim=1), torch.ones_like(routing.dispatch[:, 0])
        )


@pytest.mark.parametrize("name", EVERY)
def test_a_mask_that_keeps_all_changes_nothing(name):
    layer, x = build(name), tokens().double()
    torch.testing.assert_close(layer(x, torch.ones(3, TOKENS, dtype=torch.bool)), layer(x))


@pytest.mark.parametrize("name", EVERY)
def test_an_image_without_any_token_gets_zeros(name):
    layer, x = build(name), tokens().double().requires_grad_()
    output = layer(x, torch.zeros(3, TOKENS, dtype=torch.bool))
    assert not output.any()
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert not gradient.any()


class DispatchesPadding(SoftMoE):
    def dispatch_weights(self, logits, mask=None):
        return super().dispatch_weights(logits)


class MasksAfterTheSoftmax(SoftMoE):
    def dispatch_weights(self, logits, mask=None):
        weights = super().dispatch_weights(logits)
        return weights if mask is None else weights * mask[:, :, None, None]


class CombinesIntoPadding(SoftMoE):
    def combine_weights(self, logits, mask=None):
        return super().combine_weights(logits)


class AttendsToPadding(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        weights = super().combine_weights(logits)
        return weights if mask is None else weights * mask[:, :, None, None]


@pytest.mark.parametrize(
    "mutant", [DispatchesPadding, MasksAfterTheSoftmax, CombinesIntoPadding, AttendsToPadding]
)
def test_planted_mistakes_are_caught(mutant, mask):
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="not close"):
        assert_removed(mutant(DIM, EXPERTS, 6).double(), mask)


@pytest.mark.parametrize("kind", [LinearAttention, SoftmaxAttention])
def test_attention_reads_kept_tokens_only(kind, mask):
    torch.manual_seed(0)
    layer, x = kind(DIM, heads=2).double(), tokens().double()
    torch.testing.assert_close(layer(x, mask)[:, :KEPT], layer(x[:, :KEPT]))


def test_masked_tokens_leave_their_places_to_others():
    layer = TopKMoE(DIM, 1, 1, capacity_factor=0.5)
    mask = torch.tensor([[False, True, True, False]])
    served = layer.route(torch.randn(1, 4, DIM), mask).dispatch.sum(dim=(2, 3))
    assert served.tolist() == [[0, 1, 1, 0]]


@pytest.mark.parametrize("kind", ["soft", "la", "topk"])
def test_the_branch_passes_the_mask_on(kind, mask):
    branch = build_moe(DIM, MoEConfig(kind=kind, rank=8, slots_per_expert=3, capacity_factor=None))
    torch.nn.init.normal_(branch.up.weight)
    torch.nn.init.normal_(branch.up.bias)
    x = tokens()
    with capture_routing(branch) as routing:
        output = branch(x, mask)
    torch.testing.assert_close(output[:, :KEPT], branch(x[:, :KEPT]))
    assert not output[:, KEPT:].any()
    assert not routing["moe"].combine[:, KEPT:].any()


@pytest.mark.parametrize(
    "wrong",
    [
        torch.ones(3, TOKENS),
        torch.ones(3, TOKENS + 1, dtype=torch.bool),
        torch.ones(1, TOKENS, dtype=torch.bool),
        torch.ones(3, TOKENS, DIM, dtype=torch.bool),
    ],
    ids=["float", "too long", "one image", "per number"],
)
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["soft", "paper", "top-k"])
def test_a_wrong_mask_is_named(name, wrong):
    layer = EVERY[name]()
    for call in (layer, layer.route):
        with pytest.raises(ValueError, match=rf"bool mask of shape .* = \(3, {TOKENS}\)"):
            call(tokens(), wrong)
    with pytest.raises(ValueError, match="bool mask"):
        LinearAttention(DIM)(tokens(), wrong)
