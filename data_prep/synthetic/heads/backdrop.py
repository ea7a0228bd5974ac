"""What is behind a person, out of focus: walls, rooms, windows, curtains, streets, and trees.

Image coordinates are u to the right and v up, -1 to 1 over the image.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.session import BACKGROUNDS
from data_prep.synthetic.heads.steady import bell, smoothstep, wave

Array = np.ndarray
_CELLS = 48
_SOFT = 0.05
"""Half width of edges that are out of focus."""


def paint_backdrop(session: SimpleNamespace, size: int) -> Array:
    """The background of a session, linear RGB (3, size, size) float32."""
    painters = {
        "wall": _wall, "room": _room, "outdoors": _outdoors, "lights": _lights,
        "shelves": _shelves, "window": _window, "curtain": _curtain, "street": _street,
        "office": _office,
    }  # fmt: skip
    ticks = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    u, v = ticks[None, :], -ticks[:, None]
    image = painters[BACKGROUNDS[session.background]](u, v, session)
    around = session.sky * 0.62 + session.light_color * 0.18 + session.ground * 0.2
    return np.ascontiguousarray(np.clip(image, 0, 3) * around[:, None, None], np.float32)


@functools.cache
def _cloud() -> Array:
    """Random numbers on a grid that wraps around."""
    return Chance(1, "backdrop").normal(_CELLS, _CELLS)


def _noise(u: Array, v: Array, cells: float) -> Array:
    """Smooth noise with ``cells`` spots per half image, for u (1, w) and v (h, 1)."""
    shares = []
    for axis in (v, u):
        where = cells * axis + 7.3 * cells
        index = np.floor(where).astype(np.int64)
        share = where - index
        shares.append((index, (share * share * (3 - 2 * share)).astype(np.float32)))
    (row, down), (column, right) = shares
    grid = _cloud()
    corners = [grid[(row + a) % _CELLS, (column + b) % _CELLS] for a in (0, 1) for b in (0, 1)]
    above = corners[0] + (corners[1] - corners[0]) * right
    below = corners[2] + (corners[3] - corners[2]) * right
    return above + (below - above) * down


def _box(u: Array, v: Array, left: float, right: float, low: float, high: float) -> Array:
    """A rectangle with soft edges, (h, w)."""
    across = smoothstep(left - _SOFT, left + _SOFT, u) * smoothstep(right + _SOFT, right - _SOFT, u)
    return (
        across * smoothstep(low - _SOFT, low + _SOFT, v) * smoothstep(high + _SOFT, high - _SOFT, v)
    )


def _plain(color: Array, shade: Array | float) -> Array:
    return color[:, None, None] * np.asarray(shade, np.float32)


def _over(image: Array, color: Array, share: Array) -> Array:
    """An image with a color (3,) or another image over it."""
    return image + (color.reshape(3, *(color.shape[1:] or (1, 1))) - image) * share


def _plaster(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """A wall with the light falling off across it."""
    a, b, c, d, *_ = s.background_place
    ramp = 0.9 + 0.22 * (a * u + b * v) + 0.03 * _noise(u + c, v + d, 1.5)
    return _plain(0.25 + 0.7 * s.background_colors[0], ramp)


def _wall(u: Array, v: Array, s: SimpleNamespace) -> Array:
    image = _plaster(u, v, s)
    corner = float(s.background_place[4])
    if corner > 0.2:  # two walls meet
        edge = smoothstep(-0.02, 0.02, u - 1.6 * (corner - 0.6) + 0 * v)
        image = image * (1 - 0.28 * edge)
    return image


def _room(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """A picture on the wall, and furniture."""
    a, b, c, d, e, f = s.background_place
    image = _plaster(u, v, s)
    side = 1 if a > 0 else -1
    left = 0.30 + 0.2 * b
    outer = _box(side * u, v, left, left + 0.62, 0.0 + 0.3 * c, 0.80 + 0.1 * d)
    inner = _box(side * u, v, left + 0.08, left + 0.54, 0.08 + 0.3 * c, 0.72 + 0.1 * d)
    image = _over(image, 0.5 * s.background_colors[1] + 0.03, outer)
    art = 0.25 + 0.35 * s.background_colors[2][:, None, None] * (
        1.2 + 0.5 * _noise(u + e, v + f, 3)
    )
    image = _over(image, art, inner)
    cupboard = _box(side * u, v, -1.5, -0.42 + 0.2 * c, -1.5, -0.1 + 0.5 * b)
    wood = _plain(0.6 * s.background_colors[2], 1 + 0.08 * np.sign(v + 0.3) + 0 * u)
    return _over(image, wood, cupboard)


def _outdoors(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """Sky over leaves over ground."""
    a, b, c, d, *_ = s.background_place
    sky = _plain(np.array([0.42, 0.51, 0.63], np.float32), 0.95 + 0.2 * v + 0 * u)
    leaves = _noise(u + a, v + b, 2.2) + 0.5 * _noise(u + b, v + c, 5)
    light = np.clip(0.9 + 0.30 * _noise(u + c, v + d, 4) + 0.16 * _noise(u + d, v + a, 9), 0.25, 2)
    green = _plain(np.array([0.11, 0.15, 0.055], np.float32) + 0.03 * a, light) + 0.03
    image = _over(sky, green, smoothstep(0.12, -0.12, v - 0.25 - 0.35 * c - 0.16 * leaves))
    floor = _plain(0.35 * s.background_colors[2] + 0.06, 1 + 0.08 * _noise(u, v, 6))
    return _over(image, floor, smoothstep(0.12, -0.12, v + 0.6 + 0.25 * d) + 0 * u)


def _lights(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """Evening: a dark scene with lamps blurred into disks."""
    places = s.background_place
    image = _plain(0.22 * s.background_colors[0], 1 + 0.3 * _noise(u + places[0], v, 1.2)) + 0.02
    for lamp in range(9):
        # Six numbers place nine lamps: irrational steps scatter them.
        x = 2 * ((places[lamp % 6] + 0.618 * lamp) % 1) - 1
        y = 1.7 * ((places[(lamp + 1) % 6] + 0.382 * lamp) % 1) - 0.7
        radius = 0.07 + 0.09 * abs(places[(lamp + 2) % 6])
        distance = np.sqrt((u - x) ** 2 + (v - y) ** 2)
        disk = smoothstep(radius + 0.03, radius - 0.02, distance) * (
            0.8 + 0.3 * bell(distance - radius, 0.03)
        )
        glow = s.background_colors[1 + lamp % 2] * np.array([1.15, 1, 0.8], np.float32)
        image = image + _plain(0.5 * glow + 0.15, disk)
    return image


def _shelves(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """Books, far out of focus."""
    a, b, c, *_ = s.background_place
    wood, first, second = s.background_colors
    shelf = np.floor(2 * v + b)
    spine = _noise(u + 0 * v + 0.37 * shelf[:1, :1], 0 * v + 0.31 * shelf, 11)
    hue = _noise(u + a, 0 * v + 0.53 * shelf + c, 9)
    books = 0.6 * first[:, None, None] + 0.6 * (second - first)[:, None, None] * smoothstep(
        -1, 1, hue
    )
    image = books * (0.75 + 0.35 * smoothstep(-1.2, 1.2, spine))
    board = np.abs((2 * v + b) % 1 - 0.5) * 2
    image = _over(image, 0.5 * wood + 0.03, smoothstep(0.74, 0.94, board) + 0 * u)
    return image * (0.75 + 0.35 * smoothstep(1.0, 0.2, board))


def _window(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """A bright window next to the person."""
    a, b, c, d, *_ = s.background_place
    image = 0.7 * _plaster(u, v, s)
    side, left = (1 if a > 0 else -1), 0.15 + 0.25 * b
    pane = _box(side * u, v, left, left + 0.8, -0.35 + 0.2 * c, 1.3)
    view = _plain(
        np.array([0.70, 0.77, 0.84], np.float32),
        0.9 + 0.25 * v - 0.45 * smoothstep(0.1, 0.5, _noise(u + d, v + c, 3) - 1.2 * v - 0.4),
    )
    image = _over(image, view, pane)
    bars = bell(side * u - left - 0.4, 0.03) + bell(v - 0.45, 0.03)
    return _over(image, 0.45 + 0.3 * s.background_colors[1], np.clip(bars, 0, 1) * pane)


def _curtain(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """Folds of a curtain."""
    a, b, c, *_ = s.background_place
    folds = wave((2.2 + a) * (u + 0.06 * wave(0.8 * u + b)) + c + 0.02 * v)
    fine = wave((5.1 + a) * u + 2 * b)
    return _plain(0.12 + 0.75 * s.background_colors[1], 0.85 + 0.22 * folds + 0.06 * fine + 0 * v)


def _street(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """Houses with windows under a strip of sky."""
    a, b, c, d, *_ = s.background_place
    sky = _plain(np.array([0.50, 0.55, 0.61], np.float32), 1 + 0.1 * v + 0 * u)
    image = sky
    for number, (x, width) in enumerate(
        ((-1.2 + 0.3 * a, 1.0), (-0.25 + 0.2 * b, 0.8), (0.5 + 0.2 * c, 1.2))
    ):
        top = 0.45 + 0.5 * s.background_place[(number + 2) % 6]
        house = _box(u, v, x, x + width, -2, top)
        panes = smoothstep(0.0, 0.5, wave(2.6 * (u - x))) * smoothstep(
            -0.1, 0.5, wave(2.1 * v + 0.3 * d)
        )
        color = (0.12 + 0.5 * s.background_colors[number])[:, None, None]
        image = _over(image, color * (1 - 0.55 * panes), house)
    road = smoothstep(0.08, -0.08, v + 0.75)
    return _over(image, np.array([0.20, 0.20, 0.21], np.float32), road + 0 * u)


def _office(u: Array, v: Array, s: SimpleNamespace) -> Array:
    """A bright ceiling with lamps, and screens."""
    a, b, c, d, *_ = s.background_place
    image = _plain(
        0.45 + 0.3 * s.background_colors[0], 0.9 + 0.1 * v + 0.04 * _noise(u + a, v + b, 2)
    )
    ceiling = smoothstep(-0.05, 0.05, v - 0.62 - 0.15 * c - 0.12 * a * u)
    image = _over(image, np.array([0.75, 0.76, 0.74], np.float32), ceiling)
    lamp = bell(((1.3 * u + 0.5 * b) % 1 - 0.5) / 1.3, 0.10) * bell(v - 0.86, 0.06)
    image = image + 0.9 * lamp
    screen = _box(u, v, -1.1 + 0.2 * d, -0.45 + 0.2 * d, -0.45, 0.0 + 0.1 * c)
    image = _over(image, 0.06 + 0.25 * s.background_colors[2], screen)
    desk = smoothstep(0.05, -0.05, v + 0.55 + 0.1 * b)
    return _over(image, 0.5 * s.background_colors[1] + 0.05, desk + 0 * u)
