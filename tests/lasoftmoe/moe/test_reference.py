"""Every layer against the paper's equations as loops: values and gradients, many shapes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lasoftmoe.moe import LaSoftMoE, LinearAttention, SoftmaxAttention, SoftMoE
from tests.lasoftmoe.moe.reference import assert_matches, randomize

small = st.integers(1, 3)


def tokens(batch: int, n: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, n, dim, generator=generator, dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(
    batch=st.integers(1, 2),
    n=st.integers(1, 4),
    heads=small,
    per_head=small,
    feature_map=st.sampled_from(["elu", "relu"]),
    project=st.booleans(),
    normalize=st.booleans(),
    seed=st.integers(0, 999),
)
def test_linear_attention(batch, n, heads, per_head, feature_map, project, normalize, seed):
    layer = randomize(
        LinearAttention(heads * per_head, heads, feature_map, project, normalize), seed
    )
    x = tokens(batch, n, heads * per_head, seed)
    if feature_map == "relu":  # keep some feature, or the loops divide zero by zero
        x = x.abs() + 0.1
        for parameter in layer.parameters():
            parameter.data.abs_()
    assert_matches(layer, x)


@settings(max_examples=10, deadline=None)
@given(heads=small, per_head=small, n=st.integers(1, 4), project=st.booleans())
def test_softmax_attention(heads, per_head, n, project):
    dim = heads * per_head
    assert_matches(randomize(SoftmaxAttention(dim, heads, project)), tokens(2, n, dim))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 4), small),
    experts=small,
    slots=small,
    hidden=small,
    normalize_routing=st.booleans(),
    seed=st.integers(0, 999),
)
def test_soft_moe(shape, experts, slots, hidden, normalize_routing, seed):
    layer = SoftMoE(shape[-1], experts, slots, hidden, normalize_routing=normalize_routing)
    assert_matches(randomize(layer, seed), tokens(*shape, seed))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 4), small),
    experts=st.integers(2, 3),
    slots=small,
    hidden=small,
    variant=st.sampled_from(["paper", "stable"]),
    normalize_routing=st.sampled_from([None, False, True]),
    heads=st.booleans(),
    normalize=st.booleans(),
    attention=st.sampled_from(["linear", "softmax"]),
    seed=st.integers(0, 999),
)
def test_la_soft_moe(
    shape, experts, slots, hidden, variant, normalize_routing, heads, normalize, attention, seed
):
    layer = LaSoftMoE(
        shape[-1],
        experts,
        slots,
        hidden,
        variant=variant,
        normalize_routing=normalize_routing,
        heads=experts if heads else 1,
        normalize=normalize,
        attention=attention,
    )
    assert_matches(randomize(layer, seed), tokens(*shape, seed))


@pytest.mark.parametrize("project", [True, False])
def test_paper_variant_at_its_defaults_in_small(project):
    layer = randomize(LaSoftMoE(4, num_experts=2, slots_per_expert=3, project=project))
    assert_matches(layer, tokens(2, 5, 4))
