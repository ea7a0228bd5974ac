"""Random draws that every attack makes alike."""

from __future__ import annotations

import torch
from torch import Tensor

from data_prep.taxonomy import LOWEST_SHARE, attack_type


def uniform(batch: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """One number an image from [low, high), shaped (batch, 1, 1, 1) to broadcast over pixels."""
    return low + (high - low) * torch.rand(batch, 1, 1, 1, generator=generator)


def maybe(batch: int, probability: float, generator: torch.Generator) -> Tensor:
    """One 0 or 1 an image, shaped (batch, 1, 1, 1); 1 with the given probability."""
    return (torch.rand(batch, 1, 1, 1, generator=generator) < probability).float()


def draw_strength(
    name: str, batch: int, generator: torch.Generator, strength: float | None = None
) -> Tensor:
    """The strength of each image, (batch, 1, 1, 1), in the unit that the taxonomy gives.

    Drawn between ``LOWEST_SHARE`` times the attack's strength and the strength itself;
    ``strength`` replaces the table's number.
    """
    most = attack_type(name).strength if strength is None else strength
    return uniform(batch, LOWEST_SHARE * most, most, generator)
