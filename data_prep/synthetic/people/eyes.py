"""Eyes with ball, iris, pupil, lids, and lashes, painted on both sides at once."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import FINE, bell, blend, gray, noise, rgb, smoothstep
from data_prep.synthetic.people.canvas import Canvas
from data_prep.synthetic.row_numbers import Number, larger


@dataclass(frozen=True)
class Eyes:
    """Painted eyes and their maps."""

    albedo: Tensor
    open: Tensor
    """1 where the eyeball is visible."""
    glint: Tensor
    """The light's reflection on the eyeball."""


def paint_eyes(albedo: Tensor, c: Canvas, p: SimpleNamespace, s: SimpleNamespace) -> Eyes:
    """Paint eyeballs, irises, pupils, lids, and lashes."""
    height = p.eye_height * (1 + 2.2 * s.brow_raise) * (1 - 0.22 * larger(s.smile, 0.0))
    lid = 1 - s.blink
    _, shift_x, shift_y, _ = p.asymmetry.tolist()
    a = (c.ax - p.eye_x - shift_x * c.side) / p.eye_width
    b = c.y - p.eye_y - p.eye_slant * a * p.eye_width - 0.6 * shift_y * c.side
    almond = 1 - a.abs().clamp(max=1) ** 2.2
    upper = height * almond * (lid - 0.35 * (1 - lid))
    lower = -0.62 * height * almond
    within = a.abs() < 1
    opening = smoothstep(-0.01, 0.01, upper - b) * smoothstep(-0.01, 0.01, b - lower) * within

    gaze_x, gaze_y = s.gaze.tolist()
    iris_x = p.eye_x + 0.8 * gaze_x * p.eye_width * c.side
    iris_y = p.eye_y + gaze_y * height + 0.006
    ball = _eyeball(
        c, p, a, b / (height + 1e-3), iris_x, iris_y, 0.88 * larger(height, 0.05) + 0.004
    )
    albedo = blend(albedo, ball, opening)
    albedo = _paint_lids(albedo, p, a, b, upper, lower)
    glint_x = iris_x + 0.018 * c.side * torch.where(s.light[..., 0, :, :] > 0, 1.0, -1.0)
    distance = ((c.ax - glint_x) ** 2 + (c.y - p.eye_y - 0.024) ** 2).sqrt()
    return Eyes(albedo, opening, (1 - smoothstep(0.012, 0.026, distance)) * opening)


def _eyeball(
    c: Canvas,
    p: SimpleNamespace,
    a: Tensor,
    b: Tensor,
    iris_x: Tensor,
    iris_y: Number,
    radius: Number,
) -> Tensor:
    distance = ((c.ax - iris_x) ** 2 + (c.y - iris_y) ** 2).sqrt()
    iris = 1 - smoothstep(radius - 0.010, radius + 0.010, distance)
    pupil = 1 - smoothstep(0.42 * radius - 0.008, 0.42 * radius + 0.008, distance)
    rim = smoothstep(0.7 * radius, radius, distance) * iris
    # The lids shade the white toward the corners and under the upper lid.
    shadow = 1 - 0.40 * smoothstep(0.4, 1.0, a.abs()) - 0.40 * smoothstep(0.1, 1.0, b)
    color = rgb(0.62, 0.57, 0.54) * gray(shadow)
    color = blend(color, p.iris * gray(1 + 0.25 * noise(FINE, 2 * c.x, 2 * c.y)), iris)
    return blend(color, rgb(0.012, 0.012, 0.012), (pupil + 0.45 * rim).clamp(0, 1))


def _paint_lids(
    albedo: Tensor, p: SimpleNamespace, a: Tensor, b: Tensor, upper: Tensor, lower: Tensor
) -> Tensor:
    near = a.abs()
    lashes = bell(b - upper, 0.013 + 0.005 * p.makeup + 0.003 * (1 - p.male))
    strength = 0.72 + 0.18 * p.makeup
    lash_color = 0.25 * p.skin * p.skin + rgb(0.03, 0.02, 0.018)
    albedo = blend(albedo, lash_color, strength * lashes * (1 - smoothstep(0.95, 1.12, near)))
    crease = bell(b - upper - 0.036 - 0.02 * (1 - a * a), 0.013) * (1 - smoothstep(0.85, 1.1, near))
    albedo = blend(albedo, 0.66 * p.skin, 0.45 * crease)
    rim = bell(b - lower + 0.004, 0.010) * (1 - smoothstep(0.8, 1.02, near))
    return blend(albedo, 0.66 * p.skin * rgb(1.0, 0.93, 0.92), 0.45 * rim)
