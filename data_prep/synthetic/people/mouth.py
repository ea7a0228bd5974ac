"""The mouth: lips, the dark between them, and teeth."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import FINE, bell, bell2, blend, gray, noise, rgb, smoothstep
from data_prep.synthetic.people.canvas import Canvas
from data_prep.synthetic.people.geometry import Landmarks
from data_prep.synthetic.row_numbers import flag, larger, nobody, smaller


@dataclass(frozen=True)
class Mouth:
    """Painted mouth and its regions."""

    albedo: Tensor
    upper_lip: Tensor
    lower_lip: Tensor
    gap: Tensor
    """1 where the mouth is open."""
    above: Tensor
    """Height above the edge of the upper lip."""


def paint_mouth(albedo: Tensor, c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Mouth:
    """Paint lips, the dark of an open mouth, and the upper teeth."""
    drop, width, smile = marks.jaw_drop, marks.mouth_width, marks.smile
    corners = 0.11 * (smile + 0.22) * (c.x / width) ** 2
    y = c.y - marks.mouth_y - corners + p.asymmetry.tolist()[3] * c.x
    q = (c.x / width).abs().clamp(max=1)
    reach = 1 - q**2.4
    bow = 1 - 0.28 * bell(c.x, 0.03)
    top = 0.35 * drop * reach
    bottom = -0.75 * drop * reach
    upper_edge = top + p.upper_lip * reach * bow * (1 - 0.25 * larger(smile, 0.0))
    lower_edge = bottom - p.lower_lip * reach**0.8
    upper_lip = smoothstep(-0.012, 0.012, upper_edge - y) * smoothstep(-0.006, 0.006, y - top)
    lower_lip = smoothstep(-0.006, 0.006, bottom - y) * smoothstep(-0.012, 0.014, y - lower_edge)
    upper_lip, lower_lip = upper_lip * (q < 1), lower_lip * (q < 1)

    lips = _lip_color(p) * gray(1 + 0.09 * noise(FINE, 0.9 * c.x + c.offset[0], 0.2 * c.y))
    albedo = blend(albedo, 0.80 * lips, 0.88 * upper_lip)
    albedo = blend(albedo, 1.06 * lips, 0.80 * lower_lip)
    opened = flag(drop > 0.006)
    gap = torch.zeros_like(y)
    if not nobody(opened):
        gap = smoothstep(-0.006, 0.006, top - y) * smoothstep(-0.006, 0.006, y - bottom) * (q < 1)
        gap = gap * opened
        albedo = blend(albedo, _mouth_inside(y - top, q, marks), gap)
    if not nobody(1 - opened):
        line = 0.75 * (1 - opened) * bell(y, 0.010) * (q < 1)
        albedo = blend(albedo, 0.24 * p.skin, line)
    albedo = blend(albedo, 0.45 * p.skin, 0.5 * bell2(c.ax - width, y, 0.016, 0.014))
    return Mouth(albedo, upper_lip, lower_lip, gap, y - upper_edge)


def _lip_color(p: SimpleNamespace) -> Tensor:
    natural = p.skin * rgb(0.86 - 0.08 * p.lip_tone, 0.60 - 0.10 * p.lip_tone, 0.62)
    lipstick = rgb(0.52, 0.09 + 0.12 * p.lip_tone, 0.12 + 0.12 * p.lip_tone)
    return torch.lerp(natural, lipstick, 0.75 * p.makeup)


def _mouth_inside(below_lip: Tensor, q: Tensor, marks: Landmarks) -> Tensor:
    """Paint the dark inside with the upper teeth; a broader smile shows more of them."""
    grin = smaller(larger((marks.smile - 0.3) / 0.4, 0.0), 1.0)
    reach = marks.jaw_drop * (0.22 + 0.60 * grin)
    teeth = smoothstep(-reach - 0.02, -reach, below_lip) * (1 - 0.8 * smoothstep(0.45, 0.95, q))
    gums = 1 - 0.35 * smoothstep(-0.02, 0.0, below_lip)
    return blend(rgb(0.10, 0.025, 0.025), rgb(0.60, 0.56, 0.50) * gray(gums), 0.92 * teeth)
