"""Sessions: pose, light, expression, background, clothes, and camera of an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.synthetic.fields import Draws, Fields

BACKGROUNDS = ("wall", "room", "outdoors", "lights", "shelves")
NECKLINES = ("round", "v", "collar")


@dataclass(frozen=True)
class Sessions(Fields):
    """Table of sessions, one row per image. Angles are in radians, colors (n, 3) linear."""

    yaw: Tensor
    """Turn of the head; positive looks to the right of the image."""
    pitch: Tensor
    roll: Tensor
    scale: Tensor
    """Factor from half head heights to half image heights."""
    shift: Tensor
    """Middle of the head in half image heights, right and up, (n, 2)."""

    light: Tensor
    """Unit vector toward the main light: right, up, toward the camera, (n, 3)."""
    light_color: Tensor
    ambient: Tensor
    key: Tensor
    exposure: Tensor
    shine: Tensor
    """Strength of highlights on the skin."""

    smile: Tensor
    """-0.2 (frown) to 1 (broad smile)."""
    mouth_open: Tensor
    blink: Tensor
    brow_raise: Tensor
    gaze: Tensor

    background: Tensor
    """Index into BACKGROUNDS."""
    background_colors: Tensor
    """Three colors of the background's objects, (n, 3, 3)."""
    background_place: Tensor
    """Positions of the background's objects, (n, 4), each in [-1, 1]."""
    clothing: Tensor
    clothing_trim: Tensor
    neckline: Tensor
    """Index into NECKLINES."""

    lens_blur: Tensor
    """Sigma in pixels of the captured image."""
    sensor_noise: Tensor
    white_balance: Tensor
    jpeg_quality: Tensor
    seed: Tensor
    """Seed of the sensor noise, which copies of a session share unless they get new seeds."""


def sample_sessions(n: int, seed: int, start: int = 0) -> Sessions:
    """Draw ``n`` sessions, numbered from ``start``; session i depends only on (seed, i)."""
    draws = Draws(n, seed + 7919, start)
    return Sessions(
        **_pose(draws), **_lighting(draws), **_expression(draws), **_scene(draws), **_camera(draws)
    )


def _pose(draws: Draws) -> dict[str, Tensor]:
    return {
        "yaw": draws.normal(0, 0.20, -0.5, 0.5),
        "pitch": draws.normal(0, 0.10, -0.25, 0.25),
        "roll": draws.normal(0, 0.05, -0.15, 0.15),
        "scale": draws.uniform(0.72, 0.86),
        "shift": draws.normal(0, 0.035, -0.10, 0.10, shape=(2,)) + torch.tensor([0.0, 0.02]),
    }


def _lighting(draws: Draws) -> dict[str, Tensor]:
    azimuth, elevation = draws.uniform(-1.1, 1.1), draws.uniform(0.0, 0.9)
    warmth = draws.uniform(-1, 1, 1)
    tint = draws.normal(0, 0.02, shape=(3,))
    return {
        "light": torch.stack(
            [
                azimuth.sin() * elevation.cos(),
                elevation.sin(),
                azimuth.cos() * elevation.cos(),
            ],
            dim=-1,
        ),
        "light_color": 1 + warmth * torch.tensor([[0.08, 0.0, -0.13]]) + tint,
        "ambient": draws.uniform(0.24, 0.50),
        "key": draws.uniform(0.70, 1.05),
        "exposure": draws.uniform(0.85, 1.15),
        "shine": draws.uniform(0.04, 0.22),
    }


def _expression(draws: Draws) -> dict[str, Tensor]:
    blinking = draws.chance(0.05)
    return {
        "smile": draws.uniform(-0.2, 1.0) * draws.chance(0.8),
        "mouth_open": draws.uniform(-1.2, 1.0).clamp(min=0),
        "blink": 0.8 * blinking + draws.uniform(0, 0.2),
        "brow_raise": draws.uniform(-0.02, 0.035),
        "gaze": draws.uniform(-1, 1, 2) * torch.tensor([0.3, 0.15]),
    }


def _scene(draws: Draws) -> dict[str, Tensor]:
    return {
        "background": draws.choice(torch.ones(len(BACKGROUNDS))),
        "background_colors": _muted(draws, 3),
        "background_place": draws.uniform(-1, 1, 4),
        "clothing": _muted(draws, 1, 0.55)[:, 0],
        "clothing_trim": _muted(draws, 1, 0.55)[:, 0],
        "neckline": draws.choice(torch.ones(len(NECKLINES))),
    }


def _muted(draws: Draws, colors: int, saturation: float = 0.35) -> Tensor:
    """Draw colors of low saturation, like those of walls and clothes, (n, colors, 3).

    They vary mostly from warm (brown, beige) to cool (blue, gray), a little from green to red.
    """
    brightness = draws.uniform(0.25, 0.85, colors, 1) ** 2
    warm = draws.uniform(-1, 1, colors, 1) * torch.tensor([1.0, 0.05, -1.0])
    green = draws.uniform(-0.6, 0.6, colors, 1) * torch.tensor([-0.6, 0.6, -0.4])
    return (brightness * (1 + saturation * (warm + green))).clamp(0.02, 0.9)


def _camera(draws: Draws) -> dict[str, Tensor]:
    return {
        "lens_blur": draws.uniform(0.25, 0.60),
        "sensor_noise": draws.uniform(0.004, 0.020),
        "white_balance": draws.normal(1, 0.035, 0.88, 1.12, shape=(3,)),
        "jpeg_quality": (72 + 25 * draws.unit()).long(),
        "seed": (draws.unit() * 2**31).long(),
    }
