"""A z-buffer: which triangle each pixel sees, and where in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
_DEPTH_STEPS = 2**30


@dataclass(frozen=True)
class Hits:
    """The covered pixels of an image, in the order of their numbers (row * width + column)."""

    pixel: Array
    triangle: Array
    weights: Array
    """Barycentric weights of the triangle's corners, (3, n)."""
    depth: Array
    """As given for the corners: larger is closer."""

    def interpolate(self, values: Array, triangles: Array) -> Array:
        """Values of vertices, (vertices, k), at the hits, (k, n)."""
        corners = triangles[self.triangle]
        mixed = values.take(corners[:, 0], 0) * self.weights[0][:, None]
        for k in (1, 2):
            mixed += values.take(corners[:, k], 0) * self.weights[k][:, None]
        return np.ascontiguousarray(mixed.T)


def rasterize(
    points: Array, depth: Array, triangles: Array, size: int, both_sides: bool = False
) -> Hits:
    """Find the closest triangle at every pixel's middle.

    Equal depths go to the candidate that comes last, whatever order the processor works in.

    Args:
        points: pixel coordinates, right and down, (2, vertices) float32.
        depth: larger is closer, (vertices,).
        triangles: corners, counterclockwise as the camera sees a front, (triangles, 3).
        size: pixels per side.
        both_sides: whether backs are seen as well.
    """
    a, b, c = (points[:, triangles[:, k]] for k in range(3))
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    low = np.ceil(np.clip(np.minimum(np.minimum(a, b), c) - 0.5, 0, size)).astype(np.int32)
    high = np.floor(np.clip(np.maximum(np.maximum(a, b), c) - 0.5, -1, size - 1)).astype(np.int32)
    seen = np.abs(area) > 1e-9 if both_sides else area < -1e-9
    seen &= (high[0] >= low[0]) & (high[1] >= low[1])
    chosen = np.nonzero(seen)[0]
    owner, x, y = _candidates(low[:, chosen], high[:, chosen])
    a, b, c = (corner[:, chosen] for corner in (a, b, c))
    second, third = _weights(a, b, c, area[chosen], owner, x, y)
    inside = np.nonzero((second >= 0) & (third >= 0) & (second + third <= 1))[0]
    second, third, owner = second[inside], third[inside], owner[inside]
    weights = np.stack([1 - second - third, second, third])
    triangle = chosen[owner]
    corners = triangles[triangle]
    z = sum(weights[k] * depth[corners[:, k]] for k in range(3))
    pixel = y[inside].astype(np.int64) * size + x[inside]
    covered, winner = _closest(pixel, z, size)
    return Hits(covered, triangle[winner], weights[:, winner], z[winner])


def _candidates(low: Array, high: Array) -> tuple[Array, Array, Array]:
    """All pixels in the boxes of triangles: the number of the box, column, and row of each."""
    width, height = high - low + 1
    count = width * height
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    starts = np.cumsum(count) - count
    place = np.arange(int(count.sum()), dtype=np.int32) - np.repeat(starts, count).astype(np.int32)
    row = place // width[owner]
    column = place - row * width[owner]
    return owner, low[0][owner] + column, low[1][owner] + row


def _weights(
    a: Array, b: Array, c: Array, area: Array, owner: Array, x: Array, y: Array
) -> tuple[Array, Array]:
    """Barycentric weights of the second and third corner at the middles of pixels."""
    inverse = (1 / area).astype(np.float32)
    slopes = np.stack(
        [
            (c[1] - a[1]) * inverse,
            (a[0] - c[0]) * inverse,
            (a[1] - b[1]) * inverse,
            (b[0] - a[0]) * inverse,
            a[0],
            a[1],
        ],
        axis=1,
    ).take(owner, 0)
    right, down = (v.astype(np.float32) + 0.5 for v in (x, y))
    right, down = right - slopes[:, 4], down - slopes[:, 5]
    return slopes[:, 0] * right + slopes[:, 1] * down, slopes[:, 2] * right + slopes[:, 3] * down


def _closest(pixel: Array, depth: Array, size: int) -> tuple[Array, Array]:
    """Covered pixels and the number of the winning candidate of each."""
    if not len(pixel):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lowest, highest = depth.min(), depth.max()
    steps = ((depth - lowest) / (highest - lowest + 1e-9) * _DEPTH_STEPS).astype(np.int64)
    keys = (steps << 32) | np.arange(len(pixel), dtype=np.int64)
    best = np.full(size * size, -1, np.int64)
    np.maximum.at(best, pixel, keys)
    covered = np.nonzero(best >= 0)[0]
    return covered, best[covered] & 0xFFFFFFFF
