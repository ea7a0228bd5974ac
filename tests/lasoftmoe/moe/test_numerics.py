"""Initial values, and half precision at inputs a thousand times larger than usual."""

from __future__ import annotations

import pytest
import torch

from lasoftmoe.moe import Experts, LaSoftMoE, LinearAttention, MoEAdapter, SoftMoE, TopKMoE
from lasoftmoe.moe.linear_attention import elu_plus_one
from tests.lasoftmoe.moe.layers import DIM, LAYERS, make, tokens

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Combine weights that average what the experts return.
AVERAGING = [name for name in LAYERS if not name.startswith("paper")]


def assert_std(weight: torch.Tensor, std: float) -> None:
    assert weight.std().item() == pytest.approx(std, rel=0.05)
    assert weight.mean().item() == pytest.approx(0, abs=0.05 * std)


def test_each_expert_is_initialized_by_its_own_fan_in():
    torch.manual_seed(0)
    experts = Experts(num_experts=3, dim=64, hidden_dim=256)
    for index in range(3):
        assert_std(experts.weight_in[index], 64**-0.5)
        assert_std(experts.weight_out[index], 256**-0.5)
    assert not experts.bias_in.any() and not experts.bias_out.any()


def test_initial_phi_is_standard_normal_as_in_algorithm_2():
    torch.manual_seed(0)
    assert_std(SoftMoE(64, 4, 49).phi, 1.0)


def test_initial_projections_keep_the_variance():
    torch.manual_seed(0)
    assert_std(LinearAttention(96).qkv.weight, 96**-0.5)
    assert_std(MoEAdapter(96, 64, SoftMoE(64, 2, 2)).down.weight, 96**-0.5)


def test_initial_router_of_the_sparse_moe_gives_logits_of_unit_variance():
    torch.manual_seed(0)
    layer = TopKMoE(768, 8)
    assert_std(layer.router, 768**-0.5)
    assert_std(layer.route(torch.randn(8, 50, 768)).logits, 1.0)


def test_initial_logits_grow_with_the_width_unless_normalized():
    torch.manual_seed(0)
    x = torch.randn(8, 50, 768)
    assert_std(SoftMoE(768, 4, 12).route(x).logits, 768**0.5)
    assert_std(SoftMoE(768, 4, 12, normalize_routing=True).route(x).logits, 1.0)
    assert_std(
        SoftMoE(768, 4, 12, normalize_routing=True, routing_scale=5.0).route(x).logits,
        5.0 / 768**0.5,
    )


def test_elu_plus_one_is_that_function_and_never_rounds_to_zero_early():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64, requires_grad=True)
    wanted = torch.nn.functional.elu(x) + 1
    torch.testing.assert_close(elu_plus_one(x), wanted)
    (got,) = torch.autograd.grad(elu_plus_one(x).sum(), x)
    torch.testing.assert_close(got, torch.autograd.grad(wanted.sum(), x)[0])
    assert elu_plus_one(torch.tensor(-50.0)) > 0
    large = torch.tensor(1e4, requires_grad=True)
    assert torch.autograd.grad(elu_plus_one(large), large)[0] == 1


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("name", AVERAGING)
def test_autocast_is_finite_at_huge_inputs(name, half):
    layer, x = make(name), (tokens() * 1e4).requires_grad_()
    with torch.autocast("cpu", dtype=HALF[half]):
        output = layer(x)
    assert output.isfinite().all()
    gradients = torch.autograd.grad(output.float().mean(), (x, *layer.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in AVERAGING])
def test_routing_of_the_paper_is_finite_at_huge_inputs(name, half):
    """Its output need not be: combine weights that are no average sum up to 65504 and more."""
    layer, x = make(name), tokens() * 1e4
    with torch.autocast("cpu", dtype=HALF[half]):
        assert all(weights.isfinite().all() for weights in layer.route(x))
        assert layer.route(x.to(HALF[half])).combine.isfinite().all()
        assert layer(x if half == "bf16" else x / 1e2).isfinite().all()


@pytest.mark.parametrize("half", HALF)
def test_key_sums_are_accumulated_in_float32(half):
    """4,096 keys of about 100 sum to 4e5: more than fp16 holds, more digits than bf16 has."""
    x = 100 + torch.rand(1, 4096, 4)
    layer = LinearAttention(4, project=False)
    with torch.autocast("cpu", dtype=HALF[half]):
        output = layer(x.to(HALF[half]))
    assert output.dtype == HALF[half]
    torch.testing.assert_close(output.float(), layer(x), rtol=1e-2, atol=0)


def test_linear_attention_is_finite_where_no_feature_is_left():
    x = torch.full((1, 3, 4), -1e4, requires_grad=True)
    for feature_map in ("elu", "relu"):
        output = LinearAttention(4, feature_map=feature_map, project=False)(x)
        assert output.isfinite().all()
        assert torch.autograd.grad(output.sum(), x)[0].isfinite().all()


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("name", LAYERS)
def test_autocast_stays_close_to_float32(name, half):
    layer, x = make(name), tokens()
    with torch.autocast("cpu", dtype=HALF[half]):
        output = layer(x).float()
    reference = layer(x)
    relative = (output - reference).norm() / reference.norm()
    assert relative < (0.1 if half == "bf16" else 0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", [*LAYERS, "top-k", "adapter"])
def test_a_layer_works_in_every_floating_type(name, dtype):
    others = {"top-k": TopKMoE(DIM), "adapter": MoEAdapter(DIM, 8, LaSoftMoE(8, 2, 3))}
    layer, x = others.get(name) or make(name), tokens()
    if name == "adapter":
        torch.nn.init.normal_(layer.up.weight, std=0.1)
    wanted, output = layer(x), layer.to(dtype)(x.to(dtype))
    assert output.dtype == dtype
    if name != "top-k":  # rounding may change a choice
        assert (output - wanted).norm() < 0.1 * wanted.norm()


@pytest.mark.parametrize("name", LAYERS)
def test_every_parameter_gets_a_gradient(name):
    """A parameter without one stops distributed data parallel training."""
    layer = make(name)
    layer(tokens()).square().mean().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("name", LAYERS)
def test_compiles_into_one_graph(name, autocast):
    layer, x = make(name), tokens()
    torch.compiler.reset()  # all these layers share a forward, whose versions are counted
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        torch.testing.assert_close(compiled(x), layer(x))


def test_routing_entropy_at_the_start():
    """Of 197 tokens at CLIP's width a slot sees one or two, or most, or all: the scale decides."""
    x = torch.randn(4, 197, 768, generator=torch.Generator().manual_seed(1))

    def seen(**routing) -> float:
        torch.manual_seed(0)
        dispatch = SoftMoE(768, 4, 12, **routing).route(x).dispatch
        entropy = -(dispatch * dispatch.clamp(min=1e-30).log()).sum(dim=1)
        return entropy.exp().mean().item()

    assert 1.0 < seen() < 1.6
    assert 100 < seen(normalize_routing=True) < 140
    assert 8 < seen(normalize_routing=True, routing_scale=3 * 768**0.5) < 25
    assert seen(normalize_routing=True, routing_scale=1.0) > 196


def test_la_and_soft_start_from_the_same_dispatch():
    """With one seed the two layers share Phi and the experts, so that only C differs."""
    torch.manual_seed(0)
    soft = SoftMoE(32, 4, 6)
    torch.manual_seed(0)
    la = LaSoftMoE(32, 4, 6)
    x = tokens()
    torch.testing.assert_close(soft.route(x).dispatch, la.route(x).dispatch)
    torch.testing.assert_close(soft.experts.weight_in, la.experts.weight_in)
