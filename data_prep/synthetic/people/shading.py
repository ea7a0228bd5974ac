"""Shading: wrapped Lambert for skin, a highlight, and light from the sky."""

from __future__ import annotations

from types import SimpleNamespace

import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.noise import gray, rgb
from data_prep.synthetic.row_numbers import Number

SKIN_WRAP = (0.38, 0.22, 0.15)
"""Reach of light around corners in skin, farthest for red (approximates scattering)."""
PLAIN_WRAP = (0.12, 0.12, 0.12)


def shade(
    normal: Tensor,
    albedo: Tensor,
    session: SimpleNamespace,
    specular: Tensor | Number = 0.0,
    gloss: Number = 12.0,
    wrap: tuple[Number, Number, Number] = SKIN_WRAP,
) -> Tensor:
    """Return the light that leaves a surface, linear RGB (..., 3, h, w).

    Args:
        normal: Unit vectors in camera axes, (..., 3, h, w).
        albedo: Linear RGB, (..., 3, h, w) or (..., 3, 1, 1).
        session: One row of Sessions, or a batch of rows.
        specular: Strength of the highlight, (..., h, w) or a number.
        gloss: Exponent of the highlight.
        wrap: Reach of each color's light past the terminator.
    """
    _, upward, outward = normal.unbind(-3)
    facing = (normal * session.light).sum(-3)
    around = rgb(*wrap)
    diffuse = ((gray(facing) + around) / (1 + around)).clamp(min=0)
    half_way = F.normalize(session.light + rgb(0.0, 0.0, 1.0), dim=-3)
    highlight = (normal * half_way).sum(-3).clamp(min=0) ** gloss * (facing > 0)
    sky = (0.75 + 0.25 * upward) * (0.65 + 0.35 * outward.clamp(min=0))
    key_light = session.key * session.light_color
    lit = albedo * (diffuse * key_light + gray(session.ambient * sky))
    return lit + gray(specular * highlight) * key_light
