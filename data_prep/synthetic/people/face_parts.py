"""Colors of a face except eyes and mouth, painted part by part in canonical coordinates.

Every part takes the current albedo and returns it with the part on top. The coordinates move with
the head, so a mole or a brow stays in its place in every pose.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import (
    FINE,
    SKIN,
    SPOTS,
    bell,
    bell2,
    blend,
    gray,
    noise,
    rgb,
    smoothstep,
)
from data_prep.synthetic.people.canvas import Canvas
from data_prep.synthetic.people.geometry import Landmarks
from data_prep.synthetic.people.identity import BEARDS
from data_prep.synthetic.people.mouth import Mouth
from data_prep.synthetic.row_numbers import Number, choose, larger, nobody


def paint_skin(c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Paint skin with uneven tone, red cheeks and nose, freckles, moles, bags, and wrinkles."""
    albedo = p.skin * gray(1 + 0.035 * c.grain + 0.045 * c.blotches + 0.025 * c.pores)
    flush = (
        0.16 * bell2(c.ax - 0.38, c.y + 0.12, 0.14, 0.12)
        + 0.14 * bell2(c.x, c.y - marks.nose_y, 0.09, 0.07)
        + 0.05 * c.blotches.clamp(-1, 1)
    )
    albedo = albedo * (1 + gray(flush) * rgb(0.35, -0.35, -0.30))
    albedo = _paint_freckles(albedo, c, p)
    for (mole_x, mole_y), (radius,) in zip(p.mole_xy.tolist(), p.mole_radius.tolist(), strict=True):
        albedo = _paint_mole(albedo, c, p, mole_x, mole_y, radius)
    bags = bell2(c.ax - p.eye_x + 0.01, c.y - p.eye_y + 0.085, 0.8 * p.eye_width, 0.028)
    albedo = blend(albedo, 0.72 * p.skin, (0.35 * p.eye_bags + 0.35 * p.age) * bags)
    return _paint_wrinkles(albedo, c, p)


def _paint_freckles(albedo: Tensor, c: Canvas, p: SimpleNamespace) -> Tensor:
    if nobody(p.freckles):
        return albedo
    spots = noise(SPOTS, 0.6 * c.x + c.offset[0], 0.6 * c.y - c.offset[1])
    where = bell2(c.ax - 0.25, c.y + 0.08, 0.22, 0.13)
    amount = (1.6 * p.freckles * spots * where).clamp(0, 0.7)
    return blend(albedo, p.skin * rgb(0.62, 0.48, 0.40), amount)


def _paint_mole(
    albedo: Tensor, c: Canvas, p: SimpleNamespace, x: Number, y: Number, radius: Number
) -> Tensor:
    if nobody(radius):
        return albedo
    distance = ((c.x - x) ** 2 + (c.y - y) ** 2).sqrt()
    # A batch may have moles of radius 0, which are invisible but must not divide by 0.
    radius = larger(radius, 1e-9)
    dot = 1 - smoothstep(0.5 * radius, 1.2 * radius, distance)
    return blend(albedo, 0.32 * p.skin, 0.85 * dot)


def _paint_wrinkles(albedo: Tensor, c: Canvas, p: SimpleNamespace) -> Tensor:
    depth = larger(p.age - 0.45, 0.0)
    if nobody(depth):
        return albedo
    bent = c.y - 0.45 - 0.05 * (1 - (c.x / 0.5) ** 2)
    lines = (0.5 * torch.sin(75 * bent + 0.6 * c.blotches) + 0.5) ** 6
    where = bell2(c.x, c.y - p.eye_y - 0.36, 0.3, 0.08)
    return blend(albedo, 0.6 * p.skin, 0.5 * depth * lines * where)


def paint_brows(albedo: Tensor, c: Canvas, p: SimpleNamespace, s: SimpleNamespace) -> Tensor:
    """Paint each eyebrow as an arch of strokes, thinner toward the outside."""
    a = (c.ax - p.eye_x - 0.01) / p.brow_width
    middle = (
        p.eye_y
        + p.brow_offset
        + s.brow_raise
        + p.brow_arch * (1 - a * a)
        + 0.3 * p.brow_slope * a
        + p.asymmetry.tolist()[0] * c.side
    )
    thickness = p.brow_thickness * (1 - 0.45 * smoothstep(0.1, 1.1, a))
    ends = 1 - smoothstep(0.70, 1.08, a.abs())
    band = 1 - smoothstep(0.30, 1.15, ((c.y - middle) / thickness).abs())
    amount = (ends * band * (0.85 + 0.22 * c.strokes)).clamp(0, 0.92)
    return blend(albedo, 0.8 * p.hair_color + 0.08 * p.skin, amount)


def paint_nose(albedo: Tensor, c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Paint the nostrils and the crease around the wings of the nose."""
    dy = c.y - marks.nose_y
    across = (c.ax - 0.55 * p.nose_width) / 0.038
    hole = 1 - smoothstep(0.3, 1.4, (across**2 + ((dy + 0.042) / 0.019) ** 2).sqrt())
    albedo = blend(albedo, 0.16 * p.skin * rgb(1.0, 0.75, 0.7), 0.8 * hole)
    ring = bell(((c.ax - 1.15 * p.nose_width) ** 2 + dy**2).sqrt() - 0.035, 0.015)
    outside = smoothstep(1.0 * p.nose_width, 1.3 * p.nose_width, c.ax)
    return blend(albedo, 0.58 * p.skin, 0.35 * ring * outside)


def paint_beard(
    albedo: Tensor, c: Canvas, p: SimpleNamespace, marks: Landmarks, mouth: Mouth
) -> tuple[Tensor, Tensor]:
    """Paint beard, mustache, or stubble; return the albedo and how much of the skin is covered."""
    bare = torch.zeros_like(c.x)
    if nobody(p.beard):
        return albedo, bare
    mustache = (
        smoothstep(0.0, 0.03, mouth.above - 0.004)
        * smoothstep(0.01, 0.05, marks.nose_y - 0.035 - c.y)
        * (1 - smoothstep(0.85, 1.2, c.ax / marks.mouth_width))
    )
    edge = 0.04 * c.grain
    cheeks = smoothstep(-0.04, 0.14, marks.nose_y - 0.03 - c.y + edge) * smoothstep(
        0.14, 0.34, c.ax + 0.30 * smoothstep(-0.55, -0.80, c.y) + edge
    )
    chin = smoothstep(0.01, 0.12, marks.mouth_y - 1.3 * p.lower_lip - 0.02 - c.y + edge)
    lips_free = (1 - mouth.upper_lip) * (1 - mouth.lower_lip) * (1 - mouth.gap)
    full = (cheeks + chin + mustache).clamp(0, 1) * lips_free
    ox, oy = c.offset
    tufts = 0.82 + 0.15 * noise(SKIN, 2.2 * c.x + ox, 1.4 * c.y + oy) + 0.20 * c.strokes
    tufts = tufts.clamp(0, 1)
    covers = {
        "none": lambda: bare,
        "full": lambda: 0.92 * full * tufts,
        "mustache": lambda: 0.90 * mustache * lips_free * tufts,
        "stubble": lambda: full * (0.30 + 0.12 * noise(FINE, c.x, c.y)).clamp(0, 1),
    }
    cover = choose(p.beard, [covers[kind] for kind in BEARDS])
    return blend(albedo, 0.85 * p.hair_color, cover), cover


def paint_glasses(albedo: Tensor, c: Canvas, p: SimpleNamespace) -> tuple[Tensor, Tensor]:
    """Paint frames, bridge, and temples; return albedo and glare on the lenses (..., h, w)."""
    if nobody(p.glasses):
        return albedo, torch.zeros_like(c.x)
    width = p.eye_width * (1.22 + 0.1 * p.glasses_shape)
    height = 0.115 + 0.03 * p.glasses_shape
    power = 2.2 + 2.5 * p.glasses_shape
    dx, dy = (c.ax - p.eye_x - 0.012).abs() / width, (c.y - p.eye_y + 0.02).abs() / height
    radius = (dx**power + dy**power) ** (1 / power)
    rim = 1.3 * bell(radius - 1, 0.085)
    bridge = (c.ax < p.eye_x - 0.92 * width) * bell(c.y - p.eye_y - 0.015, 0.015)
    temple = (c.ax > p.eye_x + 0.95 * width) * bell(c.y - p.eye_y - 0.03, 0.018)
    frame = torch.maximum(rim, torch.maximum(bridge, temple)).clamp(0, 1)
    glare = (radius < 0.95) * smoothstep(-0.2, 0.5, c.y - p.eye_y + 0.6 * c.x)
    return blend(albedo, p.glasses_color, 0.95 * p.glasses * frame), 0.08 * p.glasses * glare


def occlusion(c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Return the share of light in sockets and under nose, lip, and jaw, (..., h, w)."""
    dark = (
        0.26 * bell2(c.ax - p.eye_x + 0.03, c.y - p.eye_y - 0.03, 0.13, 0.085)
        + 0.18 * bell2(c.x, c.y - marks.nose_y + 0.080, 0.9 * p.nose_width, 0.034)
        + 0.16
        * bell2(
            c.x,
            c.y - marks.mouth_y + 1.7 * p.lower_lip + marks.jaw_drop,
            0.6 * marks.mouth_width,
            0.035,
        )
        + 0.28 * smoothstep(0.72, 1.05, -c.y / p.head_height)
    )
    return (1 - dark).clamp(0.25, 1)


def shine_map(c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Return where skin is oily: nose, forehead, and cheeks, (..., h, w)."""
    nose = 0.8 * bell2(c.x, c.y - marks.nose_y - 0.03, 0.07, 0.09)
    forehead = bell2(c.x, c.y - 0.45, 0.28, 0.15)
    cheeks = 0.8 * bell2(c.ax - 0.35, c.y + 0.08, 0.15, 0.1)
    return 0.35 + 0.65 * torch.maximum(nose, torch.maximum(forehead, cheeks))
