"""How light becomes color: wrapped Lambert for skin, a highlight, and light from the sky."""

from __future__ import annotations

from types import SimpleNamespace

import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.noise import rgb

SKIN_WRAP = (0.38, 0.22, 0.15)
"""Light bleeds around corners in skin, red the furthest (a stand-in for scattering)."""
PLAIN_WRAP = (0.12, 0.12, 0.12)


def shade(
    normal: Tensor,
    albedo: Tensor,
    session: SimpleNamespace,
    specular: Tensor | float = 0.0,
    gloss: float = 12.0,
    wrap: tuple[float, float, float] = SKIN_WRAP,
) -> Tensor:
    """Light leaving a surface, linear RGB (3, h, w).

    Args:
        normal: unit vectors in camera axes, (3, h, w).
        albedo: linear RGB, (3, h, w) or (3, 1, 1).
        session: one row of Sessions.
        specular: strength of the highlight, (h, w) or a number.
        gloss: exponent of the highlight.
        wrap: how far light of each color reaches past the terminator.
    """
    facing = (normal * session.light).sum(0)
    around = rgb(*wrap)
    diffuse = ((facing + around) / (1 + around)).clamp(min=0)
    half_way = F.normalize(session.light + rgb(0.0, 0.0, 1.0), dim=0)
    highlight = (normal * half_way).sum(0).clamp(min=0) ** gloss * (facing > 0)
    sky = (0.75 + 0.25 * normal[1]) * (0.65 + 0.35 * normal[2].clamp(min=0))
    key_light = session.key * session.light_color
    return albedo * (diffuse * key_light + session.ambient * sky) + specular * highlight * key_light
