"""Hair in an image: strands as many small points, with the light of thin cylinders.

Points that are about as close as the closest one of their pixel are averaged; shading then works
on pixels (Kajiya and Kay, 1989, with two highlights as in Marschner et al., 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.light import Shadows
from data_prep.synthetic.heads.scene import Scene
from data_prep.synthetic.heads.steady import blur, dot, fade, shifted, smoothstep, unit
from data_prep.synthetic.heads.strand import HAIR, Strands

Array = np.ndarray
_LAYER = 0.05
"""Decimeters behind the closest point over which others still color a pixel."""
_COVER = 0.3
"""The same for how opaque the hair is."""
_DENSITY = np.array([0.60, 0.50, 0.75], np.float32)
"""How much a point of hair, beard, and brow covers."""


@dataclass(frozen=True)
class HairLayer:
    """Hair over an image; values for some pixels."""

    pixel: Array
    """Numbers of the pixels, (n,)."""
    color: Array
    """Lit, linear RGB, (3, n)."""
    alpha: Array
    depth: Array
    on_head: Array
    """Share of hair of the head; the rest is beard and brows."""


def pose_strands(scene: Scene, figure: Figure) -> Array:
    """Places (3, n) of a figure's strands in a scene: brows and beards move with the face."""
    strands = figure.hair
    place = strands.place
    attached = np.nonzero(strands.kind != HAIR)[0]
    moved = place.copy()
    roots = strands.root[attached]
    moved[:, attached] += (scene.neutral[roots] - figure.fine[roots]).T
    posed = scene.pose.rigid(moved)
    low = np.nonzero(place[1] + 0.25 * (place[2] - 0.5) < 6.45)[0]
    if len(low):
        posed[:, low] = scene.pose.bent(moved[:, low], place[:, low])
    return posed


def lay_hair(
    scene: Scene,
    figure: Figure,
    session: SimpleNamespace,
    posed: Array,
    depth: Array,
    shadows: Shadows,
) -> HairLayer | None:
    """Splat and light the strands; None if none is seen.

    Args:
        scene: what is in the image.
        figure: whose hair it is.
        session: one row.
        posed: places of the strands, (3, n).
        depth: of the surfaces, (size * size,); larger is closer.
        shadows: of surfaces and hair.
    """
    size = scene.view.size
    seen, pixel = _visible(figure.hair, posed, depth, scene)
    if not len(seen):
        return None
    z, kind = posed[2, seen], figure.hair.kind[seen]
    behind = _closest(pixel, z, size)[pixel] - z
    cover = fade(np.maximum(behind, 0) / _COVER)
    cover *= _DENSITY[kind]
    # A point stands for a piece of strand that covers more of smaller pixels.
    density = _sum_up(pixel, cover, size) * (size / 192) ** 2 / figure.detail**2
    weight = fade(np.maximum(behind, 0) / _LAYER)
    front = np.nonzero(weight > 0.08)[0]
    means = _Means(pixel[front], weight[front], size)
    pixels = np.nonzero(_softened(density).ravel() > 0.02)[0]
    pixels = pixels[means.total[pixels] > 1e-6]
    layer = _Layer(scene, figure, session, means, seen[front], pixels)
    return layer.lit(posed[2], _softened(density).ravel()[pixels], shadows)


def _visible(strands: Strands, posed: Array, depth: Array, scene: Scene) -> tuple[Array, Array]:
    """Numbers of the points in front of all surfaces, and their pixels."""
    size = scene.view.size
    column, row = (scene.view.project(posed)).astype(np.int32)
    inside = np.nonzero((column >= 0) & (row >= 0) & (column < size) & (row < size))[0]
    pixel = row[inside] * size + column[inside]
    slack = np.where(strands.kind[inside] == HAIR, np.float32(0.02), np.float32(0.05))
    shown = np.nonzero(posed[2, inside] > depth[pixel] - slack)[0]
    return inside[shown], pixel[shown]


def _closest(pixel: Array, z: Array, size: int) -> Array:
    """Depth of the closest point around each pixel."""
    closest = np.full(size * size, -9, np.float32)
    np.maximum.at(closest, pixel, z)
    image = closest.reshape(size, size)
    around = np.maximum(
        np.maximum(shifted(image, 0, 1), shifted(image, 0, -1)),
        np.maximum(shifted(image, 1, 0), shifted(image, -1, 0)),
    )
    return np.maximum(image, around - 0.02).ravel()


def _sum_up(pixel: Array, values: Array, size: int) -> Array:
    return np.bincount(pixel, values, size * size).reshape(size, size)


def _softened(image: Array) -> Array:
    return 0.35 * image + 0.65 * blur(image)


class _Means:
    """Weighted means over the points of each pixel and around it."""

    def __init__(self, pixel: Array, weight: Array, size: int) -> None:
        self._pixel, self._weight, self._size = pixel, weight, size
        self.total = _softened(_sum_up(pixel, weight, size)).ravel()

    def of(self, values: Array, chosen: Array) -> Array:
        """Means of values (n,) at chosen pixels."""
        sums = _softened(_sum_up(self._pixel, self._weight * values, self._size)).ravel()
        return (sums[chosen] / self.total[chosen]).astype(np.float32)


@dataclass(frozen=True)
class _Layer:
    """Pixels of hair and the points that color them."""

    scene: Scene
    figure: Figure
    session: SimpleNamespace
    means: _Means
    seen: Array
    """Numbers of the points."""
    pixels: Array

    def _mean(self, values: Array) -> Array:
        return self.means.of(values[self.seen], self.pixels)

    def lit(self, z: Array, density: Array, shadows: Shadows) -> HairLayer:
        """The layer under the lights; ``z`` is the depth of all points."""
        strands, person = self.figure.hair, self.figure.person
        tangent = unit(np.stack([self._mean(values) for values in strands.tangent]))
        tangent = self.scene.pose.directions(tangent)
        depth, tint, along = (self._mean(v) for v in (z, strands.tint, strands.along))
        on_head = self._mean((strands.kind == HAIR).astype(np.float32))
        places = self.scene.view.lift(self.pixels, depth)
        normals = _volume_normals(self.scene, self.figure.top, places)
        shadow = shadows.at(places + 0.03 * normals, 0.12)
        hair, brows = person.hair_color[:, None], person.brow_color[:, None]
        base = np.where(on_head > 0.5, hair, brows) * tint
        light = base * _matte(normals, tangent, shadow, along, self.session)
        light += _gleam(normals, tangent, shadow, base, self.session) * on_head
        alpha = 1 - fade(density * (1.0 + 2.8 * on_head))
        return HairLayer(self.pixels, light, alpha.astype(np.float32), depth, on_head)


def _volume_normals(scene: Scene, top: float, places: Array) -> Array:
    """Normals (3, n) of the hair as a whole: away from the middle of the head, or of the neck."""
    middle = np.array([[0], [top - 1.05], [0.42]], np.float32)
    away = scene.pose.back(places) - middle
    level = away * np.array([[1], [0.25], [1]], np.float32)
    low = np.clip(-away[1] / 1.2, 0, 1)
    return scene.pose.directions(unit(unit(away) * (1 - low) + unit(level) * low))


def _matte(
    normals: Array, tangent: Array, shadow: Array, along: Array, session: SimpleNamespace
) -> Array:
    """Light that strands scatter per albedo, (3, n); roots are darker."""
    up = 0.5 + 0.5 * normals[1]
    sky, ground = session.sky[:, None], session.ground[:, None]
    light = 0.62 * (sky * up + 0.7 * ground * (1 - up)) * (0.45 + 0.55 * smoothstep(0, 0.5, along))
    for direction, color, arriving in _lamps(session, shadow):
        along_light = dot(tangent, direction)
        across = np.sqrt(np.clip(1 - along_light * along_light, 0, 1))
        facing = np.clip((dot(normals, direction) + 0.3) / 1.3, 0, 1)
        light = light + 0.95 * color[:, None] * (across * facing * arriving)
    return light


def _gleam(
    normals: Array, tangent: Array, shadow: Array, base: Array, session: SimpleNamespace
) -> Array:
    """Two highlights along the hair: a narrow white one, and a broad one in the hair's color."""
    total = np.zeros_like(base)
    for direction, color, arriving in _lamps(session, shadow):
        half = unit(direction + np.array([0, 0, 1], np.float32))
        faces = np.clip(1.5 * dot(normals, direction) + 0.2, 0, 1) * arriving
        for shift, sharpness, strength, tinted in ((-0.12, 70, 0.05, 0), (0.14, 16, 0.35, 1)):
            slope = dot(unit(tangent + shift * normals), half)
            shape = strength * fade(0.5 * sharpness * slope * slope) * faces
            total += color[:, None] * shape * ((2.2 * base + 0.02) if tinted else 1.0)
    return total


def _lamps(
    session: SimpleNamespace, shadow: Array
) -> tuple[tuple[Array, Array, Array | float], ...]:
    return (
        (session.light, session.light_color, shadow),
        (session.fill, session.fill_color, 1.0),
    )
