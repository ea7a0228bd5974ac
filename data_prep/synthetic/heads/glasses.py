"""Glasses: frames of thin wire or plastic, and the shine of lenses."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.mesh import LEFT_EYE, RIGHT_EYE, load_head
from data_prep.synthetic.heads.scene import Scene
from data_prep.synthetic.heads.steady import bell, smoothstep, unit

Array = np.ndarray
_BEND = 0.18
"""How far lenses curve around the face."""
_EAR_DEPTH = 0.35


def lay_glasses(
    image: Array,
    depth: Array,
    scene: Scene,
    fine: Array,
    person: SimpleNamespace,
    session: SimpleNamespace,
) -> tuple[Array, Array]:
    """Draw glasses into an image (3, size * size).

    Returns:
        Numbers of the pixels that frames touch, and how much they cover, 0 to 1.
    """
    rims, lenses = _shapes(fine, person, max(1.0, scene.view.size / 192))
    _lay_lenses(image, depth, scene, lenses, session)
    thickness = 0.010 + 0.016 * (person.glasses_shape[2] > 0.45)
    pixel, cover = _spread(scene, rims, thickness, depth)
    light = 0.5 * session.sky + 0.35 * session.light_color
    color = (person.glasses_color * light)[:, None]
    image[:, pixel] += (color - image[:, pixel]) * cover
    return pixel, cover


def _shapes(fine: Array, person: SimpleNamespace, detail: float) -> tuple[Array, Array]:
    """Points along the frame, (3, n), and in the lenses, (3, m), before the pose."""
    head = load_head()
    eyes = [fine[head.fine_vertex_kind == kind] for kind in (LEFT_EYE, RIGHT_EYE)]
    middle = float(eyes[0][:, 1].sum() + eyes[1][:, 1].sum()) / (len(eyes[0]) + len(eyes[1]))
    front = float(max(eye[:, 2].max() for eye in eyes)) + 0.14
    wide, high, square = (float(value) for value in person.glasses_shape)
    width, height, power = 0.245 + 0.05 * wide, 0.165 + 0.07 * high, 2 + 2.5 * square
    inner, count = width + 0.085, int(280 * detail)
    turns = np.arange(count) * (2 * math.pi / count)
    outline = np.array([_superellipse(angle, power) for angle in turns])
    rims, lenses = [], []
    for side in (-1, 1):
        for points, group in ((outline, rims), (_disk(power, detail), lenses)):
            x = side * inner + width * points[:, 0]
            y = middle - 0.03 + height * points[:, 1]
            group.append(np.stack([x, y, front - _BEND * x * x]))
        rims.append(_temple(fine, side, inner + width, middle, front))
    across = np.linspace(-0.085, 0.085, 50)
    arch = middle + 0.03 + 0.03 * (1 - (across / 0.085) ** 2)
    rims.append(np.stack([across, arch, np.full(50, front + 0.01)]))
    return tuple(np.concatenate(group, 1).astype(np.float32) for group in (rims, lenses))


def _superellipse(angle: float, power: float) -> tuple[float, float]:
    x, y = math.cos(angle), math.sin(angle)
    return tuple(math.copysign(abs(v) ** (2 / power), v) for v in (x, y))


def _disk(power: float, detail: float) -> Array:
    """Points that fill a lens, (n, 2)."""
    ticks = (np.linspace(-1, 1, int(count * detail)) for count in (61, 47))
    grid = np.stack(np.meshgrid(*ticks), -1).reshape(-1, 2)
    inside = np.array([abs(x) ** power + abs(y) ** power < 1 for x, y in grid.tolist()])
    return grid[inside]


def _temple(fine: Array, side: int, hinge: float, middle: float, front: float) -> Array:
    """The arm from a hinge to the ear, (3, n)."""
    near = (np.abs(fine[:, 1] - middle) < 0.12) & (np.abs(fine[:, 2] - 0.55) < 0.12)
    half_head = float(np.abs(fine[near, 0]).max()) if near.any() else 0.8
    t = np.linspace(0, 1, 120)
    start = np.array([side * hinge, middle + 0.04, front - _BEND * hinge**2])
    end = np.array([side * (half_head + 0.02), middle + 0.06, _EAR_DEPTH])
    return start[:, None] * (1 - t) + end[:, None] * t


def _spread(scene: Scene, points: Array, thickness: float, depth: Array) -> tuple[Array, Array]:
    """Pixels that lines of some thickness touch, and how much of each they cover."""
    size = scene.view.size
    posed = scene.pose.rigid(points)
    x, y = scene.view.project(posed)
    radius = max(thickness / scene.view.pixel, 0.45)
    reach = math.ceil(radius + 0.5)
    cover = np.zeros(size * size, np.float32)
    steps = range(-reach, reach + 1)
    for dx, dy in ((dx, dy) for dx in steps for dy in steps):
        column, row = np.floor(x).astype(np.int64) + dx, np.floor(y).astype(np.int64) + dy
        inside = (column >= 0) & (row >= 0) & (column < size) & (row < size)
        column, row = column[inside], row[inside]
        pixel = row * size + column
        right, down = column + 0.5 - x[inside], row + 0.5 - y[inside]
        share = np.clip(radius + 0.5 - np.sqrt(right * right + down * down), 0, 1)
        shown = posed[2, inside] > depth[pixel] - 0.06
        np.maximum.at(cover, pixel[shown], share[shown].astype(np.float32))
    pixel = np.nonzero(cover)[0]
    return pixel, np.minimum(1.15 * cover[pixel], 0.97)


def _lay_lenses(
    image: Array, depth: Array, scene: Scene, lenses: Array, session: SimpleNamespace
) -> None:
    """Glass takes a little light and mirrors a window's worth of the main light."""
    size = scene.view.size
    posed = scene.pose.rigid(lenses)
    column, row = scene.view.project(posed).astype(np.int64)
    inside = (column >= 0) & (row >= 0) & (column < size) & (row < size)
    pixel, z = (row * size + column)[inside], posed[2, inside]
    front = z > depth[pixel] - 0.06
    touched, first = np.unique(pixel[front], return_index=True)
    places = posed[:, inside][:, front][:, first]
    normal = unit(np.stack([2.5 * _BEND * places[0], 0 * places[0], np.ones_like(places[0])]))
    half = unit(session.light[:, None] + np.array([[0], [0], [1]], np.float32))
    turned = scene.pose.directions(normal)
    away = 1 - (turned * half).sum(axis=0)
    # A window's edge cuts the reflection.
    edge = smoothstep(-0.02, 0.05, places[1] - places[1].mean() + 0.5 * (places[0] % 0.4 - 0.2))
    mirrored = 0.16 * bell(away, 0.03) * edge + 0.012
    image[:, touched] = 0.94 * image[:, touched] + session.light_color[:, None] * mirrored
