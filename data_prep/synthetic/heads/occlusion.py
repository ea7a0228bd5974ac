"""Ambient occlusion of the template: how much of the light from all around reaches a vertex.

It is baked once, when the head is extracted: the mesh is seen from about a hundred directions
through the z-buffer, and whatever is closer to the light than a vertex shades it.
"""

from __future__ import annotations

import math

import numpy as np

from data_prep.synthetic.heads.mesh import LASHES, Head
from data_prep.synthetic.heads.raster import rasterize
from data_prep.synthetic.heads.steady import cross, dot, fade, unit

Array = np.ndarray
DIRECTIONS = 128
_SIZE = 320
_MIDDLE = np.array([0.0, 6.6, 0.2], np.float32)
_PIXELS_PER_DECIMETER = 64.0
_BIAS = 0.03
_REACH = 0.8
"""Decimeters after which a surface in front shades only 1 / e as much."""


def bake_occlusion(head: Head, shape: Array) -> Array:
    """The unoccluded share of the light at fine vertices, (fine vertices,) from 0 to 1.

    Args:
        head: the mesh.
        shape: its coarse vertices, (vertices, 3).
    """
    fine = head.subdivide @ shape
    places, normals = (fine - _MIDDLE).T, head.normals(fine)
    triangles = head.triangles[head.triangle_kind < LASHES]
    light, weight = np.zeros(len(fine)), np.zeros(len(fine))
    for direction in _directions(DIRECTIONS):
        facing = np.clip(dot(normals, direction), 0, 1)
        light += facing * (1 - _shade(places + 0.01 * normals, triangles, direction))
        weight += facing
    return light / np.maximum(weight, 1e-6)


def _shade(places: Array, triangles: Array, direction: Array) -> Array:
    """How much of the light from a direction other surfaces keep from places (3, n)."""
    right = unit(cross(np.array([0.1, 1.0, 0.2]), direction))
    down = cross(right, direction)
    x, y, depth = (dot(places, axis) for axis in (right, down, direction))
    points = np.stack([x, y]) * _PIXELS_PER_DECIMETER + _SIZE / 2
    hits = rasterize(points.astype(np.float32), depth, triangles, _SIZE, both_sides=True)
    closest = np.full(_SIZE * _SIZE, -99.0)
    closest[hits.pixel] = hits.depth
    column, row = np.clip(points, 0, _SIZE - 1).astype(np.int64)
    gap = closest[row * _SIZE + column] - depth
    return np.where(gap > _BIAS, fade(np.maximum(gap, 0) / _REACH), 0)


def _directions(count: int) -> Array:
    """Directions spread evenly over the sphere (a Fibonacci lattice), (count, 3)."""
    golden = math.pi * (3 - math.sqrt(5))
    heights = [1 - (2 * k + 1) / count for k in range(count)]
    return np.array(
        [
            (
                math.sqrt(1 - y * y) * math.cos(golden * k),
                y,
                math.sqrt(1 - y * y) * math.sin(golden * k),
            )
            for k, y in enumerate(heights)
        ]
    )
