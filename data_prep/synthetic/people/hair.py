"""Hair as a soft shell around the skull, with a curtain of long hair next to the neck.

Both are layers (color, alpha) whose alpha fades in strands, so that hair ends in wisps and not in
a line.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import BLOTCHES, FINE, SKIN, bell, gray, noise, smoothstep
from data_prep.synthetic.people.geometry import Surface, View, hit_egg, surface_normals
from data_prep.synthetic.people.shading import PLAIN_WRAP, shade
from data_prep.synthetic.row_numbers import choose, nobody

Layer = tuple[Tensor, Tensor]
"""Linear RGB (..., 3, h, w) and alpha (..., h, w)."""


def hair_shell(view: View, head: Surface, p: SimpleNamespace, s: SimpleNamespace) -> Layer | None:
    """Draw the hair on the skull, or return None for one bald head."""
    hairy = 1 - p.bald
    if nobody(hairy):
        return None
    volume = p.hair_volume * (1 + 0.5 * p.curl)
    depth, inside = hit_egg(
        view,
        lambda y: p.head_width * (1.03 + 0.8 * volume - 0.10 * smoothstep(0.1, 0.9, -y)),
        p.head_height * (1.02 + 0.9 * volume) + 0.01,
        p.head_depth * (1.02 + volume),
        p.head_roundness,
        center_y=0.03,
    )
    x, y, z = view.to_head(depth)
    strands, angle = _strands(p, x, y)
    ox, oy = p.texture_offset.tolist()
    clumps = noise(BLOTCHES, 1.6 * angle + ox, 0.35 * y + oy)
    curls = noise(SKIN, 1.3 * x + ox, 1.3 * y + oy)
    ragged = (0.035 + 0.06 * p.curl) * curls + 0.03 * strands
    outline = smoothstep(-0.05, 0.06, inside + ragged)
    cover = _hairline_cover(p, (x, y, z), head.inside, clumps, strands)
    color = _strand_color(p, strands, curls)
    normal = surface_normals(view, depth)
    lit = shade(normal, color, s, _highlight(p, strands), gloss=10.0, wrap=PLAIN_WRAP)
    darker_below = 0.55 + 0.45 * smoothstep(-0.6, 0.6, y)
    return lit * gray(darker_below), hairy * outline * cover


def _strands(p: SimpleNamespace, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return noise stretched along strands from the crown, and the angle around the crown."""
    ox, oy = p.texture_offset.tolist()
    dx, down = x - 0.4 * p.hair_part, 1.6 - y
    angle = torch.atan2(dx, down)
    radius = (dx * dx + down * down).sqrt()
    wave = 0.10 * p.curl * noise(BLOTCHES, x + ox, y + oy)
    coarse = noise(SKIN, 1.8 * angle + wave + ox, (0.15 + 0.9 * p.curl) * radius + oy)
    fine = noise(FINE, 0.7 * angle + wave + ox, 0.10 * radius + oy)
    return 0.6 * coarse + 0.5 * fine, angle


def _hairline_cover(
    p: SimpleNamespace,
    place: tuple[Tensor, Tensor, Tensor],
    inside_head: Tensor,
    clumps: Tensor,
    strands: Tensor,
) -> Tensor:
    """Return 1 where hair grows: above the forehead, in front of the ears, down the back."""
    x, y, z = place
    around = torch.atan2(x.abs(), z)
    across = x - 0.4 * p.hair_part
    recede = 0.10 * p.male * p.age * bell(x.abs() - 0.38, 0.14)
    front = p.hairline - 1.2 * p.hairline_curve * across**2 + recede
    front = choose(p.fringe, [lambda: front, lambda: _fringe(front, across, clumps)])
    side = -0.35 * p.long_hair
    # Next to the head's outline, hair further back is visible at every angle.
    to_side = torch.maximum(smoothstep(0.85, 1.20, around), smoothstep(0.16, 0.0, inside_head))
    line = front + (side - front) * to_side
    line = line + 0.03 * clumps + (0.018 + 0.02 * p.fringe) * strands
    softness = 0.035 + 0.03 * p.curl
    return smoothstep(-softness, softness, y - line)


def _fringe(front: Tensor, across: Tensor, clumps: Tensor) -> Tensor:
    return front - 0.26 - 0.10 * torch.cos(3 * across) + 0.04 * clumps


def _strand_color(p: SimpleNamespace, strands: Tensor, curls: Tensor) -> Tensor:
    return p.hair_color * gray((1 + 0.30 * strands + 0.22 * p.curl * curls).clamp(0.35, 2.0))


def _highlight(p: SimpleNamespace, strands: Tensor) -> Tensor:
    strength = 0.02 + 0.10 * p.hair_color.mean(-3)
    return strength + (1 - 0.6 * p.curl) * strength * strands.clamp(0, 2)


def hair_curtain(view: View, p: SimpleNamespace, s: SimpleNamespace) -> Layer | None:
    """Draw long hair next to and behind the neck, or return None for one head without it."""
    falling = p.long_hair * (1 - p.bald)
    if nobody(falling):
        return None
    ox, oy = p.texture_offset.tolist()
    x, y = view.x, view.y
    wave = 0.05 * p.curl * torch.sin(9 * y + 6 * ox) + 0.04 * noise(BLOTCHES, 0.8 * x + ox, y + oy)
    strands = 0.6 * noise(SKIN, 2.0 * (x + wave) + ox, (0.2 + 0.8 * p.curl) * y) + 0.5 * noise(
        FINE, 0.8 * (x + wave) + ox, 0.08 * y + oy
    )
    volume = p.hair_volume * (1 + 0.5 * p.curl)
    flare = (0.02 + 0.12 * p.curl) * smoothstep(0.2, -0.8, y)
    half = p.head_width * (1.03 + 0.8 * volume) + flare
    sides = smoothstep(-0.03, 0.05, half + wave - x.abs() + 0.015 * strands)
    ends = smoothstep(-0.08, 0.08, y + p.hair_length + 0.05 * strands + 0.5 * wave)
    below_crown = smoothstep(0.45, 0.25, y)
    aside = gray(0.42 + 0.25 * torch.tanh(3 * x) * s.light[..., 0, :, :])
    lit = s.ambient * 0.75 + s.key * s.light_color * aside
    depth = 0.35 + 0.65 * smoothstep(0.45, 0.95, x.abs() / p.head_width)
    color = _strand_color(p, strands, wave * 5) * lit * gray(depth)
    return color, falling * sides * ends * below_crown
