"""Tests that any implementation must pass: `make course-tests IMPL=module`."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe import losses, metrics
from lasoftmoe.moe import Experts, LinearAttention, naive
from lasoftmoe.paths import ROOT
from tests.lasoftmoe.moe import reference

BATCH, TOKENS, DIM, EXPERTS, SLOTS = 2, 7, 6, 3, 4
close = torch.testing.assert_close


@pytest.fixture
def parts():
    """Tokens, vectors of slots, attention, and experts."""
    torch.manual_seed(0)
    x, phi = torch.randn(BATCH, TOKENS, DIM), torch.randn(EXPERTS, SLOTS, DIM)
    with torch.no_grad():
        experts = Experts(EXPERTS, DIM, 5)
        for bias in (experts.bias_in, experts.bias_out):
            bias.normal_()
    return x, phi, LinearAttention(EXPERTS * SLOTS), experts


@pytest.fixture
def qkv():
    torch.manual_seed(1)
    return tuple(torch.randn(BATCH, 40, 8) for _ in range(3))


@pytest.mark.about("linear_attention")
def test_linear_attention_agrees_with_the_sum_over_pairs(call, qkv):
    queries, keys, values = qkv
    weights = (F.elu(queries) + 1) @ (F.elu(keys) + 1).mT
    close(call(*qkv), weights / weights.sum(-1, keepdim=True) @ values)


@pytest.mark.about("linear_attention")
def test_linear_attention_averages_values(call, qkv):
    queries, keys, _ = qkv
    close(call(queries, keys, torch.ones_like(keys)), torch.ones_like(keys))


@pytest.mark.about("linear_attention")
def test_linear_attention_builds_no_table_of_pairs(call, qkv):
    with FlopCounterMode(display=False) as counter:
        call(*qkv)
    table = 2 * BATCH * 40 * 40 * 8  # floating-point operations of a table alone
    assert counter.get_total_flops() <= 1.1 * table * 2 * 8 / 40


@pytest.mark.about("soft_moe")
def test_soft_moe_agrees_with_loops_over_experts(call, parts):
    x, phi, _, experts = parts
    expected = naive.soft_moe(x, phi, lambda slots: reference.run_experts(experts, slots))
    close(call(x, phi, experts), expected)


@pytest.mark.about("soft_moe")
def test_soft_moe_does_not_mind_the_order_of_tokens(call, parts):
    x, phi, _, experts = parts
    close(call(x.flip(1), phi, experts), call(x, phi, experts).flip(1))


@pytest.mark.about("soft_moe")
def test_soft_moe_keeps_images_apart(call, parts):
    x, phi, _, experts = parts
    close(call(x[:1], phi, experts), call(x, phi, experts)[:1])


@pytest.mark.about("soft_moe")
def test_soft_moe_gives_phi_a_gradient_at_every_slot(call, parts):
    x, phi, _, experts = parts
    phi.requires_grad_()
    call(x, phi, experts).square().sum().backward()
    assert phi.grad.flatten(0, 1).any(dim=1).all()


@pytest.mark.about("la_soft_moe")
def test_la_soft_moe_agrees_with_loops_over_pairs_and_experts(call, parts):
    x, phi, attention, experts = parts
    expected = naive.la_soft_moe(
        x,
        phi,
        lambda logits: torch.stack([reference.attention(attention, one) for one in logits]),
        lambda slots: reference.run_experts(experts, slots),
    )
    close(call(x, phi, attention, experts), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.about("la_soft_moe")
def test_la_soft_moe_weights_of_a_token_sum_to_zero(call, parts):
    x, phi, attention, _ = parts
    same = call(x, phi, attention, torch.ones_like)  # every expert says 1: the sum of the weights
    close(same, torch.zeros_like(same), atol=1e-4, rtol=0)


@pytest.mark.about("la_soft_moe")
def test_la_soft_moe_keeps_images_apart(call, parts):
    x, *others = parts
    close(call(x[:1], *others), call(x, *others)[:1])


@pytest.fixture
def layer(call):
    torch.manual_seed(2)
    made = call(DIM, EXPERTS, SLOTS)
    assert isinstance(made, nn.Module)
    return made


@pytest.mark.about("build_la_soft_moe")
def test_module_keeps_the_shape(layer, parts):
    assert layer(parts[0]).shape == parts[0].shape


@pytest.mark.about("build_la_soft_moe")
def test_module_is_equivariant_under_permuted_tokens(layer, parts):
    x = parts[0]
    close(layer(x.flip(1)), layer(x).flip(1), atol=1e-4, rtol=1e-4)


@pytest.mark.about("build_la_soft_moe")
def test_module_learns_in_all_its_parameters(layer, parts):
    (layer(parts[0]) - torch.randn(BATCH, TOKENS, DIM)).square().sum().backward()
    silent = [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@pytest.mark.about("build_la_soft_moe")
def test_module_comes_back_from_its_state(call, parts):
    one, other = call(DIM, EXPERTS, SLOTS), call(DIM, EXPERTS, SLOTS)
    other.load_state_dict(one.state_dict())
    close(one(parts[0]), other(parts[0]))


@pytest.mark.about("build_la_soft_moe")
def test_module_has_the_parameters_of_algorithm_2(layer):
    hidden = 4 * DIM
    experts = EXPERTS * (2 * DIM * hidden + hidden + DIM)
    wanted = EXPERTS * SLOTS * DIM + experts + 3 * (EXPERTS * SLOTS) ** 2
    assert sum(p.numel() for p in layer.parameters()) == wanted


@pytest.fixture
def embeddings():
    torch.manual_seed(3)
    return torch.randn(8, 5), torch.randn(8, 5)


@pytest.mark.about("clip_contrastive")
def test_contrastive_loss_agrees_with_the_package(call, embeddings):
    close(call(*embeddings, 10.0), losses.clip_contrastive(*embeddings, 10.0))


@pytest.mark.about("clip_contrastive")
def test_contrastive_loss_does_not_mind_lengths(call, embeddings):
    image, text = embeddings
    close(call(3 * image, text / 7, 10.0), call(image, text, 10.0))


@pytest.mark.about("clip_contrastive")
def test_contrastive_loss_stops_at_its_floor(call):
    captions = F.normalize(torch.eye(2, 5), dim=-1)[torch.arange(8) % 2]
    close(call(captions, captions, 1000.0), torch.tensor(math.log(4)))


@pytest.mark.about("eer")
def test_eer_agrees_with_the_package(call):
    torch.manual_seed(4)
    is_attack = torch.arange(60) % 3 > 0
    score = torch.randn(60) + is_attack
    expected = metrics.eer(score.numpy(), is_attack.numpy())
    assert float(call(score.numpy(), is_attack.numpy())) == pytest.approx(expected, abs=0.01)


@pytest.mark.about("eer")
def test_eer_of_separated_scores_is_zero(call):
    is_attack = torch.arange(10) > 4
    assert float(call(is_attack.float().numpy(), is_attack.numpy())) == 0


@pytest.mark.slow
@pytest.mark.skipif("COURSE_IMPL" in os.environ, reason="these are tests of the tests")
def test_slips_are_found_and_told_in_words():
    done = subprocess.run(
        [sys.executable, "-m", "tools.course_tests", "tests.course.slips"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    lines = done.stdout
    for name in (
        "linear attention averages values",
        "soft moe agrees with loops over experts",
        "module keeps the shape",
        "contrastive loss does not mind lengths",
    ):
        assert f"DOES NOT HOLD   {name}" in lines
    assert "holds           la soft moe agrees with loops over pairs and experts" in lines
    assert "not written yet eer agrees with the package" in lines
