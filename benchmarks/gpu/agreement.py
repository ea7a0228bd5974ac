"""All layers on the device against the same layers on a CPU in double precision.

Half precision is judged by the CPU's own: what a device computes in bfloat16 may be at most twice
as far from the reference as what a CPU computes in bfloat16.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.setting import Setting, relative_error
from benchmarks.layers import Shapes, layers

SINGLE, HALF, SLACK = 1e-4, 2.0, 1e-3
"""Bounds: the relative error in float32, and that in half precision in terms of the CPU's."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def layers_agree(setting: Setting) -> dict[str, Any]:
    """Compare outputs and gradients in three precisions, eager and compiled as one graph."""
    shapes = TINY if setting.tiny else Shapes(batch=2)
    rows = []
    for name, make in layers(shapes).items():
        layer = trained(make)
        x = torch.randn(shapes.batch, shapes.tokens, shapes.dim)
        wanted = results(copy.deepcopy(layer).double(), x.double(), torch.float64)
        for precision, dtype in PRECISIONS.items():
            bound = SINGLE
            if dtype != torch.float32:
                on_cpu = results(copy.deepcopy(layer), x, dtype)
                bound = HALF * relative_error(on_cpu, wanted) + SLACK
            # Generating code takes seconds, so only the precision of the preset is compiled.
            for way in ("eager", "compiled") if precision == "bfloat16" else ("eager",):
                found = on_device(layer, x, dtype, setting, way == "compiled")
                error = relative_error(found, wanted)
                setting.require_close(f"{name}, {precision}, {way}", error, round(bound, 6))
                rows.append({"layer": name, "precision": precision, "way": way, "error": error})
    worst = max(rows, key=lambda row: row["error"] if row["precision"] == "bfloat16" else 0)
    summary = (
        f"{len(rows)} comparisons within their bounds; largest relative error in bfloat16 "
        f"{worst['error']:.1%} ({worst['layer']})"
    )
    return {"rows": rows, "summary": summary}


TINY = Shapes(batch=2, tokens=17, dim=32, experts=2, slots=3, rank=8)


def trained(make: Callable[[], nn.Module]) -> nn.Module:
    """Build a layer whose weights are all away from zero, where an adapter's last ones begin."""
    torch.manual_seed(0)
    layer = make()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return layer


def on_device(
    layer: nn.Module, x: Tensor, dtype: torch.dtype, setting: Setting, compiled: bool
) -> list[Tensor]:
    """Return output and gradients of a copy on the device; a graph break is an error."""
    module = copy.deepcopy(layer).to(setting.device)
    if compiled:
        torch.compiler.reset()
        module = torch.compile(module, fullgraph=True, backend=setting.backend)
    return results(module, x.to(setting.device), dtype)


def results(module: nn.Module, x: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Return a module's output and all gradients of one training pass."""
    x = x.clone().requires_grad_()
    half = dtype.itemsize == 2
    with torch.autocast(x.device.type, dtype if half else None, enabled=half):
        output = module(x)
    output.backward(torch.ones_like(output))
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert x.grad is not None
    return [output, x.grad, *gradients]
