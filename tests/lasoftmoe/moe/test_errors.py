"""Errors of the layers in their own words, as users see them without checked shapes."""

from __future__ import annotations

import pytest
import torch

from lasoftmoe.moe import (
    Experts,
    LaSoftMoE,
    LinearAttention,
    MoEAdapter,
    MoEConfig,
    SoftMoE,
    build_moe,
)

pytestmark = pytest.mark.usefixtures("unchecked")

CONSTRUCTIONS = {
    "num_experts must be .* at least 1, got 0": lambda: SoftMoE(8, num_experts=0),
    "slots_per_expert must be .* got -1": lambda: LaSoftMoE(8, slots_per_expert=-1),
    "dim must be .* got 0": lambda: SoftMoE(0),
    "hidden_dim must be .* got 0": lambda: Experts(2, 8, 0),
    "whole number .* got 2.5": lambda: SoftMoE(8, num_experts=2.5),
    "whole number .* got True": lambda: SoftMoE(8, num_experts=True),
    "dim=10 is not divisible by heads=3": lambda: LinearAttention(10, heads=3),
    "dim=6 is not divisible by heads=4": lambda: LaSoftMoE(8, 2, 3, heads=4),
    "heads must be .* got 0": lambda: LinearAttention(10, heads=0),
    "unknown feature_map 'cosine'; choose one of elu, relu": lambda: LinearAttention(
        8, feature_map="cosine"
    ),
    "unknown variant 'papre'; choose one of paper, stable": lambda: LaSoftMoE(8, variant="papre"),
    "unknown attention 'flash'; choose one of linear, softmax": lambda: LaSoftMoE(
        8, attention="flash"
    ),
    "at least two slots in total, got 1": lambda: LaSoftMoE(8, 1, 1),
    "only with normalize_routing": lambda: SoftMoE(8, routing_scale=1.0),
    "works at width 8, but rank is 4": lambda: MoEAdapter(16, 4, SoftMoE(8)),
    "rank must be .* got 0": lambda: MoEAdapter(16, 0, SoftMoE(8)),
    "unknown kind of MoE 'none'; choose one of soft, la, topk": lambda: build_moe(8, MoEConfig()),
    "should be 'paper' or 'stable'": lambda: MoEConfig(kind="soft", variant="x"),
    "hidden_dim must be": lambda: build_moe(8, MoEConfig(kind="soft", hidden_ratio=0.01)),
}


@pytest.mark.parametrize("message", CONSTRUCTIONS)
def test_construction(message):
    with pytest.raises(ValueError, match=message):
        CONSTRUCTIONS[message]()


@pytest.mark.parametrize("shape", [(5, 8), (1, 2, 5, 8), (2, 5, 7), (8,)])
@pytest.mark.parametrize(
    "layer",
    [LinearAttention(8), SoftMoE(8, 2, 2), LaSoftMoE(8, 2, 2), MoEAdapter(8, 4, SoftMoE(4, 2, 2))],
    ids=lambda layer: type(layer).__name__,
)
def test_wrong_tokens(layer, shape):
    with pytest.raises(ValueError, match=r"expected x of shape \(batch, tokens, 8\), got"):
        layer(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 4, 5, 8), (2, 3, 5, 7)])
def test_wrong_slots(shape):
    with pytest.raises(ValueError, match=r"expected slots of shape \(batch, 3, slots, 8\), got"):
        Experts(3, 8, 16)(torch.zeros(shape))


def test_one_slot_in_all_is_fine_elsewhere():
    x = torch.randn(2, 5, 8)
    for layer in (SoftMoE(8, 1, 1), LaSoftMoE(8, 1, 1, variant="stable")):
        torch.testing.assert_close(layer.route(x).combine, torch.ones(2, 5, 1, 1))
