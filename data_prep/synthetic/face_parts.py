"""The colors of a face, part by part, painted in canonical coordinates.

Every part takes the albedo painted so far and returns it with the part on top. Because the
coordinates are the head's own, a mole or a brow stays in its place under every pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.geometry import Landmarks, Surface
from data_prep.synthetic.identity import BEARDS
from data_prep.synthetic.noise import (
    BLOTCHES,
    FINE,
    SKIN,
    SPOTS,
    bell,
    bell2,
    blend,
    noise,
    rgb,
    smoothstep,
)


@dataclass(frozen=True)
class Canvas:
    """What all parts need: places on the face, their mirror image, and this person's noise."""

    x: Tensor
    y: Tensor
    ax: Tensor
    """|x|: most parts are painted once for both sides."""
    side: Tensor
    """-1 on the left of the picture, 1 on the right."""
    grain: Tensor
    blotches: Tensor
    pores: Tensor
    strokes: Tensor
    """Fine noise drawn out along hairs."""
    offset: tuple[float, float]


def make_canvas(surface: Surface, person: SimpleNamespace) -> Canvas:
    """Prepare the canvas of a face; its noise depends on the person alone."""
    x, y = surface.x, surface.y
    ox, oy = person.texture_offset.tolist()
    return Canvas(
        x=x,
        y=y,
        ax=x.abs(),
        side=torch.sign(x),
        grain=noise(SKIN, 0.9 * x + ox, 0.9 * y + oy),
        blotches=noise(BLOTCHES, 0.5 * x + oy, 0.5 * y + ox),
        pores=noise(FINE, 0.55 * x + ox, 0.55 * y + oy),
        strokes=noise(FINE, 0.5 * x + 0.25 * y + ox, 0.18 * y + oy),
        offset=(ox, oy),
    )


def paint_skin(c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Bare skin: uneven tone, red cheeks and nose, freckles, moles, bags and wrinkles."""
    albedo = p.skin * (1 + 0.035 * c.grain + 0.045 * c.blotches + 0.025 * c.pores)
    flush = (
        0.16 * bell2(c.ax - 0.38, c.y + 0.12, 0.14, 0.12)
        + 0.14 * bell2(c.x, c.y - marks.nose_y, 0.09, 0.07)
        + 0.05 * c.blotches.clamp(-1, 1)
    )
    albedo = albedo * (1 + flush * rgb(0.35, -0.35, -0.30))
    if p.freckles:
        spots = noise(SPOTS, 0.6 * c.x + c.offset[0], 0.6 * c.y - c.offset[1])
        where = bell2(c.ax - 0.25, c.y + 0.08, 0.22, 0.13)
        albedo = blend(albedo, p.skin * rgb(0.62, 0.48, 0.40), (1.6 * spots * where).clamp(0, 0.7))
    for (mole_x, mole_y), (radius,) in zip(p.mole_xy.tolist(), p.mole_radius.tolist(), strict=True):
        if radius > 0:
            distance = ((c.x - mole_x) ** 2 + (c.y - mole_y) ** 2).sqrt()
            dot = 1 - smoothstep(0.5 * radius, 1.2 * radius, distance)
            albedo = blend(albedo, 0.32 * p.skin, 0.85 * dot)
    bags = bell2(c.ax - p.eye_x + 0.01, c.y - p.eye_y + 0.085, 0.8 * p.eye_width, 0.028)
    albedo = blend(albedo, 0.72 * p.skin, (0.35 * p.eye_bags + 0.35 * p.age) * bags)
    return _paint_wrinkles(albedo, c, p)


def _paint_wrinkles(albedo: Tensor, c: Canvas, p: SimpleNamespace) -> Tensor:
    if p.age <= 0.45:
        return albedo
    bent = c.y - 0.45 - 0.05 * (1 - (c.x / 0.5) ** 2)
    lines = (0.5 * torch.sin(75 * bent + 0.6 * c.blotches) + 0.5) ** 6
    where = bell2(c.x, c.y - p.eye_y - 0.36, 0.3, 0.08)
    return blend(albedo, 0.6 * p.skin, 0.5 * (p.age - 0.45) * lines * where)


def paint_brows(albedo: Tensor, c: Canvas, p: SimpleNamespace, s: SimpleNamespace) -> Tensor:
    """Eyebrows: an arch of strokes, thinner to the outside."""
    a = (c.ax - p.eye_x - 0.01) / p.brow_width
    middle = (
        p.eye_y
        + p.brow_offset
        + s.brow_raise
        + p.brow_arch * (1 - a * a)
        + 0.3 * p.brow_slope * a
        + p.asymmetry[0].item() * c.side
    )
    thickness = p.brow_thickness * (1 - 0.45 * smoothstep(0.1, 1.1, a))
    ends = 1 - smoothstep(0.70, 1.08, a.abs())
    band = 1 - smoothstep(0.30, 1.15, ((c.y - middle) / thickness).abs())
    amount = (ends * band * (0.85 + 0.22 * c.strokes)).clamp(0, 0.92)
    return blend(albedo, 0.8 * p.hair_color + 0.08 * p.skin, amount)


@dataclass(frozen=True)
class Eyes:
    """Painted eyes and what the rest of the picture needs of them."""

    albedo: Tensor
    open: Tensor
    """1 where the eyeball shows."""
    glint: Tensor
    """The light's reflection on the eyeball."""


def paint_eyes(albedo: Tensor, c: Canvas, p: SimpleNamespace, s: SimpleNamespace) -> Eyes:
    """Eyeballs, iris, pupils, lids and lashes."""
    height = p.eye_height * (1 + 2.2 * s.brow_raise) * (1 - 0.22 * max(s.smile, 0.0))
    lid = 1 - s.blink
    _, shift_x, shift_y, _ = p.asymmetry.tolist()
    a = (c.ax - p.eye_x - shift_x * c.side) / p.eye_width
    b = c.y - p.eye_y - p.eye_slant * a * p.eye_width - 0.6 * shift_y * c.side
    almond = 1 - a.abs().clamp(max=1) ** 2.2
    upper = height * almond * (lid - 0.35 * (1 - lid))
    lower = -0.62 * height * almond
    within = a.abs() < 1
    opening = smoothstep(-0.01, 0.01, upper - b) * smoothstep(-0.01, 0.01, b - lower) * within

    gaze_x, gaze_y = s.gaze.tolist()
    iris_x = p.eye_x + 0.8 * gaze_x * p.eye_width * c.side
    iris_y = p.eye_y + gaze_y * height + 0.006
    ball = _eyeball(c, p, a, b / (height + 1e-3), iris_x, iris_y, 0.88 * max(height, 0.05) + 0.004)
    albedo = blend(albedo, ball, opening)
    albedo = _paint_lids(albedo, p, a, b, upper, lower)
    glint_x = iris_x + 0.018 * c.side * (1 if s.light[0].item() > 0 else -1)
    distance = ((c.ax - glint_x) ** 2 + (c.y - p.eye_y - 0.024) ** 2).sqrt()
    return Eyes(albedo, opening, (1 - smoothstep(0.012, 0.026, distance)) * opening)


def _eyeball(
    c: Canvas,
    p: SimpleNamespace,
    a: Tensor,
    b: Tensor,
    iris_x: Tensor,
    iris_y: float,
    radius: float,
) -> Tensor:
    distance = ((c.ax - iris_x) ** 2 + (c.y - iris_y) ** 2).sqrt()
    iris = 1 - smoothstep(radius - 0.010, radius + 0.010, distance)
    pupil = 1 - smoothstep(0.42 * radius - 0.008, 0.42 * radius + 0.008, distance)
    rim = smoothstep(0.7 * radius, radius, distance) * iris
    # The white is shaded by the lids: towards the corners and under the upper lid.
    shadow = 1 - 0.40 * smoothstep(0.4, 1.0, a.abs()) - 0.40 * smoothstep(0.1, 1.0, b)
    color = rgb(0.62, 0.57, 0.54) * shadow
    color = blend(color, p.iris * (1 + 0.25 * noise(FINE, 2 * c.x, 2 * c.y)), iris)
    return blend(color, rgb(0.012, 0.012, 0.012), (pupil + 0.45 * rim).clamp(0, 1))


def _paint_lids(
    albedo: Tensor, p: SimpleNamespace, a: Tensor, b: Tensor, upper: Tensor, lower: Tensor
) -> Tensor:
    near = a.abs()
    lashes = bell(b - upper, 0.013 + 0.005 * p.makeup + 0.003 * (1 - p.male))
    strength = 0.72 + 0.18 * p.makeup
    lash_color = 0.25 * p.skin * p.skin + rgb(0.03, 0.02, 0.018)
    albedo = blend(albedo, lash_color, strength * lashes * (1 - smoothstep(0.95, 1.12, near)))
    crease = bell(b - upper - 0.036 - 0.02 * (1 - a * a), 0.013) * (1 - smoothstep(0.85, 1.1, near))
    albedo = blend(albedo, 0.66 * p.skin, 0.45 * crease)
    rim = bell(b - lower + 0.004, 0.010) * (1 - smoothstep(0.8, 1.02, near))
    return blend(albedo, 0.66 * p.skin * rgb(1.0, 0.93, 0.92), 0.45 * rim)


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
    """Lips, the dark of an open mouth, and the upper teeth."""
    drop, width, smile = marks.jaw_drop, marks.mouth_width, marks.smile
    corners = 0.11 * (smile + 0.22) * (c.x / width) ** 2
    y = c.y - marks.mouth_y - corners + p.asymmetry[3].item() * c.x
    q = (c.x / width).abs().clamp(max=1)
    reach = 1 - q**2.4
    bow = 1 - 0.28 * bell(c.x, 0.03)
    top = 0.35 * drop * reach
    bottom = -0.75 * drop * reach
    upper_edge = top + p.upper_lip * reach * bow * (1 - 0.25 * max(smile, 0.0))
    lower_edge = bottom - p.lower_lip * reach**0.8
    upper_lip = smoothstep(-0.012, 0.012, upper_edge - y) * smoothstep(-0.006, 0.006, y - top)
    lower_lip = smoothstep(-0.006, 0.006, bottom - y) * smoothstep(-0.012, 0.014, y - lower_edge)
    upper_lip, lower_lip = upper_lip * (q < 1), lower_lip * (q < 1)

    lips = _lip_color(p) * (1 + 0.09 * noise(FINE, 0.9 * c.x + c.offset[0], 0.2 * c.y))
    albedo = blend(albedo, 0.80 * lips, 0.88 * upper_lip)
    albedo = blend(albedo, 1.06 * lips, 0.80 * lower_lip)
    gap = torch.zeros_like(y)
    if drop > 0.006:
        gap = smoothstep(-0.006, 0.006, top - y) * smoothstep(-0.006, 0.006, y - bottom) * (q < 1)
        albedo = blend(albedo, _mouth_inside(y - top, q, marks), gap)
    else:
        albedo = blend(albedo, 0.24 * p.skin, 0.75 * bell(y, 0.010) * (q < 1))
    albedo = blend(albedo, 0.45 * p.skin, 0.5 * bell2(c.ax - width, y, 0.016, 0.014))
    return Mouth(albedo, upper_lip, lower_lip, gap, y - upper_edge)


def _lip_color(p: SimpleNamespace) -> Tensor:
    natural = p.skin * rgb(0.86 - 0.08 * p.lip_tone, 0.60 - 0.10 * p.lip_tone, 0.62)
    lipstick = rgb(0.52, 0.09 + 0.12 * p.lip_tone, 0.12 + 0.12 * p.lip_tone)
    return torch.lerp(natural, lipstick, 0.75 * p.makeup)


def _mouth_inside(below_lip: Tensor, q: Tensor, marks: Landmarks) -> Tensor:
    """Dark inside with the upper teeth; the broader the smile, the more of them show."""
    grin = min(max((marks.smile - 0.3) / 0.4, 0.0), 1.0)
    reach = marks.jaw_drop * (0.22 + 0.60 * grin)
    teeth = smoothstep(-reach - 0.02, -reach, below_lip) * (1 - 0.8 * smoothstep(0.45, 0.95, q))
    gums = 1 - 0.35 * smoothstep(-0.02, 0.0, below_lip)
    return blend(rgb(0.10, 0.025, 0.025), rgb(0.60, 0.56, 0.50) * gums, 0.92 * teeth)


def paint_nose(albedo: Tensor, c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """Nostrils and the crease around the wings of the nose."""
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
    """Beard, mustache or stubble; returns the albedo and how much of the skin is covered."""
    kind = BEARDS[int(p.beard)]
    if kind == "none":
        return albedo, torch.zeros_like(c.x)
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
    tufts = (0.82 + 0.15 * noise(SKIN, 2.2 * c.x + ox, 1.4 * c.y + oy) + 0.20 * c.strokes).clamp(
        0, 1
    )
    if kind == "full":
        cover = 0.92 * full * tufts
    elif kind == "mustache":
        cover = 0.90 * mustache * lips_free * tufts
    else:
        cover = full * (0.30 + 0.12 * noise(FINE, c.x, c.y)).clamp(0, 1)
    return blend(albedo, 0.85 * p.hair_color, cover), cover


def paint_glasses(albedo: Tensor, c: Canvas, p: SimpleNamespace) -> tuple[Tensor, Tensor]:
    """Frames, bridge and temples; returns the albedo and the glare on the lenses (h, w)."""
    if not p.glasses:
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
    return blend(albedo, p.glasses_color, 0.95 * frame), 0.08 * glare


def occlusion(c: Canvas, p: SimpleNamespace, marks: Landmarks) -> Tensor:
    """How much of the light reaches sockets, under the nose, the lip and the jaw, (h, w)."""
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
    """Where skin is oily: nose, forehead and cheeks, (h, w)."""
    nose = 0.8 * bell2(c.x, c.y - marks.nose_y - 0.03, 0.07, 0.09)
    forehead = bell2(c.x, c.y - 0.45, 0.28, 0.15)
    cheeks = 0.8 * bell2(c.ax - 0.35, c.y + 0.08, 0.15, 0.1)
    return 0.35 + 0.65 * torch.maximum(nose, torch.maximum(forehead, cheeks))
