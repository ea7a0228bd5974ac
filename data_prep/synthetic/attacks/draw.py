"""Random draws that the attacks share."""

from __future__ import annotations

import torch
from torch import Tensor

from data_prep.taxonomy import LOWEST_SHARE, attack_type


def uniform(batch: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw one number per image from [low, high), (batch, 1, 1, 1)."""
    return low + (high - low) * torch.rand(batch, 1, 1, 1, generator=generator)


def maybe(batch: int, probability: float, generator: torch.Generator) -> Tensor:
    """Draw 0 or 1 per image, (batch, 1, 1, 1), with the given probability of 1."""
    return (torch.rand(batch, 1, 1, 1, generator=generator) < probability).float()


def draw_strength(
    name: str, batch: int, generator: torch.Generator, strength: float | None = None
) -> Tensor:
    """Draw the strength of each image, (batch, 1, 1, 1), in the taxonomy's unit.

    It is between ``LOWEST_SHARE`` times the attack's strength and that strength; ``strength``
    replaces the taxonomy's number.
    """
    most = attack_type(name).strength if strength is None else strength
    return uniform(batch, LOWEST_SHARE * most, most, generator)
