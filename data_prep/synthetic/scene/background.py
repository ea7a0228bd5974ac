"""Backgrounds out of focus: walls, rooms, trees, lamps, and shelves."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import BLOTCHES, FINE, blend, gray, noise, rgb, smoothstep
from data_prep.synthetic.people.geometry import View
from data_prep.synthetic.people.session import BACKGROUNDS
from data_prep.synthetic.row_numbers import Number, choose, flag


def paint_background(view: View, s: SimpleNamespace) -> Tensor:
    """Paint the background of a session or of a batch, linear RGB (..., 3, h, w)."""
    painters = {
        "wall": _wall,
        "room": _room,
        "outdoors": _outdoors,
        "lights": _lights,
        "shelves": _shelves,
    }
    picture = choose(s.background, [partial(painters[kind], view, s) for kind in BACKGROUNDS])
    return picture * (0.35 + 0.75 * s.ambient) * s.light_color


def _colors(s: SimpleNamespace) -> list[Tensor]:
    return [color[..., None, None] for color in s.background_colors.unbind(-2)]


def _wall(view: View, s: SimpleNamespace) -> Tensor:
    """Paint a plain wall with light that falls off across it."""
    first, second, _ = _colors(s)
    a, b, c, d = s.background_place.tolist()
    ramp = gray(
        0.5
        + 0.28 * (a * view.u + b * view.v)
        + 0.05 * noise(BLOTCHES, 0.3 * view.u + c, 0.3 * view.v + d)
    )
    return first * (0.55 + 0.6 * ramp) + 0.25 * second * (1 - ramp)


def _box(u: Tensor, v: Tensor, left: Number, right: Number, low: Number, high: Number) -> Tensor:
    """Return a rectangle with blurred edges."""
    soft = 0.06
    return (
        smoothstep(left - soft, left + soft, u)
        * smoothstep(right + soft, right - soft, u)
        * smoothstep(low - soft, low + soft, v)
        * smoothstep(high + soft, high - soft, v)
    )


def _room(view: View, s: SimpleNamespace) -> Tensor:
    """Paint a wall with a frame or window on one side and a piece of furniture on the other."""
    wall, frame, thing = _colors(s)
    a, b, c, d = s.background_place.tolist()
    color = wall * gray(1 + 0.22 * (a * view.u + 0.5 * view.v))
    side = 2 * flag(a > 0) - 1
    u, v = side * view.u, view.v
    left = 0.30 + 0.2 * b
    outer = _box(u, v, left, left + 0.62, -0.05 + 0.3 * c, 0.80 + 0.1 * d)
    inner = _box(u, v, left + 0.09, left + 0.53, 0.04 + 0.3 * c, 0.71 + 0.1 * d)
    color = blend(color, 0.5 * frame + 0.05, outer)
    color = blend(color, 0.35 * thing + 0.45 + 0.25 * d, inner)
    cupboard = _box(u, v, -1.5, -0.42 + 0.2 * c, -1.5, -0.1 + 0.5 * b)
    return blend(color, 0.6 * thing * gray(1 + 0.1 * torch.sign(view.v)), cupboard)


def _outdoors(view: View, s: SimpleNamespace) -> Tensor:
    """Paint sky above leaves above ground."""
    tint, _, ground = _colors(s)
    a, b, c, d = s.background_place.tolist()
    sky = rgb(0.52, 0.62, 0.74) * gray(0.9 + 0.25 * view.v) * (0.8 + 0.4 * tint)
    leaves = noise(BLOTCHES, 0.55 * view.u + a, 0.55 * view.v + b)
    patches = noise(BLOTCHES, 1.5 * view.u + c, 1.5 * view.v + d)
    bright = (1 + 0.28 * patches + 0.2 * a).clamp(min=0.3)
    green = rgb(0.13, 0.17, 0.08) * gray(bright) + 0.04
    top = 0.30 + 0.4 * c + 0.22 * leaves
    color = blend(sky, green, smoothstep(0.10, -0.10, view.v - top))
    floor = 0.7 * ground + 0.06
    return blend(color, floor, smoothstep(0.12, -0.12, view.v + 0.55 + 0.25 * d))


def _lights(view: View, s: SimpleNamespace) -> Tensor:
    """Paint a dark scene with lamps blurred into disks."""
    base, glow, other = _colors(s)
    places = s.background_place.tolist()
    patches = noise(BLOTCHES, 0.5 * view.u + places[0], 0.5 * view.v)
    color = 0.25 * base * gray(1 + 0.3 * patches) + 0.02
    for lamp in range(8):
        # An irrational step scatters eight lamps from four numbers.
        u = 2 * ((places[lamp % 4] + 0.618 * lamp) % 1) - 1
        v = 1.7 * ((places[(lamp + 1) % 4] + 0.382 * lamp) % 1) - 0.7
        radius = 0.09 + 0.08 * abs(places[(lamp + 2) % 4])
        distance = ((view.u - u) ** 2 + (view.v - v) ** 2).sqrt()
        disk = smoothstep(radius + 0.05, radius - 0.03, distance)
        color = color + (0.45 * (glow if lamp % 2 else other) + 0.15) * gray(disk)
    return color


def _shelves(view: View, s: SimpleNamespace) -> Tensor:
    """Paint bookshelves or blinds, far out of focus."""
    wood, first, second = _colors(s)
    a, b, c, d = s.background_place.tolist()
    books = noise(FINE, 0.045 * view.u + a, 0.0 * view.v + torch.floor(2 * view.v + b) * 0.37)
    tone = smoothstep(-1.2, 1.2, books)
    color = gray(0.65 + 0.35 * tone) * blend(
        0.6 * first, 0.6 * second, smoothstep(-1.5, 1.5, books + c)
    )
    board = ((2 * view.v + b) % 1 - 0.5).abs() * 2
    color = blend(color, 0.45 * wood, smoothstep(0.74, 0.94, board))
    return color * gray(0.9 + 0.2 * d * view.u)
