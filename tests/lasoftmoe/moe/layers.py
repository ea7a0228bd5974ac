"""The MoE layers that the tests go through, by name, at a size that shows structure."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lasoftmoe.moe import LaSoftMoE, SoftMoE

DIM, EXPERTS, SLOTS, TOKENS = 32, 4, 6, 19

LAYERS: dict[str, Callable[[], SoftMoE]] = {
    "soft": lambda: SoftMoE(DIM, EXPERTS, SLOTS),
    "soft, normalized": lambda: SoftMoE(DIM, EXPERTS, SLOTS, normalize_routing=True),
    "paper": lambda: LaSoftMoE(DIM, EXPERTS, SLOTS),
    "paper, softmax attention": lambda: LaSoftMoE(DIM, EXPERTS, SLOTS, attention="softmax"),
    "paper, normalized": lambda: LaSoftMoE(DIM, EXPERTS, SLOTS, normalize_routing=True),
    "stable": lambda: LaSoftMoE(DIM, EXPERTS, SLOTS, variant="stable"),
    "stable, raw": lambda: LaSoftMoE(
        DIM, EXPERTS, SLOTS, variant="stable", normalize_routing=False
    ),
}


def make(name: str, seed: int = 0) -> SoftMoE:
    torch.manual_seed(seed)
    return LAYERS[name]()


def tokens(batch: int = 3, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, TOKENS, DIM, generator=torch.Generator().manual_seed(seed))
