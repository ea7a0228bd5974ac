"""Layers to time, at the shapes of ViT-B/16 or smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe.moe import LaSoftMoE, MoEConfig, SoftMoE, TopKMoE, build_moe

try:
    import soft_moe_pytorch
except ImportError:
    soft_moe_pytorch = None

PEER = "soft-moe-pytorch"


@dataclass(frozen=True)
class Shapes:
    """Sizes of a layer and its input; the default is the paper's ViT-B/16."""

    batch: int = 8
    tokens: int = 197
    dim: int = 768
    experts: int = 4
    slots: int = 49
    rank: int = 128


class Bottleneck(nn.Sequential):
    """The peer between two Linear layers, like our adapter."""

    def __init__(self, dim: int, rank: int, moe: nn.Module) -> None:
        super().__init__(nn.Linear(dim, rank), moe, nn.Linear(rank, dim))


def layers(shapes: Shapes) -> dict[str, Callable[[], nn.Module]]:
    """Return constructors by name, without the peer's if its package is not installed.

    "soft" has normalized routing, like the peer, so that both compute the same.
    """
    dim, rank, sizes = shapes.dim, shapes.rank, (shapes.experts, shapes.slots)
    common = {"num_experts": shapes.experts, "slots_per_expert": shapes.slots, "rank": rank}
    found = {
        "mlp": lambda: nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)),
        "top-k": lambda: TopKMoE(dim, shapes.experts, 1, 1.0),
        "soft": lambda: SoftMoE(dim, *sizes, normalize_routing=True),
        "la": lambda: LaSoftMoE(dim, *sizes),
        f"soft, rank {rank}": lambda: build_moe(
            dim, MoEConfig(kind="soft", variant="stable", **common)
        ),
        f"la, rank {rank}": lambda: build_moe(dim, MoEConfig(kind="la", **common)),
        f"la stable, rank {rank}": lambda: build_moe(
            dim, MoEConfig(kind="la", variant="stable", **common)
        ),
    }
    if soft_moe_pytorch is not None:
        found[PEER] = lambda: _peer(dim, shapes)
        found[f"{PEER}, rank {rank}"] = lambda: Bottleneck(dim, rank, _peer(rank, shapes))
    return found


def _peer(dim: int, shapes: Shapes) -> nn.Module:
    return soft_moe_pytorch.SoftMoE(dim, num_experts=shapes.experts, num_slots=shapes.slots)


@dataclass(frozen=True)
class Job:
    """A module's passes over one input, as steps to time."""

    module: nn.Module
    x: Tensor
    dtype: torch.dtype

    def forward(self) -> Tensor:
        """Run the module without gradients."""
        with torch.no_grad():
            return self._output()

    def train(self) -> None:
        """Run forward and backward, including the input's gradients, as inside a network."""
        for tensor in (self.x, *self.module.parameters()):
            tensor.grad = None
        output = self._output()
        output.backward(torch.ones_like(output))

    def flops(self, step: Callable[[], object]) -> float:
        """Count a step's FLOPs in matrix products while it runs."""
        with FlopCounterMode(display=False) as counter:
            step()
        return float(counter.get_total_flops())

    def _output(self) -> Tensor:
        half = self.dtype.itemsize == 2
        with torch.autocast(self.x.device.type, self.dtype, enabled=half):
            return self.module(self.x)
