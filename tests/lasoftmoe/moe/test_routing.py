from __future__ import annotations

import pytest
import torch
from torch import nn

from lasoftmoe.moe import MoEConfig, RoutedLayer, SoftMoE, build_moe, capture_routing
from tests.lasoftmoe.moe.layers import LAYERS, make, tokens


@pytest.mark.parametrize("name", LAYERS)
def test_captures_what_forward_uses(name):
    layer, x = make(name), tokens()
    before = layer(x)
    with capture_routing(layer) as routing:
        during = layer(x)
    torch.testing.assert_close(during, before, rtol=0, atol=0)
    for captured, wanted in zip(routing[""], layer.route(x), strict=True):
        torch.testing.assert_close(captured, wanted, rtol=0, atol=0)
        assert not captured.requires_grad


def test_names_every_layer_of_a_model():
    config = MoEConfig(kind="la", rank=8, num_experts=2, slots_per_expert=3)
    model = nn.Sequential(build_moe(16, config), nn.ReLU(), build_moe(16, config))
    with capture_routing(model) as routing:
        assert routing == {}
        model(torch.randn(2, 5, 16))
    assert list(routing) == ["0.moe", "2.moe"]
    assert routing["0.moe"].combine.shape == (2, 5, 2, 3)


def test_keeps_the_latest_forward_pass():
    layer, first, second = make("soft"), tokens(seed=1), tokens(seed=2)
    with capture_routing(layer) as routing:
        layer(first)
        layer(second)
    torch.testing.assert_close(routing[""].logits, layer.route(second).logits)


def test_leaves_no_trace_even_after_an_error():
    layer = make("soft")
    attributes = set(layer.__dict__)
    with pytest.raises(RuntimeError, match="stop"), capture_routing(layer) as routing:
        layer(tokens())
        raise RuntimeError("stop")
    assert set(layer.__dict__) == attributes
    assert layer.route.__func__ is SoftMoE.route
    layer(tokens(seed=5))
    torch.testing.assert_close(routing[""].logits, layer.route(tokens()).logits)


def test_contexts_nest():
    layer, x = make("soft"), tokens()
    with capture_routing(layer) as outer:
        with capture_routing(layer) as inner:
            layer(x)
        assert set(inner) == {""}
        outer.clear()
        layer(x)
        assert set(outer) == {""}
    assert "route" not in layer.__dict__


def test_gradients_flow_while_capturing():
    layer = make("paper")
    with capture_routing(layer):
        layer(tokens()).sum().backward()
    assert layer.phi.grad is not None


def test_a_routed_layer_without_route_says_so():
    class Empty(RoutedLayer):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define route"):
        Empty().route(torch.zeros(1, 1, 1))
