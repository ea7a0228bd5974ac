"""Eyes: where they look, and the colors of the eyeball."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.mesh import PARTS, load_head
from data_prep.synthetic.heads.shape import template
from data_prep.synthetic.heads.steady import fade, linear, shifted, smoothstep, turn, unit, wave

Array = np.ndarray
_IRIS = 0.43
"""Radius of the iris against the eyeball's."""
_WHITE = linear(220, 212, 206)
_VEINS = np.array([0.12, 0.50, 0.50], np.float32)


@functools.cache
def eyeballs() -> tuple[Array, Array]:
    """Numbers of the vertices of the left and the right eyeball."""
    head = load_head()
    first = PARTS.index("helper-l-eye")
    return tuple(np.nonzero(head.vertex_part == first + side)[0] for side in (0, 1))


@functools.cache
def eye_directions() -> Array:
    """From the middle of the eye, for fine vertices of eyes; zero elsewhere, (fine vertices, 3)."""
    head, places = load_head(), np.zeros_like(template())
    for eye in eyeballs():
        places[eye] = template()[eye] - template()[eye].mean(axis=0)
    return head.subdivide @ places


def turn_eyes(shape: Array, gaze: tuple[float, float]) -> Array:
    """Coarse vertices (vertices, 3) with both eyeballs turned right and down."""
    turned = shape.copy()
    for eye in eyeballs():
        middle = shape[eye].mean(axis=0)
        ball = (shape[eye] - middle).T
        for axis, angle in ((0, gaze[1]), (1, gaze[0])):
            ball = turn(ball, axis, math.cos(angle), math.sin(angle))
        turned[eye] = ball.T + middle
    return turned


def paint_eyes(directions: Array, person: SimpleNamespace, age: float, brightness: float) -> Array:
    """Albedo (3, n) of the eyeball.

    Args:
        directions: from the middle of the eye, in the eye's own frame, (3, n).
        person: whose eye it is.
        age: 0 to 1; old eyes are less white.
        brightness: of the surroundings, around 0.7; pupils narrow with it.
    """
    x, y, z = unit(directions)
    radius = np.where(z > 0, np.sqrt(x * x + y * y), 2)
    melanin = person.skin_tone / 5
    redness = 0.5 * smoothstep(0.5, 0.95, radius)
    white = _WHITE * (1 - 0.10 * age) * (1 - 0.38 * melanin)
    color = np.stack([white[k] * fade(redness * _VEINS[k]) for k in range(3)])
    steps = np.abs(x) + np.abs(y) + 1e-6
    turns = np.where(y >= 0, 1 - x / steps, 3 + x / steps) / 4
    fibers = 0.5 + 0.5 * wave(6 * turns + 0.4 * wave(3 * turns) + person.seed % 97 / 97)
    shade = (0.75 + 0.5 * fibers) * (1 + 0.9 * smoothstep(0.8 * _IRIS, 0.45 * _IRIS, radius))
    shade = shade * (1 - 0.75 * smoothstep(0.78 * _IRIS, _IRIS, radius))
    inside = smoothstep(_IRIS + 0.035, _IRIS - 0.035, radius)
    color = color + (person.iris[:, None] * shade - color) * inside
    pupil = _IRIS * (0.36 + 0.14 * (1 - min(1.0, brightness)))
    inside = smoothstep(pupil + 0.04, pupil - 0.04, radius)
    return color + (0.004 - color) * inside


def lid_shade(eyes: Array, size: int) -> Array:
    """How dark lids and corners make eye pixels, as a map (size, size).

    Lids overhang the eye by less than a pixel, so no shadow map shows it; without this shade eyes
    stare like a doll's.

    Args:
        eyes: where eyes are seen, (size, size) bool.
        size: pixels per side.
    """
    skin = 1 - eyes.astype(np.float32)
    step = max(1, round(size / 192))
    weights = (0.4, 0.3, 0.2, 0.1)
    above = sum(w * shifted(skin, 0, step * (k + 1)) for k, w in enumerate(weights))
    sides = 0.25 * (shifted(skin, step, 0) + shifted(skin, -step, 0))
    return np.clip(1 - 0.50 * above - 0.12 * (0.5 * shifted(skin, 0, -step) + sides), 0.15, 1)
