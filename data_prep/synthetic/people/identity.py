"""Identities: about sixty numbers that are the same in every image of a person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.synthetic.fields import Draws, Fields, seed_number

SKIN_COLORS = torch.tensor(
    [
        [0.80, 0.59, 0.48],
        [0.74, 0.52, 0.40],
        [0.65, 0.43, 0.31],
        [0.50, 0.31, 0.21],
        [0.35, 0.21, 0.14],
        [0.22, 0.13, 0.09],
    ]
)
"""Linear-light albedo of six skin tones, from light to dark."""

HAIR_NAMES = ("black", "dark brown", "brown", "blond", "red", "grey")
HAIR_COLORS = torch.tensor(
    [
        [0.030, 0.025, 0.023],
        [0.085, 0.048, 0.028],
        [0.20, 0.11, 0.055],
        [0.58, 0.41, 0.20],
        [0.36, 0.12, 0.045],
        [0.50, 0.50, 0.50],
    ]
)
GREY = HAIR_NAMES.index("grey")
_HAIR_WEIGHTS_LIGHT = torch.tensor([0.25, 0.25, 0.22, 0.13, 0.06, 0.09])
_HAIR_WEIGHTS_DARK = torch.tensor([0.75, 0.15, 0.0, 0.0, 0.0, 0.10])

IRIS_COLORS = torch.tensor(
    [
        [0.12, 0.06, 0.03],
        [0.25, 0.14, 0.06],
        [0.25, 0.38, 0.52],
        [0.28, 0.36, 0.18],
        [0.35, 0.38, 0.40],
    ]
)
_IRIS_WEIGHTS_LIGHT = torch.tensor([0.4, 0.2, 0.2, 0.1, 0.1])
_IRIS_WEIGHTS_DARK = torch.tensor([0.9, 0.1, 0.0, 0.0, 0.0])
_DARK_SKIN = 2.8
"""Skin tone (0 light, 5 dark) from which hair and eyes are dark, as in most people."""

BEARDS = ("none", "full", "mustache", "stubble")
GLASSES_SHARE = 0.25

# Steps of the additive recurrence in three dimensions (the "R3" sequence). They are irrational and
# independent, so tone, sex, and glasses are not correlated.
_R3 = 1.22074408460575947536
_STEPS = (1 / _R3, 1 / _R3**2, 1 / _R3**3)


@dataclass(frozen=True)
class Identities(Fields):
    """Table of people. Lengths are in half head heights (about 11 cm); flags are 0.0 or 1.0."""

    skin_tone: Tensor
    """0 (light) to 5 (dark), spread evenly."""
    skin: Tensor
    """Albedo (n, 3) in linear light."""
    male: Tensor
    age: Tensor
    """0 (young) to 1 (old)."""
    hair_index: Tensor
    """Index into HAIR_NAMES."""
    hair_color: Tensor
    iris: Tensor

    head_width: Tensor
    head_height: Tensor
    head_depth: Tensor
    head_roundness: Tensor
    jaw: Tensor
    jaw_corner: Tensor
    cheekbone: Tensor
    temple: Tensor
    cheek: Tensor
    chin: Tensor
    brow_ridge: Tensor

    eye_x: Tensor
    eye_y: Tensor
    eye_width: Tensor
    eye_height: Tensor
    eye_slant: Tensor
    eye_bags: Tensor
    brow_offset: Tensor
    brow_thickness: Tensor
    brow_arch: Tensor
    brow_slope: Tensor
    brow_width: Tensor

    nose_width: Tensor
    nose_length: Tensor
    nose_height: Tensor
    nose_tip: Tensor
    mouth_offset: Tensor
    mouth_width: Tensor
    upper_lip: Tensor
    lower_lip: Tensor
    lip_tone: Tensor
    makeup: Tensor

    bald: Tensor
    long_hair: Tensor
    hair_length: Tensor
    hair_volume: Tensor
    hairline: Tensor
    hairline_curve: Tensor
    hair_part: Tensor
    fringe: Tensor
    curl: Tensor
    beard: Tensor
    """Index into BEARDS."""

    glasses: Tensor
    glasses_shape: Tensor
    glasses_color: Tensor
    freckles: Tensor
    mole_xy: Tensor
    """Positions of three moles, (n, 3, 2)."""
    mole_radius: Tensor
    """Radii (n, 3, 1); 0 where there is no mole."""
    ear_length: Tensor
    asymmetry: Tensor
    """Left-right differences of brows, eyes (2), and mouth, (n, 4)."""
    texture_offset: Tensor
    """Position of this person's skin and hair in the noise banks, (n, 2)."""


def sample_identities(n: int, seed: int, start: int = 0) -> Identities:
    """Draw ``n`` people, numbered from ``start``.

    Person i depends only on (seed, i). Skin tone, sex, and glasses follow an even sequence, so
    every range of people has about the same shares.
    """
    draws = Draws(n, seed, start)
    tone, sex, glasses = (
        draws.even(seed_number(seed, salt), step) for salt, step in enumerate(_STEPS)
    )
    male = (sex < 0.5).float()
    return Identities(
        **_coloring(draws, (5 * tone).float(), male),
        male=male,
        **_head(draws, male),
        **_eyes(draws, male),
        **_nose_and_mouth(draws, male),
        **_hair(draws, male),
        glasses=(glasses < GLASSES_SHARE).float(),
        glasses_shape=draws.uniform(0, 1),
        glasses_color=draws.uniform(0, 0.15, 3),
        mole_xy=draws.uniform(-0.62, 0.5, 3, 2),
        mole_radius=draws.uniform(0.012, 0.026, 3, 1) * (draws.unit(3, 1) < 0.45),
        ear_length=draws.normal(0.17, 0.03, 0.10, 0.24),
        asymmetry=draws.normal(0, 0.012, shape=(4,)),
        texture_offset=draws.uniform(-1, 1, 2),
    )


def _coloring(draws: Draws, tone: Tensor, male: Tensor) -> dict[str, Tensor]:
    dark = (tone > _DARK_SKIN)[:, None]
    hair = draws.choice(torch.where(dark, _HAIR_WEIGHTS_DARK, _HAIR_WEIGHTS_LIGHT))
    iris = draws.choice(torch.where(dark, _IRIS_WEIGHTS_DARK, _IRIS_WEIGHTS_LIGHT))
    age = draws.uniform(0, 1)
    return {
        "skin_tone": tone,
        "skin": interpolate(SKIN_COLORS, tone) * draws.normal(1, 0.04, 0.85, 1.15, shape=(3,)),
        "age": torch.where(hair == GREY, 0.7 + 0.3 * age, 0.8 * age),
        "hair_index": hair,
        "hair_color": HAIR_COLORS[hair] * draws.normal(1, 0.12, 0.6, 1.5, shape=(1,)),
        "iris": IRIS_COLORS[iris],
        "freckles": draws.chance(0.25) * (tone < 2),
    }


def interpolate(table: Tensor, position: Tensor) -> Tensor:
    """Interpolate rows of ``table`` at fractional positions (n,) linearly."""
    position = position.clamp(0, len(table) - 1 - 1e-4)
    below = position.long()
    return torch.lerp(table[below], table[below + 1], (position - below)[:, None])


def _head(draws: Draws, male: Tensor) -> dict[str, Tensor]:
    return {
        "head_width": draws.normal(0.70, 0.045, 0.60, 0.80),
        "head_height": draws.normal(0.98, 0.04, 0.90, 1.06),
        "head_depth": draws.normal(0.82, 0.03, 0.75, 0.90),
        "head_roundness": draws.normal(2.75, 0.22, 2.3, 3.3) + 0.2 * male,
        "jaw": draws.normal(0.25, 0.06, 0.12, 0.38) - 0.06 * male,
        "jaw_corner": draws.normal(0.03, 0.03, 0.0, 0.10) + 0.03 * male,
        "cheekbone": draws.normal(0.03, 0.025, -0.02, 0.08),
        "temple": draws.normal(0.03, 0.025, -0.01, 0.09),
        "cheek": draws.normal(0.055, 0.03, 0, 0.12),
        "chin": draws.normal(0.05, 0.03, 0, 0.12),
        "brow_ridge": 0.02 + 0.045 * male + draws.normal(0, 0.012),
    }


def _eyes(draws: Draws, male: Tensor) -> dict[str, Tensor]:
    return {
        "eye_x": draws.normal(0.292, 0.022, 0.24, 0.345),
        "eye_y": draws.normal(0.05, 0.03, -0.02, 0.12),
        "eye_width": draws.normal(0.167, 0.014, 0.135, 0.20),
        "eye_height": draws.normal(0.080, 0.014, 0.052, 0.112) - 0.008 * male,
        "eye_slant": draws.normal(0.06, 0.10, -0.16, 0.28),
        "eye_bags": draws.uniform(0, 1),
        "brow_offset": draws.normal(0.175, 0.022, 0.13, 0.23) - 0.02 * male,
        "brow_thickness": draws.normal(0.031, 0.008, 0.018, 0.05) + 0.010 * male,
        "brow_arch": draws.normal(0.05, 0.028, 0, 0.12) - 0.015 * male,
        "brow_slope": draws.normal(0.06, 0.08, -0.12, 0.24),
        "brow_width": draws.normal(0.185, 0.02, 0.14, 0.23),
    }


def _nose_and_mouth(draws: Draws, male: Tensor) -> dict[str, Tensor]:
    return {
        "nose_width": draws.normal(0.095, 0.017, 0.062, 0.14) + 0.012 * male,
        "nose_length": draws.normal(0.40, 0.04, 0.30, 0.49),
        "nose_height": draws.normal(0.14, 0.03, 0.08, 0.22),
        "nose_tip": draws.normal(0.075, 0.02, 0.03, 0.12),
        "mouth_offset": draws.normal(0.235, 0.03, 0.17, 0.31),
        "mouth_width": draws.normal(0.285, 0.033, 0.21, 0.36),
        "upper_lip": draws.normal(0.056, 0.015, 0.025, 0.09),
        "lower_lip": draws.normal(0.074, 0.017, 0.04, 0.115),
        "lip_tone": draws.uniform(0, 1),
        "makeup": draws.chance(0.45) * (1 - male),
    }


def _hair(draws: Draws, male: Tensor) -> dict[str, Tensor]:
    beard = draws.choice(torch.tensor([0.48, 0.22, 0.14, 0.16]))
    return {
        "bald": draws.chance(0.15) * male,
        "long_hair": draws.chance(0.72 - 0.60 * male),
        "hair_length": draws.uniform(0.8, 1.8),
        "hair_volume": draws.uniform(0.03, 0.20),
        "hairline": draws.normal(0.58, 0.06, 0.45, 0.72) + 0.05 * male,
        "hairline_curve": draws.uniform(-0.25, 0.35),
        "hair_part": draws.uniform(-0.5, 0.5),
        "fringe": draws.chance(0.30 - 0.12 * male),
        "curl": draws.uniform(0, 1),
        "beard": beard * (male > 0),
    }
