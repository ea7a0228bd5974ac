"""When and how somebody was seen: pose, expression, gaze, light, clothes, place, and camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.synthetic.fields import Draws, Fields
from data_prep.synthetic.heads.expression import FACES
from data_prep.synthetic.heads.people import muted

BACKGROUNDS = (
    "wall", "room", "outdoors", "lights", "shelves", "window", "curtain", "street", "office"
)  # fmt: skip
CLOTHES = ("round", "v", "crew", "shirt", "turtleneck", "hoodie", "jacket")
FABRICS = ("plain", "stripes", "checks", "knit")
FACE_NAMES = tuple(FACES)
SMALL_ACTIONS = (
    "browInnerUp", "mouthLeft", "mouthRight", "jawLeft", "browDownLeft", "browDownRight",
    "eyeSquintLeft", "eyeSquintRight",
)  # fmt: skip
_LIKELY = {
    "neutral": 0.32, "smile": 0.24, "laugh": 0.12, "frown": 0.05, "surprise": 0.05, "sad": 0.04,
    "sneer": 0.02, "blink": 0.03, "AA": 0.05, "EE": 0.04, "OO": 0.03, "pucker": 0.01,
}  # fmt: skip


@dataclass(frozen=True)
class Sessions(Fields):
    """One row per image; angles in radians, lengths in decimeters, colors (n, 3) linear."""

    yaw: Tensor
    """Turn of the head; positive looks to the right of the image."""
    pitch: Tensor
    """Positive looks down."""
    roll: Tensor
    gaze: Tensor
    """Turn of the eyes within the head, right and down, (n, 2)."""
    distance: Tensor
    """From the camera to the face."""
    span: Tensor
    """Width of the image at the face."""
    shift: Tensor
    """Where the camera aims, off the face's middle, right and up, (n, 2)."""

    face: Tensor
    """Index into FACE_NAMES."""
    face_strength: Tensor
    blink: Tensor
    """How far the lids hang by themselves."""
    small_actions: Tensor
    """Weights of SMALL_ACTIONS, (n, actions)."""

    light: Tensor
    """Unit vector towards the main light, (n, 3)."""
    light_color: Tensor
    fill: Tensor
    """Unit vector towards the second light, (n, 3)."""
    fill_color: Tensor
    sky: Tensor
    """Light from above, (n, 3)."""
    ground: Tensor
    """Light from below, (n, 3)."""
    exposure: Tensor
    """Factor on the light after metering."""
    shine: Tensor
    """Factor on highlights of the skin."""

    background: Tensor
    """Index into BACKGROUNDS."""
    background_colors: Tensor
    """Three colors, (n, 3, 3)."""
    background_place: Tensor
    """Where things stand, (n, 6), each in [-1, 1]."""
    clothes: Tensor
    """Index into CLOTHES."""
    fabric: Tensor
    """Index into FABRICS."""
    clothing: Tensor
    clothing_trim: Tensor

    lens_blur: Tensor
    """Sigma in pixels of the captured image."""
    sensor_noise: Tensor
    white_balance: Tensor
    jpeg_quality: Tensor
    seed: Tensor
    """Seeds the sensor noise; give copies of a session new seeds if they must not share it."""


def sample_sessions(n: int, seed: int, start: int = 0) -> Sessions:
    """Draw ``n`` sessions, numbered ``start`` and up; session i depends on (seed, i) only."""
    draws = Draws(n, seed + 7919, start)
    return Sessions(
        **_pose(draws), **_expression(draws), **_light(draws), **_scene(draws), **_camera(draws)
    )


def _pose(draws: Draws) -> dict[str, Tensor]:
    yaw, pitch = draws.normal(0, 0.22, -0.55, 0.55), draws.normal(0, 0.09, -0.22, 0.22)
    # People mostly look at the camera, whichever way the head is turned.
    right = (-0.55 * yaw + draws.normal(0, 0.09)).clamp(-0.42, 0.42)
    down = (-0.4 * pitch + draws.normal(0, 0.05)).clamp(-0.22, 0.22)
    return {
        "yaw": yaw,
        "pitch": pitch,
        "roll": draws.normal(0, 0.055, -0.15, 0.15),
        "gaze": torch.stack([right, down], dim=-1),
        "distance": draws.uniform(6.5, 14),
        "span": draws.uniform(2.8, 3.45),
        "shift": draws.normal(0, 0.06, -0.16, 0.16, shape=(2,)),
    }


def _expression(draws: Draws) -> dict[str, Tensor]:
    likely = torch.tensor([_LIKELY.get(name, 0.0) for name in FACE_NAMES])
    return {
        "face": draws.choice(likely),
        "face_strength": draws.uniform(0.5, 1.0),
        "blink": draws.normal(-0.04, 0.06).clamp(min=0),
        "small_actions": draws.normal(-0.08, 0.10, shape=(len(SMALL_ACTIONS),)).clamp(min=0),
    }


def _light(draws: Draws) -> dict[str, Tensor]:
    azimuth, elevation = draws.uniform(-1.2, 1.2), draws.uniform(0.12, 0.95)
    opposite = -torch.sign(azimuth) * draws.uniform(0.7, 2.0)
    warmth, other = draws.normal(0, 0.07, -0.18, 0.18), draws.normal(0, 0.08, -0.2, 0.2)
    return {
        "light": _direction(azimuth, elevation),
        "light_color": draws.uniform(0.7, 1.6, 1) * _tinted(warmth),
        "fill": _direction(opposite, torch.full_like(opposite, 0.15)),
        "fill_color": draws.uniform(0.15, 0.6, 1) * _tinted(other),
        "sky": draws.uniform(0.5, 0.9, 1) * _tinted(0.4 * warmth),
        "ground": draws.uniform(0.22, 0.5, 1) * torch.tensor([1.05, 1.0, 0.92]),
        "exposure": torch.exp(draws.normal(-0.04, 0.17, -0.45, 0.35)),
        "shine": draws.uniform(0.5, 1.1),
    }


def _direction(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Unit vectors (n, 3) from angles to the right and up, 0 from the camera."""
    flat = elevation.cos()
    return torch.stack([azimuth.sin() * flat, elevation.sin(), azimuth.cos() * flat], dim=-1)


def _tinted(warmth: Tensor) -> Tensor:
    return torch.stack([1 + warmth, torch.ones_like(warmth), 1 - 1.2 * warmth], dim=-1)


def _scene(draws: Draws) -> dict[str, Tensor]:
    return {
        "background": draws.choice(torch.ones(len(BACKGROUNDS))),
        "background_colors": torch.stack([muted(draws, 0.35) for _ in range(3)], dim=1),
        "background_place": draws.uniform(-1, 1, 6),
        "clothes": draws.choice(torch.ones(len(CLOTHES))),
        "fabric": draws.choice(torch.tensor([0.55, 0.15, 0.15, 0.15])),
        "clothing": muted(draws),
        "clothing_trim": muted(draws),
    }


def _camera(draws: Draws) -> dict[str, Tensor]:
    return {
        "lens_blur": draws.uniform(0.25, 0.60),
        "sensor_noise": draws.uniform(0.004, 0.020),
        "white_balance": draws.normal(1, 0.035, 0.88, 1.12, shape=(3,)),
        "jpeg_quality": (72 + 25 * draws.unit()).long(),
        "seed": (draws.unit() * 2**31).long(),
    }
