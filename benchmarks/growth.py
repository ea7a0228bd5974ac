"""Growth of cost with tokens, slots, and experts: measured and predicted by formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import torch
from torch import nn

from benchmarks.layers import Job, Shapes
from benchmarks.timing import Method, in_turns
from lasoftmoe.moe import LinearAttention, MoEConfig, SoftmaxAttention, build_moe
from lasoftmoe.moe.build import BranchKind
from lasoftmoe.moe.cost import cost_table

SWEEPS = {
    "tokens": [50, 100, 197, 400, 800],
    "slots": [6, 12, 25, 49, 98],
    "experts": [1, 2, 4, 8, 16],
}
BASE = Shapes(batch=4, tokens=197, dim=256, experts=4, slots=49, rank=256)
BACKWARD = 3  # FLOPs of forward and backward, relative to forward


def growth(method: Method, base: Shapes = BASE) -> list[dict]:
    """Time training passes of the branches, varying one size at a time.

    Returns:
        Rows with ``sweep``, ``size``, ``layer``, ``measured``, and ``predicted`` in seconds. The
        prediction is the multiply-adds of ``cost_table`` at the rate of a large matrix product.
    """
    rows = []
    for sweep, sizes in SWEEPS.items():
        for size in sizes:
            shapes = replace(base, **{sweep: size})
            layers, flops = {}, {}
            for kind in get_args(BranchKind):
                config = MoEConfig(
                    kind=kind,
                    rank=shapes.rank,
                    num_experts=shapes.experts,
                    slots_per_expert=shapes.slots,
                    top_k=1,
                    capacity_factor=1.0,
                )
                layers[kind] = build_moe(shapes.dim, config)
                cost = cost_table(shapes.dim, shapes.tokens, config)["multiply_adds"].sum()
                flops[kind] = 2.0 * BACKWARD * shapes.batch * float(cost)
            rows += _rows(sweep, size, layers, flops, shapes, method)
    return rows


def attention_growth(method: Method, base: Shapes = BASE) -> list[dict]:
    """Time both attentions over the logits, by the number of tokens; rows as in ``growth``."""
    rows, width = [], base.experts * base.slots
    for tokens in SWEEPS["tokens"]:
        shapes = replace(base, tokens=tokens, dim=width)
        layers = {"linear": LinearAttention(width), "softmax": SoftmaxAttention(width)}
        projections = 3 * tokens * width**2
        products = {"linear": 2 * tokens * width**2, "softmax": 2 * tokens**2 * width}
        flops = {
            name: 2.0 * BACKWARD * shapes.batch * (projections + count)
            for name, count in products.items()
        }
        rows += _rows("attention", tokens, layers, flops, shapes, method)
    return rows


def _rows(
    sweep: str,
    size: int,
    layers: dict[str, nn.Module],
    flops: dict[str, float],
    shapes: Shapes,
    method: Method,
) -> list[dict]:
    size_of_x = (shapes.batch, shapes.tokens, shapes.dim)
    x = torch.randn(size_of_x, device=method.device, requires_grad=True)
    jobs = {name: Job(layer.to(x.device), x, method.dtype) for name, layer in layers.items()}
    steps = {name: job.train for name, job in jobs.items()}
    timed = in_turns(steps, method)
    return [
        {
            "sweep": sweep,
            "size": size,
            "layer": name,
            "measured": timed.median(name),
            "predicted": flops[name] / timed.rate,
        }
        for name in layers
    ]
