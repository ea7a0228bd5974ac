"""The table of public implementations: rows whose peer cannot be installed, and its own truth."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F

from lasoftmoe.moe import SoftMoE
from lasoftmoe.paths import ROOT


def normalized_layer(dim: int = 16) -> tuple[SoftMoE, torch.Tensor]:
    torch.manual_seed(0)
    layer = SoftMoE(dim, 4, 3, normalize_routing=True, routing_scale=1.0).double()
    return layer, 5 * torch.randn(2, 7, dim, dtype=torch.float64)


def test_logits_of_vmoe_are_scaled_cosines():
    """Its mu and scale are our phi and scale; it normalizes both factors of the logits."""
    layer, x = normalized_layer()
    layer.scale.data.fill_(2.5)
    cosine = F.cosine_similarity(x[:, :, None, None], layer.phi[None, None], dim=-1)
    routing = layer.route(x)
    torch.testing.assert_close(routing.logits, 2.5 * cosine)
    torch.testing.assert_close(routing.dispatch, (2.5 * cosine).softmax(dim=1))
    torch.testing.assert_close(routing.combine.sum(dim=(2, 3)), torch.ones(2, 7).double())


def test_dispatching_normalized_tokens_is_calling_on_them():
    layer, x = normalized_layer()
    unit = F.normalize(x, dim=-1)
    routing = layer.route(x)
    for ours, theirs in zip(layer.route(unit), routing, strict=True):
        torch.testing.assert_close(ours, theirs)  # the routing does not change ...
    slots = torch.einsum("bnd,bnes->besd", unit, routing.dispatch)
    wanted = torch.einsum("besd,bnes->bnd", layer.experts(slots), routing.combine)
    torch.testing.assert_close(layer(unit), wanted)  # ... what the experts see does
    assert layer(unit).std() < 0.5 * layer(x).std()


def test_every_row_names_a_test_that_exists():
    rows = (ROOT / "docs" / "peers.md").read_text("utf-8").strip().splitlines()[2:]
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) > 8
    for row in rows:
        name = re.fullmatch(r".*`(\w+)` \|", row).group(1)
        assert re.search(rf"(def|class) {name}\b", code), name
