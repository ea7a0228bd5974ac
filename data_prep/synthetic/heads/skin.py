"""Skin: color, fine relief, and gloss of a person on the atlas."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.atlas import (
    Canvas,
    beard_region,
    brow_region,
    canvas,
    noise,
    scalp,
)
from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.people import BEARDS, HAIR_STYLES, HEADWEAR
from data_prep.synthetic.heads.steady import bell, fade, linear, smoothstep, wave

Array = np.ndarray
RELIEF, GLOSS = 3, 4
"""Channels of the texture after the color."""
_ANCHORS = np.stack(
    [
        linear(244, 208, 190),
        linear(232, 188, 164),
        linear(212, 169, 144),
        linear(183, 136, 110),
        linear(145, 102, 80),
        linear(108, 73, 55),
        linear(74, 50, 40),
    ]
)
_TONES = (0.0, 0.2, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Melanin of the anchors: skin tone over 5."""
_BLOOD = np.array([0.06, 0.30, 0.26], np.float32)
_SHADOW = np.array([0.22, 0.32, 0.26], np.float32)
_PIGMENT = np.array([0.35, 0.62, 0.80], np.float32)
_YOUNG, _SPAN = 20, 60


def skin_color(person: SimpleNamespace) -> Array:
    """The plain color of a person's skin, (3,) linear albedo."""
    melanin = person.skin_tone / 5
    base = np.array([np.interp(melanin, _TONES, _ANCHORS[:, k]) for k in range(3)])
    warmth, brightness = person.undertone
    tint = 1 + 0.022 * warmth * np.array([1, 0, -1.3]) + 0.03 * brightness
    return (base * tint).astype(np.float32)


def paint_skin(person: SimpleNamespace) -> Array:
    """The texture of a person, (height, width, 5) float32: albedo, relief in dm, and gloss."""
    c, base = canvas(), skin_color(person)
    broad, blotchy, fine, pores = _grain(person.seed)
    age = wear(person)
    smooth = 1 - 0.35 * (1 - person.male)
    albedo = np.repeat(base[:, None], c.x.size, 1).reshape(3, *c.x.shape)
    mottled = 0.025 * broad + 0.018 * blotchy + 0.013 * fine + 0.009 * pores
    albedo *= 1 + mottled * (0.6 + 0.5 * age) * smooth
    albedo *= _absorbed(_flush(c, person, blotchy, fine), _BLOOD)
    albedo *= _absorbed(_eye_shadow(c, person, age), _SHADOW)
    albedo *= 1 + 0.05 * c.spot(0, 7.75, 0.4, 0.25) - 0.05 * smoothstep(6.5, 6.1, c.y) * c.front
    albedo *= _absorbed(_marks(c, person, age), _PIGMENT)
    lips = np.clip(1.15 * c.masks["lips"], 0, 1) * (c.front > 0.5)
    albedo = _paint_lips(albedo, lips, base, person, fine, age)
    albedo = _paint_hair_shadow(albedo, c, base, person, fine, pores)
    relief = wrinkles(person) + (0.0010 * pores + 0.0008 * fine * (1 + 2 * age)) * smooth
    relief = relief + (0.002 * lips + 0.0022 * age * c.front) * noise(_chance(person, "lips"), 5.0)
    texture = np.concatenate(
        [np.clip(albedo, 0.003, 0.95), relief[None], _gloss(c, lips, fine)[None]]
    )
    return np.ascontiguousarray(np.moveaxis(texture, 0, -1), np.float32)


def wear(person: SimpleNamespace) -> float:
    """Age of the skin, 0 (20 years) to 1 (80 years)."""
    return min(max((person.age - _YOUNG) / _SPAN, 0.0), 1.0)


def _chance(person: SimpleNamespace, purpose: str) -> Chance:
    return Chance(person.seed, f"skin {purpose}")


def _grain(seed: int) -> tuple[Array, Array, Array, Array]:
    """Noise of four sizes, (height, width) each."""
    chance = Chance(seed, "skin grain")
    return tuple(noise(chance, grain) for grain in (60, 22, 7, 2.2))


def _absorbed(amount: Array, color: Array) -> Array:
    """What a layer lets pass, (3, height, width)."""
    return np.stack([fade(np.maximum(amount, 0) * k) + np.minimum(amount, 0) * -k for k in color])


def _flush(c: Canvas, person: SimpleNamespace, blotchy: Array, fine: Array) -> Array:
    """Blood under the skin of cheeks, nose, ears, chin, and lids; melanin hides it."""
    red = (
        0.50 * c.spot(0.46, 6.93, 0.2, 0.17)
        + 0.42 * c.spot(0, 6.95, 0.13, 0.11)
        + 0.22 * c.spot(0, 6.3, 0.2, 0.12)
        + 0.15 * c.spot(0.3, 7.3, 0.2, 0.1)
        + 0.3 * c.masks["ears"]
        + (0.09 * blotchy + 0.05 * fine) * c.front
        + 0.4 * person.makeup * c.spot(0.5, 6.95, 0.16, 0.12)
    )
    return np.clip(red * person.flush, -0.3, 1.4) * (1 - 0.11 * person.skin_tone)


def _eye_shadow(c: Canvas, person: SimpleNamespace, age: float) -> Array:
    """Thin skin around the eyes: darker below with age, and above under make-up."""
    chance = _chance(person, "eyes")
    below = c.spot(0.28, 7.12, 0.15, 0.065) * chance.number(0.2, 0.9) * (0.45 + 0.8 * age)
    lids = 0.5 * c.masks["eyelids"] * chance.number(0.3, 1)
    above = c.spot(0.31, 7.335, 0.17, 0.05) * (0.25 + 1.2 * person.makeup)
    return below + lids + above


def _marks(c: Canvas, person: SimpleNamespace, age: float) -> Array:
    """Freckles, moles, and age spots."""
    chance = _chance(person, "marks")
    amount = np.zeros_like(c.x)
    if person.freckles > 0.2:
        dots = smoothstep(1.1, 2.2, noise(chance, 3.2) + 0.35 * noise(chance, 9))
        amount += 0.6 * dots * person.freckles * (c.spot(0.3, 6.98, 0.4, 0.22) + 0.25 * c.front)
    if age > 0.5:
        spots = smoothstep(1.3, 2.3, noise(chance, 6) + 0.5 * noise(chance, 20))
        amount += 0.35 * spots * (age - 0.35) * c.front
    return amount + _moles(c, chance)


def _moles(c: Canvas, chance: Chance) -> Array:
    """Up to three moles on the front of the face."""
    face = np.nonzero(((c.z > 0.6) & (c.y > 6.2) & (c.y < 8.0) & c.covered).ravel())[0]
    amount = np.zeros(c.x.size, np.float32)
    places = c.place.reshape(3, -1)
    for _ in range(int(chance.index(4, 1)[0])):
        middle = places[:, face[chance.index(len(face), 1)[0]]]
        radius, depth = chance.number(0.010, 0.022), chance.number(0.4, 1.4)
        near = face[np.abs(places[0, face] - middle[0]) < 2 * radius]
        offset = places[:, near] - middle[:, None]
        distance = np.sqrt((offset * offset).sum(axis=0))
        amount[near] = np.maximum(amount[near], depth * bell(distance, radius))
    return amount.reshape(c.x.shape)


def _paint_lips(
    albedo: Array, lips: Array, base: Array, person: SimpleNamespace, fine: Array, age: float
) -> Array:
    melanin = person.skin_tone / 5
    light, dark = np.array([0.80, 0.47, 0.48]), np.array([0.86, 0.60, 0.60])
    color = base * (light + (dark - light) * melanin)
    paint = 0.7 * max(person.makeup - 0.3, 0) / 0.7
    color = color * (1 - paint) + person.lipstick * paint
    share = lips * min(person.lip_tone, 1) * (1 - 0.3 * age)
    albedo = albedo + (color[:, None, None] * (1 + 0.10 * fine) - albedo) * share
    line = bell(canvas().y - 6.668, 0.012)
    return albedo * (1 - 0.35 * lips * line)


def _paint_hair_shadow(
    albedo: Array, c: Canvas, base: Array, person: SimpleNamespace, fine: Array, pores: Array
) -> Array:
    """Stubble, the skin between brow hairs, and the scalp between the hair."""
    jaw, mustache, sideburns = beard_region(c.x, c.y, c.z)
    grown = {"none": 0.5 * person.stubble, "full": 0.75, "short": 0.7}
    amount = grown.get(BEARDS[person.beard], 0.28)
    region = np.clip(jaw + mustache + 0.6 * sideburns, 0, 1) * (1 + 0.25 * pores + 0.2 * fine)
    roots = 0.8 * person.brow_color + 0.25 * base + 0.01
    albedo = _toward(albedo, roots, np.clip(0.75 * amount * region, 0, 0.8))
    brows = brow_region(c.ax, c.y, person.brow_width) * c.front * (1 + 0.2 * pores)
    albedo = _toward(albedo, person.brow_color, np.clip(0.38 * brows, 0, 0.8))
    return _paint_scalp(albedo, c, base, person, pores)


def _paint_scalp(
    albedo: Array, c: Canvas, base: Array, person: SimpleNamespace, pores: Array
) -> Array:
    style = HAIR_STYLES[person.hair_style]
    receding = style in ("receding", "bald")
    density = scalp(c.place, person.hairline, receding, 0.15)
    if HEADWEAR[person.headwear] in ("scarf", "turban"):
        return albedo
    if style == "bald":
        shaven = 0.6 * person.brow_color + 0.4 * base
        return _toward(albedo, shaven, 0.2 * density * (1 + 0.3 * pores))
    return _toward(albedo, 0.7 * person.hair_color, 0.7 * density)


def _toward(albedo: Array, color: Array, share: Array) -> Array:
    return albedo + (color[:, None, None] - albedo) * share


def _gloss(c: Canvas, lips: Array, fine: Array) -> Array:
    """How strongly the skin shines: the middle of the face and the lips most."""
    gloss = (
        0.26
        + 0.20 * c.spot(0, 7.0, 0.16, 0.3)
        + 0.12 * c.spot(0, 7.75, 0.45, 0.25)
        + 0.08 * c.spot(0.45, 7.0, 0.15, 0.15)
        + 0.40 * lips
        + 0.03 * fine
    )
    return np.clip(gloss, 0, 1.4)


@functools.cache
def _creases() -> dict[str, Array]:
    """Shapes of wrinkles, (height, width), 0 to -1, for both sides."""
    c = canvas()
    ax, y = c.ax, c.y
    forehead = sum(
        weight
        * -bell(y - (height + 0.03 * wave(ax + 0.16 * k) - 0.10 * ax * ax), 0.018)
        * smoothstep(0.62, 0.35, ax)
        for k, (weight, height) in enumerate(((0.8, 7.62), (1.0, 7.74), (0.7, 7.86)))
    )
    fall = np.clip((6.95 - y) / 0.38, 0, 1)
    fold = -bell(ax - (0.165 + 0.17 * fall * (1.2 - 0.2 * fall)), 0.022)
    fold = 1.3 * fold * smoothstep(6.52, 6.62, y) * smoothstep(6.98, 6.90, y)
    crow = sum(-bell(y - (7.29 + (k - 1) * (0.05 + 0.35 * (ax - 0.47))), 0.012) for k in range(3))
    crow = crow * smoothstep(0.46, 0.52, ax) * smoothstep(0.66, 0.56, ax)
    across = np.clip((ax - 0.14) / 0.34, 0, 1)
    bags = -bell(y - (7.17 - 0.24 * across * (1 - across)), 0.02)
    bags = bags * smoothstep(0.13, 0.2, ax) * smoothstep(0.5, 0.42, ax)
    frown = -bell(ax - 0.06, 0.014) * smoothstep(7.38, 7.45, y) * smoothstep(7.60, 7.52, y)
    corner = -bell(ax - (0.25 + 0.12 * np.clip(6.62 - y, 0, 1)), 0.016)
    corner = corner * smoothstep(6.36, 6.45, y) * smoothstep(6.62, 6.55, y)
    shapes = {
        "forehead": forehead, "fold": fold, "crow": crow, "bags": bags, "frown": frown,
        "corner": corner,
    }  # fmt: skip
    return {name: (values * c.front).astype(np.float32) for name, values in shapes.items()}


def wrinkles(person: SimpleNamespace) -> Array:
    """Relief of a person's wrinkles in decimeters; they deepen with age."""
    age, chance = wear(person), _chance(person, "wrinkles")
    depths = {
        "forehead": 0.020 * max(age - 0.15, 0),
        "fold": 0.004 + 0.018 * age,
        "crow": 0.015 * max(age - 0.15, 0),
        "bags": 0.003 + 0.014 * age,
        "frown": 0.011 * max(age - 0.2, 0),
        "corner": 0.013 * max(age - 0.3, 0),
    }
    soft = 0.75 + 0.25 * person.male
    return sum(
        soft * depth * min(max(1 + 0.35 * float(chance.normal(1)[0]), 0.3), 2) * _creases()[name]
        for name, depth in depths.items()
    )
