"""Clothes on the shoulders, and the fabrics of everything that is worn."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.mesh import load_head
from data_prep.synthetic.heads.pieces import Piece, turns
from data_prep.synthetic.heads.session import CLOTHES, FABRICS
from data_prep.synthetic.heads.shape import template
from data_prep.synthetic.heads.steady import bell, smoothstep, wave

Array = np.ndarray
_THICKNESS = 0.045
_NECK_DEPTH = 0.28
"""Depth of the middle of the neck."""


def _collar_line(rest: Array, name: str) -> Array:
    """Height of the edge of a garment at places (3, n): what is below is covered."""
    ax, back = np.abs(rest[0]), smoothstep(0.45, 0.0, rest[2])
    lines = {
        "round": 5.66 + 0.30 * ax,
        "v": 5.36 + 0.78 * ax,
        "crew": 5.86 + 0.10 * ax,
        "shirt": 5.62 + 0.62 * np.minimum(ax, 0.6),
        "turtleneck": 6.10 + 0 * ax,
        "hoodie": 5.82 + 0.14 * ax,
        "jacket": 5.80 + 0.2 * ax,
    }
    return np.maximum(lines[name], 5.95 * back + lines[name] * (1 - back))


def clothe(shape: Array, session: SimpleNamespace) -> Array:
    """Coarse vertices (vertices, 3) with the thickness of clothes."""
    normals, rest = _coarse_normals(), template().T
    below = smoothstep(0.02, -0.10, rest[1] - _collar_line(rest, CLOTHES[session.clothes]))
    return shape + normals * (_THICKNESS * below * (rest[1] < 6.3))[:, None]


@functools.cache
def _coarse_normals() -> Array:
    """Normals of the template's coarse vertices, (vertices, 3)."""
    head = load_head()
    fine = head.subdivide @ template()
    return np.ascontiguousarray(head.normals(fine)[:, : len(head.vertices)].T)


def make_clothes(session: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    """Collars and hoods around a person's neck."""
    name = CLOTHES[session.clothes]
    makers = {"turtleneck": _tube, "shirt": _collar, "hoodie": _hood, "jacket": _lapels}
    return makers[name](_neck(fine)) if name in makers else ()


def _neck(fine: Array) -> float:
    """Half width of a neck below the chin."""
    ring = fine[(np.abs(fine[:, 1] - 6.25) < 0.10) & (fine[:, 2] < 0.5)]
    return float(np.abs(ring[:, 0]).max())


def _ring(half: float, azimuth: Array, height: Array, wider: Array) -> Array:
    """Points (3, rows, columns) around the neck, lower in front, where it leans."""
    forward = wave(azimuth + 0.25)
    x = (half + wider) * wave(azimuth)
    z = _NECK_DEPTH + (0.98 * half + wider) * forward
    return np.stack([x, height - 0.14 * forward, z]).astype(np.float32)


def _tube(half: float) -> tuple[Piece, ...]:
    azimuth, down = turns(10, 49)
    roll = np.sqrt(np.clip(1 - (2 * down - 1) ** 4, 0, 1))
    points = _ring(half, azimuth, 6.28 - 0.46 * down, 0.02 + 0.06 * roll + 0.16 * down * down)
    return (Piece(points, np.stack([azimuth, down]), "rib", with_head=False),)


def _collar(half: float, style: str = "collar") -> tuple[Piece, ...]:
    """A folded collar with points in front."""
    across, down = turns(7, 81)
    azimuth = 0.012 + 0.976 * across
    front = bell(azimuth, 0.09) + bell(1 - azimuth, 0.09)
    corner = bell(azimuth - 0.045, 0.035) + bell(azimuth - 0.955, 0.035)
    # The upper edge dips to the button, and the corners of the cloth point down.
    height = 6.12 - 0.20 * front - (0.17 + 0.20 * corner) * down
    points = _ring(half, azimuth, height, 0.04 + 0.05 * front + (0.09 + 0.07 * corner) * down)
    return (Piece(points, np.stack([azimuth, down]), style, with_head=False),)


def _hood(half: float) -> tuple[Piece, ...]:
    """A hood lying on the shoulders, thickest behind."""
    azimuth, out = turns(14, 61)
    behind = 0.5 - 0.5 * wave(azimuth + 0.25)
    puff = 4 * out * (1 - out) * (0.10 + 0.16 * behind)
    height = 5.98 + 0.06 * behind + puff - 0.42 * out * out
    points = _ring(half, azimuth, height, 0.06 + (0.50 + 0.15 * behind) * out)
    return (Piece(points, np.stack([azimuth, out]), "hood", with_head=False),)


def _lapels(half: float) -> tuple[Piece, ...]:
    """A shirt's collar inside a jacket."""
    return _collar(half, "inner collar")


def paint_clothes(rest: Array, session: SimpleNamespace) -> tuple[Array, Array]:
    """Color (3, n) and cover (n,) of a garment at places on the template, (3, n)."""
    name = CLOTHES[session.clothes]
    line = _collar_line(rest, name)
    below = line - rest[1]
    cover = smoothstep(-0.015, 0.015, below)
    color = _woven(rest[0], rest[1], session)
    if name in ("round", "v", "crew"):
        trim = bell(below - 0.05, 0.035)[None]
        color = color * (1 - 0.16 * trim)
    if name in ("shirt", "jacket"):
        color = _front(color, rest, session, name)
    if name == "hoodie":
        cord = bell(np.abs(rest[0]) - 0.22, 0.022) * (rest[2] > 0.4) * (below > 0.3) * (below < 0.9)
        color = color + (0.75 - color) * 0.8 * cord
    folds = 1 + 0.05 * wave(1.3 * rest[0] + 0.9 * rest[1] + 0.3 * wave(0.8 * rest[0]))
    return color * folds, cover


def _front(color: Array, rest: Array, session: SimpleNamespace, name: str) -> Array:
    """Buttons of a shirt; the shirt, tie, and lapels of a jacket."""
    ax, before = np.abs(rest[0]), rest[2] > 0.3
    if name == "shirt":
        placket = bell(ax - 0.10, 0.012) * before
        button = bell(ax, 0.035) * bell(((rest[1] * 2.6) % 1 - 0.5) / 2.6, 0.035) * before
        return color * (1 - 0.25 * placket) * (1 - 0.6 * button)
    opening = 0.12 + 0.42 * np.clip(rest[1] - 4.75, 0, 1.3)
    inside = smoothstep(opening + 0.012, opening - 0.012, ax) * before
    shirt = (0.55 + 0.3 * session.clothing_trim)[:, None]
    tie = smoothstep(0.10, 0.085, ax - 0.05 * np.clip(5.6 - rest[1], 0, 1)) * (session.fabric % 2)
    shirt = shirt + (0.7 * session.clothing_trim[:, None] - shirt) * tie
    lapel = smoothstep(opening + 0.34, opening + 0.32, ax) * before
    color = color * (1 + 0.12 * lapel - 0.3 * bell(ax - opening - 0.33, 0.012) * before)
    return color + (shirt - color) * inside


def _woven(along: Array, down: Array, session: SimpleNamespace, fine: float = 1.0) -> Array:
    """A fabric at places in decimeters."""
    base, trim = session.clothing[:, None], session.clothing_trim[:, None]
    name = FABRICS[session.fabric]
    if name == "stripes":
        return base + (trim - base) * smoothstep(0.2, 0.4, wave(3.2 * fine * down))
    if name == "checks":
        share = 0.4 * (smoothstep(0, 0.3, wave(3 * along)) + smoothstep(0, 0.3, wave(3 * down)))
        return base + (trim - base) * share
    if name == "knit":
        return base * (1 + 0.16 * wave(11 * along) + 0.05 * wave(14 * down))
    return base * (1 + 0.025 * wave(13 * along) * wave(13 * down))


def paint_piece(
    style: str, fabric: Array, person: SimpleNamespace, session: SimpleNamespace
) -> Array:
    """Color (3, n) of a piece at places on its fabric, (2, n)."""
    around, down = fabric
    worn, trim = person.headwear_color[:, None], person.headwear_trim[:, None]
    if style in ("knit", "cuff"):
        ribs = 1 + 0.20 * wave(46 * around)
        return (worn if style == "knit" else 0.6 * worn + 0.4 * trim) * ribs
    if style == "panels":
        seam = bell((6 * around + 0.5) % 1 - 0.5, 0.04)
        button = smoothstep(0.06, 0.04, down)
        return worn * (1 - 0.3 * seam) * (1 - button) + trim * button
    if style == "visor":
        rows = bell((5 * down) % 1 - 0.5, 0.12)
        return (0.5 * worn + 0.5 * trim) * (1 - 0.12 * rows)
    if style in ("felt", "ribbon"):
        return (worn if style == "felt" else 0.6 * trim) * (1 + 0.02 * wave(31 * around))
    if style == "wrap":
        return worn * (1 + 0.10 * wave(5 * down + around))
    if style == "cloth":
        pattern = 0.12 * trim * (person.headwear_shape[0] > 0.6)
        dots = smoothstep(0.5, 0.7, wave(9 * around) * wave(2.2 * down))
        return worn * (1 + 0.03 * wave(2 * around + down)) + pattern * dots
    if style == "rib":
        return session.clothing[:, None] * (1 + 0.14 * wave(52 * around))
    if style == "inner collar":
        return np.repeat((0.58 + 0.3 * session.clothing_trim)[:, None], len(around), 1)
    edge = bell(down - 0.93, 0.03) if style == "collar" else 0 * down
    return _woven(2.2 * around, down, session) * (1 - 0.2 * edge)
