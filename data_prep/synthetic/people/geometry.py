"""Shape of a head, and the points where the camera's rays meet it.

The camera is orthographic. In head space, x is to the right of the image, y up, and z out of the
face; the unit is half a head height. A head is an egg with a width profile. Nose, sockets, lips,
and cheeks are heights added along the ray (a height field).

Here and in all parts of the face, maps are (h, w) for one row of the tables and (b, h, w) for a
batch of rows. Images and vectors are (3, h, w) and (b, 3, h, w).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.noise import bell, bell2, smoothstep
from data_prep.synthetic.row_numbers import Number, Numbers, larger


@dataclass(frozen=True)
class View:
    """Image coordinates and the pose of the head."""

    u: Tensor
    """Right, -1 to 1 over the image, (..., h, w)."""
    v: Tensor
    """Up, -1 to 1 over the image."""
    x: Tensor
    """Like ``u``, but in the head's units, around its middle, and upright."""
    y: Tensor
    cos_yaw: Number
    sin_yaw: Number
    cos_pitch: Number
    sin_pitch: Number

    def to_head(self, depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the head coordinates of the points (x, y, depth) in camera axes."""
        across = self.cos_yaw * self.x - self.sin_yaw * depth
        out = self.sin_yaw * self.x + self.cos_yaw * depth
        return (
            across,
            self.cos_pitch * self.y + self.sin_pitch * out,
            -self.sin_pitch * self.y + self.cos_pitch * out,
        )


def make_view(session: SimpleNamespace, size: int) -> View:
    """Return the view of a session, or a batch, on images of ``size`` x ``size`` pixels."""
    ticks = (torch.arange(size) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(-ticks, ticks, indexing="ij")
    if isinstance(session.scale, Numbers):
        u, v = (ticks.expand(len(session.scale.values), size, size) for ticks in (u, v))
    shift_x, shift_y = session.shift.tolist()
    right, up = (u - shift_x) / session.scale, (v - shift_y) / session.scale
    cos_roll, sin_roll = _cos_and_sin(session.roll)
    cos_yaw, sin_yaw = _cos_and_sin(session.yaw)
    cos_pitch, sin_pitch = _cos_and_sin(session.pitch)
    return View(
        u=u,
        v=v,
        x=cos_roll * right + sin_roll * up,
        y=-sin_roll * right + cos_roll * up,
        cos_yaw=cos_yaw,
        sin_yaw=sin_yaw,
        cos_pitch=cos_pitch,
        sin_pitch=sin_pitch,
    )


def _cos_and_sin(angle: Number) -> tuple[Number, Number]:
    if isinstance(angle, Numbers):
        return Numbers(angle.values.cos()), Numbers(angle.values.sin())
    return math.cos(angle), math.sin(angle)


@dataclass(frozen=True)
class Surface:
    """Points that the rays hit: head coordinates, depth, normals, and distance to the outline."""

    x: Tensor
    y: Tensor
    z: Tensor
    depth: Tensor
    """Position along the camera's axis; larger is closer to the camera."""
    normal: Tensor
    """Unit vectors in camera axes, (..., 3, h, w)."""
    inside: Tensor
    """About 1 in the middle, 0 on the outline, negative outside (1 - radius squared)."""


def hit_egg(
    view: View,
    width: Callable[[Tensor], Tensor],
    height: Number,
    depth: Number,
    roundness: Number,
    center_y: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Intersect rays with an egg (x / width(y))² + (z / depth)² + |y / height|^r = 1.

    Returns ray depth and ``inside``. Width and power depend on y, which depends on the depth, so
    this is a fixed-point iteration. Its steps are halved, because whole steps overshoot and leave
    a ring around crown and chin. Rays that miss get the depth of their closest point, so that
    colors continue smoothly across the outline.
    """
    ray = torch.full_like(view.x, 0.6)
    slope_x, slope_z = -view.sin_yaw, view.cos_pitch * view.cos_yaw
    start_x = view.cos_yaw * view.x
    start_z = -view.sin_pitch * view.y + view.cos_pitch * view.sin_yaw * view.x
    for step in range(4):
        _, y, _ = view.to_head(ray)
        y = y - center_y
        inverse_w2 = width(y) ** -2
        rest = 1 - (y.abs() / height).clamp(max=1.2) ** roundness
        a = slope_x**2 * inverse_w2 + slope_z**2 / depth**2
        b = 2 * (start_x * slope_x * inverse_w2 + start_z * slope_z / depth**2)
        c = start_x**2 * inverse_w2 + start_z**2 / depth**2 - rest
        discriminant = b * b - 4 * a * c
        found = (-b + discriminant.clamp(min=0).sqrt()) / (2 * a)
        ray = found if step == 0 else (ray + found) / 2
    return ray, discriminant / (4 * a)


def surface_normals(view: View, depth: Tensor) -> Tensor:
    """Return unit normals of the surface (x, y, depth), (..., 3, h, w)."""
    position = torch.stack([view.x, view.y, depth], dim=-3)
    right, left = position[..., 2:], position[..., :-2]
    upper, lower = position[..., :-2, :], position[..., 2:, :]
    across = F.pad(right - left, (1, 1, 0, 0), mode="replicate")
    upward = F.pad(upper - lower, (0, 0, 1, 1), mode="replicate")
    return F.normalize(torch.linalg.cross(across, upward, dim=-3), dim=-3)


def head_surface(view: View, person: SimpleNamespace, landmarks: Landmarks) -> Surface:
    """Return the surface of the head, with nose, sockets, lips, and cheeks."""
    egg, inside = hit_egg(
        view,
        lambda y: head_profile(person, y),
        person.head_height,
        person.head_depth,
        person.head_roundness,
    )
    # Bumps fade toward the outline, where a height along the ray would tear the surface.
    strength = 0.5 + 0.5 * smoothstep(0, 0.35, inside)
    depth = egg
    for _ in range(3):
        x, y, _ = view.to_head(depth)
        depth = egg + strength * face_height(person, landmarks, x, y)
    x, y, z = view.to_head(depth)
    return Surface(x, y, z, depth, surface_normals(view, depth), inside)


def head_profile(person: SimpleNamespace, y: Tensor) -> Tensor:
    """Return half the head's width at height y, with temples, cheekbones, jaw, and chin."""
    shape = 1 - person.jaw * smoothstep(0.0, 1.0, -y)
    shape = shape - person.temple * bell(y - 0.38, 0.18) + person.cheekbone * bell(y + 0.08, 0.2)
    return person.head_width * (shape + person.jaw_corner * bell(y + 0.60, 0.16))


@dataclass(frozen=True)
class Landmarks:
    """Heights and openings that several parts of the face share."""

    nose_y: Number
    mouth_y: Number
    mouth_width: Number
    jaw_drop: Number
    """Distance between the lips."""
    smile: Number


def find_landmarks(person: SimpleNamespace, session: SimpleNamespace) -> Landmarks:
    """Return the positions of nose and mouth; a broad smile shows the teeth."""
    nose_y = person.eye_y - person.nose_length
    grin = larger(session.smile - 0.45, 0.0)
    return Landmarks(
        nose_y=nose_y,
        mouth_y=nose_y - person.mouth_offset,
        mouth_width=person.mouth_width * (1 + 0.20 * larger(session.smile, 0.0)),
        jaw_drop=larger(0.10 * session.mouth_open, 0.13 * grin),
        smile=session.smile,
    )


def face_height(p: SimpleNamespace, marks: Landmarks, x: Tensor, y: Tensor) -> Tensor:
    """Return the height of the face above the egg at canonical coordinates (x, y)."""
    ax = x.abs()
    return (
        _nose_height(p, marks, x, ax, y)
        + _eye_height(p, ax, y)
        + _mouth_height(p, marks, x, y)
        + _cheek_height(p, marks, x, ax, y)
    )


def _nose_height(p: SimpleNamespace, marks: Landmarks, x: Tensor, ax: Tensor, y: Tensor) -> Tensor:
    down = (p.eye_y - 0.02 - y) / p.nose_length
    along = smoothstep(-0.15, 1.0, down) * (1 - smoothstep(0.96, 1.32, down))
    slope = down.clamp(0, 1)
    bridge = (0.25 + 0.75 * slope) * along * bell(x, p.nose_width * (0.48 + 0.40 * slope))
    tip = bell2(x, y - marks.nose_y - 0.01, p.nose_width * 0.62, 0.055)
    wings = bell2(ax - p.nose_width, y - marks.nose_y, 0.038, 0.042)
    return p.nose_height * bridge + p.nose_tip * tip + 0.055 * wings


def _eye_height(p: SimpleNamespace, ax: Tensor, y: Tensor) -> Tensor:
    dx, dy = ax - p.eye_x, y - p.eye_y
    socket = bell2(dx, dy, p.eye_width * 1.05, 0.085)
    ridge = bell2(dx, dy - 0.9 * p.brow_offset, 0.2, 0.07)
    ball = (1 - (dx / (1.05 * p.eye_width)) ** 2 - (dy / 0.085) ** 2).clamp(min=0).sqrt()
    return -0.075 * socket + p.brow_ridge * ridge + 0.03 * ball


def _mouth_height(p: SimpleNamespace, marks: Landmarks, x: Tensor, y: Tensor) -> Tensor:
    width, drop, dy = marks.mouth_width, marks.jaw_drop, y - marks.mouth_y
    return (
        0.04 * bell2(x, dy - 0.02, width * 0.75, 0.07)
        + 0.030 * bell2(x, dy + p.lower_lip * 0.6 + drop, width * 0.55, p.lower_lip * 0.7)
        + 0.022 * bell2(x, dy - p.upper_lip * 0.5, width * 0.6, p.upper_lip * 0.7)
        - 0.020 * bell2(x, dy, width * 0.9, 0.014)
        - 0.025 * bell2(x, dy + p.lower_lip * 1.6 + drop, width * 0.7, 0.035)
    )


def _cheek_height(p: SimpleNamespace, marks: Landmarks, x: Tensor, ax: Tensor, y: Tensor) -> Tensor:
    smile = larger(marks.smile, 0.0)
    cheek = p.cheek * bell2(ax - 0.40, y + 0.12 + 0.03 * marks.smile, 0.15, 0.11)
    apple = 0.02 * smile * bell2(ax - 0.36, y - marks.nose_y, 0.10, 0.08)
    chin = p.chin * bell2(x, y + p.head_height * 0.84, 0.15, 0.10)
    groove = 0.012 * bell2(x, y - (marks.mouth_y + marks.nose_y) / 2 - 0.01, 0.018, 0.05)
    below = marks.nose_y - y
    line = bell(ax - (0.13 + 0.5 * p.nose_width + 0.45 * below), 0.03)
    reach = smoothstep(-0.05, 0.02, below) * (1 - smoothstep(0.2, 0.32, below))
    fold = (0.004 + 0.014 * p.age) * (0.4 + 0.8 * smile) * line * reach
    return cheek + apple + chin - groove - fold
