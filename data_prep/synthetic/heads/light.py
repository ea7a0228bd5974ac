"""Light: a main light and a second one, the sky and the ground, shadows, and highlights.

Surfaces are arrays of pixels: colors and vectors (3, n), everything else (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.raster import rasterize
from data_prep.synthetic.heads.steady import blur, cross, dot, fade, shifted, smoothstep, unit

Array = np.ndarray
SKIN_WRAP = (0.42, 0.22, 0.16)
"""How far light of each color reaches past the terminator of skin, a stand-in for scattering."""
PLAIN_WRAP = (0.10, 0.10, 0.10)
_MAP = 96
"""Pixels per side of the shadow map."""
_MAP_SCALE = _MAP / 4.6
_MAP_MIDDLE = np.array([[0], [7.15], [0.4]], np.float32)
_NOTHING = -9.0


@dataclass(frozen=True)
class Shadows:
    """What the main light sees: the closest depth of surfaces and of hair."""

    axes: tuple[Array, Array, Array]
    surface: Array
    hair: Array

    def at(self, points: Array, bias: float = 0.05) -> Array:
        """The share of the main light that reaches points, (n,)."""
        places = points - _MAP_MIDDLE
        x, y, depth = (dot(places, axis) for axis in self.axes)
        x, y = (_MAP / 2 + v * _MAP_SCALE - 0.5 for v in (x, y))
        column = np.clip(np.floor(x), 1, _MAP - 3).astype(np.int32)
        row = np.clip(np.floor(y), 1, _MAP - 3).astype(np.int32)
        right, down = np.clip(x - column, 0, 1), np.clip(y - row, 0, 1)
        first, total = row * _MAP + column, 0.0
        for dy, across in ((-1, 1 - down), (0, 1.0), (1, 1.0), (2, down)):
            for dx, along in ((-1, 1 - right), (0, 1.0), (1, 1.0), (2, right)):
                texel = first + dy * _MAP + dx
                solid = np.clip((self.surface[texel] - depth - bias) * 25, 0, 1)
                strands = 0.75 * np.clip((self.hair[texel] - depth - 0.06) * 16, 0, 1)
                total = total + across * along * np.maximum(solid, strands)
        return np.clip(1 - total / 9, 0, 1)


def cast_shadows(
    session: SimpleNamespace, solid: list[tuple[Array, Array]], strands: Array
) -> Shadows:
    """Look from the main light.

    Args:
        session: one row.
        solid: points (3, n) and triangles of surfaces.
        strands: some points of the hair, (3, n).
    """
    toward = session.light.astype(np.float32)
    right = unit(cross(np.array([0, 1, 0], np.float32), toward))
    axes = (right, cross(right, toward), toward)
    surface = np.full(_MAP * _MAP, _NOTHING, np.float32)
    for points, triangles in solid:
        pixels, depth = _seen(points, axes)
        hits = rasterize(pixels, depth, triangles, _MAP, both_sides=True)
        surface[hits.pixel] = np.maximum(surface[hits.pixel], hits.depth)
    hair = np.full(_MAP * _MAP, _NOTHING, np.float32)
    if strands.shape[1]:
        pixels, depth = _seen(strands, axes)
        column, row = np.clip(pixels, 0, _MAP - 1).astype(np.int32)
        np.maximum.at(hair, row * _MAP + column, depth)
    return Shadows(axes, surface, hair)


def _seen(points: Array, axes: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    places = points - _MAP_MIDDLE
    x, y, depth = (dot(places, axis) for axis in axes)
    pixels = np.stack([x, y]) * np.float32(_MAP_SCALE) + np.float32(_MAP / 2)
    return pixels, depth


def creases(depth: Array, pixel: float) -> Array:
    """Ambient occlusion of the image itself: what neighbors that are closer take of the light.

    Args:
        depth: (h, w); larger is closer.
        pixel: width of a pixel in the units of depth.
    """
    half, taken = depth[::2, ::2], 0.0
    for radius, weight in ((1, 0.4), (3, 0.6)):
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            rise = shifted(half, right * radius, down * radius) - half
            slope = rise * np.float32(1 / (2 * pixel * radius * (right**2 + down**2) ** 0.5))
            taken = taken + weight / 8 * np.clip(slope - 0.6, 0, 1.5) / 1.5 * (rise < 0.5)
    left = blur(1 - 0.9 * np.clip(1.2 * taken, 0, 1))
    return np.repeat(np.repeat(left, 2, 0), 2, 1)


def diffuse(
    normals: Array,
    open_share: Array,
    shadow: Array,
    session: SimpleNamespace,
    wrap: tuple[Array, Array, Array] | tuple[float, float, float],
) -> Array:
    """Light that a matte surface gives back per albedo, (3, n).

    Args:
        normals: unit vectors.
        open_share: of the surroundings, after all occlusion.
        shadow: share of the main light that arrives.
        session: one row.
        wrap: SKIN_WRAP, PLAIN_WRAP, or a mix for each pixel.
    """
    up = 0.5 + 0.5 * normals[1]
    front = 0.62 + 0.38 * np.clip(normals[2], 0, 1)
    key, fill = dot(normals, session.light), dot(normals, session.fill)
    direct = 0.35 + 0.65 * open_share
    result = np.empty_like(normals)
    for k in range(3):
        around = (session.sky[k] * up + session.ground[k] * (1 - up) * 0.8) * front
        # Light between close surfaces takes on their color: red is lost last.
        colored = open_share * (1 + (0.15, 0.0, -0.05)[k] * (1 - open_share))
        soft = shadow if k else 0.4 * shadow + 0.6 * np.sqrt(shadow)
        result[k] = 0.75 * around * colored
        result[k] += session.light_color[k] * _wrapped(key, wrap[k]) * soft * direct
        result[k] += session.fill_color[k] * _wrapped(fill, wrap[k]) * open_share
    return result


def _wrapped(facing: Array, wrap: Array | float) -> Array:
    lit = np.clip((facing + wrap) / (1 + wrap), 0, 1)
    return lit * (1 - 0.5 * wrap + 0.5 * wrap * lit)


def highlights(
    normals: Array, toward: Array, shadow: Array, session: SimpleNamespace
) -> tuple[Array, Array]:
    """Mirrored light of both lamps per gloss, (3, n), and the Fresnel term, (n,).

    Two lobes, exp(-22 (1 - n.h)) and exp(-70 (1 - n.h)), stand for powers of the cosine.

    Args:
        normals: unit vectors.
        toward: unit vectors to the camera.
        shadow: share of the main light that arrives.
        session: one row.
    """
    grazing = np.clip(1 - dot(normals, toward), 0, 1)
    fresnel = 0.028 + 0.55 * grazing * grazing * grazing * grazing * grazing
    lights = ((session.light, session.light_color, shadow), (session.fill, session.fill_color, 1.0))
    result = np.zeros_like(normals)
    for direction, color, arriving in lights:
        away = 1 - dot(normals, unit(toward + direction[:, None])).clip(0, 1)
        lobes = 2.31 * fade(22 * away) + 4.05 * fade(70 * away)
        faces = np.clip(3 * dot(normals, direction) + 0.3, 0, 1)
        strength = 1.6 * lobes * fresnel * arriving * faces
        result += color[:, None] * strength
    return result, fresnel


def glints(normals: Array, toward: Array, shadow: Array, session: SimpleNamespace) -> Array:
    """Reflections of both lamps in wet eyes, (3, n)."""
    result = np.zeros_like(normals)
    lights = ((session.light, session.light_color, shadow), (session.fill, session.fill_color, 1.0))
    for direction, color, arriving in lights:
        away = 1 - dot(normals, unit(toward + direction[:, None])).clip(0, 1)
        strength = 6 * fade(300 * away) + 0.05 * fade(40 * away)
        result += np.minimum(color, 1.4)[:, None] * strength * (0.4 + 0.6 * arriving)
    return result


def mirrored_sky(normals: Array, toward: Array) -> Array:
    """How much of the sky a surface mirrors toward the camera, (n,)."""
    up = 2 * dot(normals, toward) * normals[1] - toward[1]
    return smoothstep(-0.45, 0.85, up)
