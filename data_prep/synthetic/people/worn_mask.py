"""Worn masks: a rigid, painted copy of another person's face.

A mask is a surface slightly larger than the wearer's head, painted with the copied face. It lacks
skin's fine texture, its expression never changes, it reflects light like paper, plastic, or
silicone, and the wearer's eyes look through two holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.attacks.draw import draw_strength
from data_prep.synthetic.fields import Fields
from data_prep.synthetic.noise import SKIN, bell, blend, gray, noise, rgb, smoothstep
from data_prep.synthetic.people import face_parts as parts
from data_prep.synthetic.people.canvas import Canvas, make_canvas
from data_prep.synthetic.people.geometry import Surface, View, find_landmarks, head_surface
from data_prep.synthetic.people.identity import Identities
from data_prep.synthetic.people.mouth import paint_mouth
from data_prep.synthetic.people.shading import PLAIN_WRAP, SKIN_WRAP, shade
from data_prep.synthetic.row_numbers import Number, larger, look_up

MATERIALS = ("paper", "plastic", "silicone")


@dataclass(frozen=True)
class _Material:
    """Differences of a material from skin, applied in proportion to a mask's artificiality."""

    pale: Number
    """Share by which printed or painted colors fade toward the material's own."""
    color: tuple[Number, Number, Number]
    specular: Number
    gloss: Number
    smooth: Number
    """Share of fine texture that is lost."""
    relief: Number
    """Strength of creases in the surface."""


_MATERIALS = {
    "paper": _Material(0.30, (0.70, 0.68, 0.63), 0.00, 8.0, 0.55, 0.055),
    "plastic": _Material(0.22, (0.62, 0.52, 0.45), 0.55, 42.0, 0.95, 0.0),
    "silicone": _Material(0.12, (0.58, 0.42, 0.34), 0.16, 16.0, 0.80, 0.012),
}


@dataclass(frozen=True)
class Masks(Fields):
    """Table of masks. Lengths are in half head heights."""

    material: Tensor
    """Index into MATERIALS."""
    artificial: Tensor
    """0 (skin) to 1 (plain material)."""
    tint: Tensor
    """Gain of each color of the paint, (n, 3)."""
    size: Tensor
    """Size relative to the wearer's head."""
    reach: Tensor
    """Half width and half height of the covered part of the face, (n, 2)."""
    hole: Tensor
    """Size of the eye holes relative to the eyes."""
    rim: Tensor
    """Half width of the visible edge."""


@dataclass(frozen=True)
class MaskLayer:
    """A worn mask as seen by the camera."""

    color: Tensor
    """Lit, linear RGB, (..., 3, h, w)."""
    alpha: Tensor
    shadow: Tensor
    """Share of light left around the mask and in its holes, 0 to 1, (..., h, w)."""
    surface: Surface


def sample_masks(n: int, generator: torch.Generator, strength: float | None = None) -> Masks:
    """Draw ``n`` masks; ``strength`` replaces the taxonomy's artificiality."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    return Masks(
        material=torch.randint(len(MATERIALS), (n,), generator=generator),
        artificial=draw_strength("mask", n, generator, strength).flatten(),
        tint=uniform(0.88, 1.12, 3),
        size=uniform(1.03, 1.09),
        reach=torch.stack([uniform(0.60, 0.72), uniform(0.74, 0.88)], dim=-1),
        hole=uniform(0.95, 1.35),
        rim=uniform(0.012, 0.030),
    )


def fit_to_wearer(face: Identities, wearer: Identities) -> Identities:
    """Return the face to copy, without facial hair or glasses, with eyes at the wearer's."""
    bare = {name: torch.zeros_like(getattr(face, name)) for name in ("glasses", "beard")}
    return face.replace(**bare, eye_x=wearer.eye_x, eye_y=wearer.eye_y)


def mask_layer(
    view: View, face: SimpleNamespace, mask: SimpleNamespace, session: SimpleNamespace
) -> MaskLayer:
    """Draw a mask of ``face`` on the head of ``view`` and ``session``, row by row."""
    stiff = SimpleNamespace(
        **vars(session) | {"smile": 0.05, "mouth_open": 0.0, "blink": 0.0, "brow_raise": 0.0}
    )
    larger = {
        name: getattr(face, name) * mask.size
        for name in ("head_width", "head_height", "head_depth")
    }
    face = SimpleNamespace(**vars(face) | larger)
    marks = find_landmarks(face, stiff)
    surface = head_surface(view, face, marks)
    canvas = make_canvas(surface, face)
    material = _material(mask.material)
    holes = _eye_holes(canvas, face, mask)
    outline = _outline(canvas, surface, mask)
    edge = torch.maximum(bell(outline, mask.rim), bell(holes, 0.7 * mask.rim))
    cover = smoothstep(-0.008, 0.008, outline) * smoothstep(-0.006, 0.006, holes)

    smooth = 1 - material.smooth * mask.artificial
    albedo = _paint(_calmed(canvas, smooth), face, stiff, marks)
    faded = torch.zeros_like(view.x) + material.pale * mask.artificial
    albedo = blend(albedo, rgb(*material.color), faded)
    albedo = (albedo * mask.tint).clamp(0, 1)
    albedo = blend(albedo, 0.35 * albedo, 0.75 * edge)
    lit = _light(surface, canvas, albedo, material, mask, session)
    lit = lit * gray(0.55 + 0.45 * parts.occlusion(canvas, face, marks))
    return MaskLayer(lit, cover, _shadow(cover), surface)


def _material(index: Number) -> _Material:
    """Return the material of a mask, or of each mask in a batch."""
    kinds = [_MATERIALS[name] for name in MATERIALS]
    reds, greens, blues = zip(*(kind.color for kind in kinds), strict=True)
    return _Material(
        pale=look_up(index, [kind.pale for kind in kinds]),
        color=(look_up(index, reds), look_up(index, greens), look_up(index, blues)),
        specular=look_up(index, [kind.specular for kind in kinds]),
        gloss=look_up(index, [kind.gloss for kind in kinds]),
        smooth=look_up(index, [kind.smooth for kind in kinds]),
        relief=look_up(index, [kind.relief for kind in kinds]),
    )


def _paint(
    canvas: Canvas, face: SimpleNamespace, session: SimpleNamespace, marks: object
) -> Tensor:
    albedo = parts.paint_skin(canvas, face, marks)
    albedo = parts.paint_brows(albedo, canvas, face, session)
    albedo = paint_mouth(albedo, canvas, face, marks).albedo
    return parts.paint_nose(albedo, canvas, face, marks)


def _calmed(canvas: Canvas, share: Number) -> Canvas:
    """Return the canvas with only a share of its fine texture."""
    return Canvas(
        canvas.x,
        canvas.y,
        canvas.ax,
        canvas.side,
        share * canvas.grain,
        canvas.blotches,
        share * canvas.pores,
        share * canvas.strokes,
        canvas.offset,
    )


def _outline(c: Canvas, surface: Surface, mask: SimpleNamespace) -> Tensor:
    """Return the distance to the mask's edge, positive on the mask."""
    half_width, half_height = mask.reach.tolist()
    ragged = 0.012 * c.blotches
    radius = ((c.ax / half_width) ** 2.6 + ((c.y + 0.12).abs() / half_height) ** 2.6) ** (1 / 2.6)
    on_face = torch.minimum(half_width * (1 - radius) + ragged, surface.inside - 0.02)
    return torch.where(surface.z > 0, on_face, -torch.ones_like(on_face))


def _eye_holes(c: Canvas, face: SimpleNamespace, mask: SimpleNamespace) -> Tensor:
    """Return the distance to the edge of the nearer eye hole, positive on the mask."""
    across = (c.ax - face.eye_x) / (mask.hole * face.eye_width)
    height = mask.hole * larger(face.eye_height, 0.045) * 1.25
    radius = (across**2 + ((c.y - face.eye_y) / height) ** 2).sqrt()
    return height * (radius - 1)


def _light(
    surface: Surface,
    canvas: Canvas,
    albedo: Tensor,
    material: _Material,
    mask: SimpleNamespace,
    session: SimpleNamespace,
) -> Tensor:
    """Shade the material, whose creases tilt the normals."""
    ox, oy = canvas.offset
    creases = torch.stack(
        [
            noise(SKIN, 0.35 * canvas.x + oy, 0.35 * canvas.y + ox),
            noise(SKIN, 0.35 * canvas.y + ox, 0.35 * canvas.x - oy),
            torch.zeros_like(canvas.x),
        ],
        dim=-3,
    )
    normal = F.normalize(surface.normal + material.relief * mask.artificial * creases, dim=-3)
    amount = mask.artificial
    wrap = tuple(
        skin + amount * (plain - skin) for skin, plain in zip(SKIN_WRAP, PLAIN_WRAP, strict=True)
    )
    specular = (1 - amount) * session.shine + amount * material.specular
    gloss = 14.0 + amount * (material.gloss - 14.0)
    return shade(normal, albedo, session, specular, gloss, wrap)


def _shadow(cover: Tensor) -> Tensor:
    """Return the mask's shadow on the skin near its edge and on the eyes in its holes."""
    size = cover.shape[-1]
    reach = max(size // 28, 1) * 2 + 1
    soft = F.avg_pool2d(gray(cover), reach, stride=1, padding=reach // 2, count_include_pad=False)
    return 1 - 0.45 * soft.squeeze(-3)


__all__ = ["MATERIALS", "MaskLayer", "Masks", "fit_to_wearer", "mask_layer", "sample_masks"]
