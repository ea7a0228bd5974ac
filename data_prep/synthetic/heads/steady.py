"""Arithmetic whose bits do not depend on the processor.

Vector units of different processors round ``exp``, ``sin``, and sums of products differently, and
so do BLAS kernels. Addition, multiplication, division, and square roots of single numbers are
exact everywhere (IEEE 754). Everything that is drawn is therefore made of these: exponentials are
repeated squares, waves are parabolas, and products of vectors are written as sums.

Vectors are arrays (3, n), one row per axis.
"""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def smoothstep(start: float | Array, end: float | Array, x: Array) -> Array:
    """0 before ``start``, 1 after ``end``, a smooth cubic between (also for start > end)."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def fade(x: Array) -> Array:
    """Nearly exp(-x) for x of 0 and up: (1 - x / 32)^32, which reaches 0 at x = 32."""
    base = np.maximum(1 - x * np.float32(1 / 32), 0)
    for _ in range(5):
        base = base * base
    return base


def bell(x: Array, width: float | Array = 1.0) -> Array:
    """Nearly exp(-(x / width)^2): a bump of height 1."""
    scaled = x / width
    return fade(scaled * scaled)


def wave(turns: Array) -> Array:
    """Nearly sin(2 pi turns), of parabolas."""
    u = 2 * (turns - np.floor(turns)) - 1
    arc = -4 * u * (1 - np.abs(u))
    return arc * (0.775 + 0.225 * np.abs(arc))


def dot(first: Array, second: Array) -> Array:
    """Scalar products of vectors (3, n), or of vectors and one vector (3,)."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


def length(vectors: Array) -> Array:
    """Lengths of vectors (3, n)."""
    return np.sqrt(dot(vectors, vectors))


def unit(vectors: Array) -> Array:
    """Vectors (3, n) of length 1 in the same directions; zero stays zero."""
    return vectors / np.maximum(length(vectors), 1e-9)


def cross(first: Array, second: Array) -> Array:
    """Vector products of vectors (3, n)."""
    (ax, ay, az), (bx, by, bz) = first, second
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def turn(vectors: Array, axis: int, cosine: float | Array, sine: float | Array) -> Array:
    """Turn vectors (3, n) around an axis (0 x, 1 y, 2 z), counterclockwise seen from its tip."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turned = vectors.copy()
    turned[first] = cosine * vectors[first] - sine * vectors[second]
    turned[second] = sine * vectors[first] + cosine * vectors[second]
    return turned


def turn_head(vectors: Array, yaw: float, pitch: float, roll: float) -> Array:
    """Turn vectors (3, n) to the right of the image, down, and around the line of sight."""
    for axis, angle in ((1, yaw), (0, pitch), (2, roll)):
        vectors = turn(vectors, axis, math.cos(angle), math.sin(angle))
    return vectors.astype(np.float32)


def blur(maps: Array) -> Array:
    """Maps (..., h, w) smoothed with the weights 1, 2, 1 along both sides; edges are repeated."""
    padded = np.concatenate([maps[..., :1, :], maps, maps[..., -1:, :]], axis=-2)
    maps = 0.25 * (padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :])
    padded = np.concatenate([maps[..., :1], maps, maps[..., -1:]], axis=-1)
    return 0.25 * (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:])


def shifted(image: Array, right: int, down: int) -> Array:
    """A map (h, w) moved by whole pixels; what comes in at an edge repeats the edge."""
    height, width = image.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return image[rows[:, None], columns[None]]


def sample(texture: Array, x: Array, y: Array) -> Array:
    """Bilinear samples (n, channels) of a texture (h, w, channels) at pixel coordinates (n,)."""
    height, width, channels = texture.shape
    x, y = np.clip(x - 0.5, 0, width - 1.001), np.clip(y - 0.5, 0, height - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    right, down = (x - column)[:, None], (y - row)[:, None]
    texels, first = texture.reshape(-1, channels), row * width + column
    above = texels.take(first, 0) * (1 - right) + texels.take(first + 1, 0) * right
    below = texels.take(first + width, 0) * (1 - right) + texels.take(first + width + 1, 0) * right
    return above * (1 - down) + below * down


def linear(*srgb: float) -> Array:
    """A color in linear light, (3,) float32, from sRGB in 0 to 255."""
    channels = [c / 255 for c in srgb]
    values = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.array(values, np.float32)
