"""Where the head turns, and where its points fall in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.steady import smoothstep, turn, turn_head

Array = np.ndarray
_PIVOT = np.array([[0], [6.35], [0.45]], np.float32)
"""Where the neck bends."""
_FOCUS = 0.8
"""Depth of the plane at which ``span`` is the image's width."""


@dataclass(frozen=True)
class Pose:
    """A turn of the head around the neck, while the shoulders stay."""

    yaw: float
    pitch: float
    roll: float

    def rigid(self, points: Array) -> Array:
        """Move points (3, n) of the head; what it wears and most of its hair."""
        return turn_head(points - _PIVOT, self.yaw, self.pitch, self.roll) + _PIVOT

    def directions(self, vectors: Array) -> Array:
        """Turn directions (3, n) of the head."""
        return turn_head(vectors, self.yaw, self.pitch, self.roll)

    def back(self, points: Array) -> Array:
        """Undo ``rigid``."""
        moved = points - _PIVOT
        for axis, angle in ((2, -self.roll), (0, -self.pitch), (1, -self.yaw)):
            moved = turn(moved, axis, math.cos(angle), math.sin(angle))
        return (moved + _PIVOT).astype(np.float32)

    def bent(self, points: Array, reference: Array | None = None) -> Array:
        """Move points (3, n) of head, neck, and shoulders: less the further down they are.

        ``reference`` gives other places by which to judge how far down a point is.
        """
        judged = points if reference is None else reference
        share = smoothstep(5.55, 6.45, judged[1] + 0.25 * (judged[2] - 0.5))
        moved = points - _PIVOT
        for axis, angle in ((1, self.yaw), (0, self.pitch), (2, self.roll)):
            moved = turn(moved, axis, *_cosine_and_sine(share * angle))
        return (moved + _PIVOT).astype(np.float32)


def _cosine_and_sine(angles: Array) -> tuple[Array, Array]:
    """Of angles below a radian, to seven digits: the first terms of the series."""
    square = angles * angles
    cosine = 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56)))
    sine = angles * (1 - square / 6 * (1 - square / 20 * (1 - square / 42)))
    return cosine, sine


@dataclass(frozen=True)
class View:
    """A camera in front of the face, and the square image it takes."""

    size: int
    distance: float
    span: float
    aim: tuple[float, float]
    """Point in the middle of the image."""

    @property
    def pixel(self) -> float:
        """Width of a pixel at the face, in decimeters."""
        return self.span / self.size

    def project(self, points: Array) -> Array:
        """Pixel coordinates, right and down, (2, n) of points (3, n)."""
        scale = self.distance / self.pixel / (self.distance + _FOCUS - points[2])
        half = self.size / 2
        right = half + (points[0] - self.aim[0]) * scale
        return np.stack([right, half - (points[1] - self.aim[1]) * scale]).astype(np.float32)

    def lift(self, pixels: Array, depth: Array) -> Array:
        """Points (3, n) at a depth behind the middles of pixels given by their numbers."""
        row, column = np.divmod(pixels, self.size)
        scale = self.pixel / self.distance * (self.distance + _FOCUS - depth)
        right, down = column + 0.5 - self.size / 2, row + 0.5 - self.size / 2
        points = [self.aim[0] + right * scale, self.aim[1] - down * scale, depth]
        return np.stack(points).astype(np.float32)

    def directions(self, points: Array) -> Array:
        """Unit vectors (3, n) from points to the camera."""
        x, y = self.aim[0] - points[0], self.aim[1] - points[1]
        z = self.distance + _FOCUS - points[2]
        length = np.sqrt(x * x + y * y + z * z)
        return np.stack([x / length, y / length, z / length])


def make_view(session: SimpleNamespace, pose: Pose, top: float, size: int) -> View:
    """A view that holds a head whose highest point is at ``top``."""
    face = pose.rigid(np.array([[0.0], [top - 1.28], [1.0]], np.float32))
    right, up = session.shift
    aim = (0.8 * float(face[0, 0]) + right, top - 1.20 + up)
    return View(size, session.distance, session.span, aim)
