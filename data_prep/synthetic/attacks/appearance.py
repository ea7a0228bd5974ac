"""Brightness, contrast, and color of an image, matched to another image.

An attacker adjusts the lamp, the display, and the second camera until the face looks right.
Without this step, a print has gray blacks and pale colors, and a thumbnail of 8 x 8 pixels reveals
it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from data_prep.synthetic.attacks.draw import uniform

_COARSE = 24
"""Cells per side for comparison, too coarse to see dots of ink and pixels of displays."""
_GAMMA = 2.2
_WHITE_BALANCE = 0.7
"""Share of a color cast that an automatic white balance removes."""
_LEAST = 1e-3
_SATURATION_RANGE = (0.7, 1.6)


def look_like(light: Tensor, scene: Tensor, generator: torch.Generator) -> Tensor:
    """Give ``light`` about the color, brightness, contrast, and saturation of ``scene``.

    Some differences remain: 30% of a color cast (which saturation may strengthen), up to 7% of the
    brightness, up to 30% of the difference in contrast, up to 10% of the saturation (or more if
    the factor would be outside 0.7 to 1.6), and all texture.

    Args:
        light: Linear light of a print or a display, (batch, 3, h, w).
        scene: Linear light of the scene it shows, (batch, 3, height, width).

    Returns:
        Linear light of the shape of ``light``.
    """
    batch = len(light)
    light = light * (mean_hue(scene) / mean_hue(light)) ** _WHITE_BALANCE
    now, goal = _seen(_coarse(light)), _seen(_coarse(scene))
    contrast = _contrast(goal) / _contrast(now).clamp(min=_LEAST)
    contrast = torch.lerp(torch.ones(()), contrast, uniform(batch, 0.7, 1.0, generator))
    level = _level(goal) * uniform(batch, 0.93, 1.07, generator)

    def adjust(seen: Tensor) -> Tensor:
        return ((seen - _level(now)) * contrast + level).clamp(min=0)

    saturation = _colorfulness(goal) / _colorfulness(adjust(now)).clamp(min=_LEAST)
    saturation = saturation * uniform(batch, 0.9, 1.1, generator)
    colored = saturate(adjust(_seen(light)), saturation.clamp(*_SATURATION_RANGE))
    return colored.clamp(min=0) ** _GAMMA


def mean_hue(color: Tensor) -> Tensor:
    """Return each image's mean color divided by its mean brightness, (batch, 3, 1, 1)."""
    mean = color.clamp(min=1e-4).mean((2, 3), keepdim=True)
    return mean / mean.mean(1, keepdim=True)


def saturate(color: Tensor, amount: Tensor) -> Tensor:
    """Move colors away from gray (above 1) or toward it (below 1)."""
    return torch.lerp(color.mean(1, keepdim=True), color, amount)


def _coarse(light: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(light, _COARSE)


def _seen(light: Tensor) -> Tensor:
    """Apply a gamma curve to linear light."""
    return light.clamp(min=1e-4) ** (1 / _GAMMA)


def _level(seen: Tensor) -> Tensor:
    return seen.mean((1, 2, 3), keepdim=True)


def _contrast(seen: Tensor) -> Tensor:
    return seen.mean(1, keepdim=True).std((2, 3), keepdim=True)


def _colorfulness(seen: Tensor) -> Tensor:
    gray = seen.mean(1, keepdim=True)
    return (seen - gray).square().mean((1, 2, 3), keepdim=True).sqrt()
