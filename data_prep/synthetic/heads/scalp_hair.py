"""Hair of the head, grown in two steps.

A few hundred guides grow step by step: combed along the surface, pulled by gravity, kept out of
the head. Thousands of strands then follow the guides around them.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
from scipy.spatial import cKDTree

from data_prep.synthetic.heads.atlas import scalp
from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.ground import EYES, Ground, Roots
from data_prep.synthetic.heads.hair_styles import Style
from data_prep.synthetic.heads.people import HAIR_STYLES, HEADWEAR
from data_prep.synthetic.heads.rows import row, row_norm, row_sum, row_unit
from data_prep.synthetic.heads.steady import smoothstep, wave
from data_prep.synthetic.heads.strand import HAIR, Bundle

Array = np.ndarray
_DOWN = np.array([0, -1, 0], np.float32)
_FACING_AWAY = -0.25
"""Depth of roots behind which the head hides most of the hair."""


def grow_scalp_hair(
    person: SimpleNamespace, style: Style, ground: Ground, detail: float
) -> list[Bundle]:
    """The strands of a style, and its knot if it has one."""
    if HEADWEAR[person.headwear] != "none":
        style = dataclasses.replace(style, hug=0.8, top=0, lift=0.1, offset=0.02, curl=0.03)
    name = HAIR_STYLES[person.hair_style]
    chance = Chance(person.seed, "hair")
    density = scalp(ground.middles.T, person.hairline, name == "receding", 0.12)
    density = np.where(density < 0.04, 0, density)
    if style.comb == "fringe":
        density = density * np.where(_in_fringe(ground.middles), 1.8, 1)
    guides = ground.roots(density, style.guides, chance)
    curves = _grow_guides(guides, person, style, ground, chance)
    # What grows on the far side is mostly hidden.
    seen = density * np.where(ground.middles[:, 2] < _FACING_AWAY, 0.45, 1)
    roots = ground.roots(seen, int(style.strands * detail), chance)
    bundles = [_follow(roots, guides, curves, person, style, ground, chance)]
    if style.comb in ("bun", "tail"):
        bundles.append(_knot(style, ground, guides, chance, int(1800 * detail)))
    return bundles


def _grow_guides(
    roots: Roots, person: SimpleNamespace, style: Style, ground: Ground, chance: Chance
) -> Array:
    """Guides step by step, (guides, steps + 1, 3)."""
    count = len(roots.place)
    goal = _goal(style, ground)
    length = _lengths(roots, person, style, goal, chance)
    volume = chance.uniform(0.7, 1.4, count, 1) * person.hair_volume
    phase = chance.uniform(0, 1, 2, count)
    wild = 0.25 if not style.comb else 0.10
    noise = row_unit(chance.normal(count, 3)) * wild
    direction = roots.normal * (1.0 if not style.comb else 0.3)
    places = [roots.place + 0.004 * roots.normal]
    for step in range(style.steps):
        t = step / max(style.steps - 1, 1)
        here = places[-1]
        _, normal = ground.nearest(here)
        comb = combed(style, person, roots, here, goal)
        comb = comb - normal * row_sum(comb * normal)
        held = 1.0 if goal is not None else max(0.0, 1 - 1.3 * t)
        curl = _curls(phase, t) * style.curl
        lift = style.lift * (1 - t) * (1 - 0.5 * t) * volume
        keep = 0.40 if style.comb in ("middle", "fringe") else 0.55
        direction = row_unit(
            keep * direction
            + 0.9 * held * comb
            + lift * roots.normal
            + style.gravity * (0.25 + t) * _DOWN
            + 0.5 * curl
            + noise
            + _framing(style, here)
        )
        there = _kept_out(here + direction * (length / style.steps), style, volume, t, ground)
        direction = row_unit(there - here)
        places.append(there.astype(np.float32))
    return np.stack(places, axis=1)


def _goal(style: Style, ground: Ground) -> Array | None:
    """Where tied hair is gathered."""
    if style.comb == "bun":
        return np.array([0, ground.top - 0.08, -0.30], np.float32)
    if style.comb == "tail":
        return np.array([0, ground.top - 0.70, -0.78], np.float32)
    return None


def _lengths(
    roots: Roots, person: SimpleNamespace, style: Style, goal: Array | None, chance: Chance
) -> Array:
    if goal is not None:
        return (row_norm(roots.place - goal) * 1.22 + 0.1).astype(np.float32)
    length = chance.uniform(*style.length, len(roots.place), 1) * person.hair_length
    if style.cut is not None:
        length = length / min(person.hair_length, 1)
    high = smoothstep(7.45, 7.85, roots.rest[:, 1:2] + 0.25 * np.clip(roots.rest[:, 2:], -0.2, 0.6))
    return length * (style.sides + (1 - style.sides) * high)


def combed(
    style: Style, person: SimpleNamespace, roots: Roots, here: Array, goal: Array | None
) -> Array:
    """The direction in which the comb pulls at places (n, 3)."""
    one = np.ones((len(here), 1), np.float32)
    side = np.where(roots.place[:, :1] > 0.7 * person.hair_part, one, -one)
    low, high = roots.rest[:, 1:2] < 7.7, roots.rest[:, 1:2]
    if goal is not None:
        away = goal - here
        return 1.6 * away / np.maximum(row_norm(away), 0.25)
    if style.comb == "forward":
        return np.where(low, row(0, -1, 0.25), row(0, -0.30, 1) + 0.15 * side * row(1, 0, 0))
    if style.comb == "part":
        return np.where(low, row(0, -1, -0.15), side * row(1, 0, 0) + row(0, -0.2, 0.15))
    if style.comb == "back":
        return np.where(high < 7.6, row(0, -0.8, -0.6), row(0, 0.1, -1) + 0.2 * side * row(1, 0, 0))
    if style.comb == "up":
        front = smoothstep(0.2, 0.9, roots.rest[:, 2:3])
        upward = row(0, 0.9, 0.1) * front + row(0, 0.1, -0.9) * (1 - front)
        return np.where(high < 7.7, row(0, -0.9, -0.3), upward + 0.3 * side * row(1, 0, 0))
    if style.comb == "middle":
        return side * row(1, 0, 0) + row(0, -0.3, 0.02)
    if style.comb == "fringe":
        forward = row(0, -0.4, 1) * one
        return np.where(
            _in_fringe(roots.rest)[:, None], forward, side * row(1, 0, 0) + row(0, -0.4, -0.05)
        )
    return 0 * here


def _framing(style: Style, here: Array) -> Array:
    """Long hair falls next to the face and turns inward below the chin."""
    if style.comb not in ("middle", "fringe"):
        return np.zeros_like(here)
    x, y, z = here[:, :1], here[:, 1:2], here[:, 2:]
    level = EYES - 0.45
    wide = np.clip(3 * (np.abs(x) - 0.80), 0, 0.7) * smoothstep(EYES + 0.3, EYES - 0.3, y)
    inward = -np.sign(x) * (np.clip(1.2 * (level - y), 0, 0.45) + wide)
    before_face = smoothstep(0.5, 0.8, z) * smoothstep(EYES + 0.35, EYES + 0.1, y)
    outward = np.sign(x) * before_face * np.clip(3 * (0.66 - np.abs(x)), 0, 1.0)
    back = -0.18 * (y < level) - 0.5 * before_face
    return np.concatenate([inward + outward, 0 * y, back], axis=1)


def _curls(phase: Array, t: float) -> Array:
    first, second = phase[0] + 1.45 * t, phase[1] + 1.3 * t
    return np.stack([wave(first + 0.25), 0.3 * wave(second), wave(first)], axis=1)


def _kept_out(places: Array, style: Style, volume: Array, t: float, ground: Ground) -> Array:
    """Push places (n, 3) out of the head, to the distance that the style keeps from it."""
    skin, normal = ground.nearest(places)
    distance = row_sum((places - skin) * normal)
    on_top = smoothstep(0.1, 0.8, normal[:, 1:2])
    wanted = style.offset * (0.3 + 1.4 * volume) + style.top * volume * on_top
    grown = min(1.0, 0.25 + 2.5 * t)
    out = np.clip(wanted * grown - distance, 0, 0.3)
    # Below the chin, hair may hang away from the neck.
    free = wanted + 0.04 + 0.4 * smoothstep(EYES - 0.45, EYES - 0.95, places[:, 1:2])
    back = style.hug * np.clip(distance - free, 0, 0.3)
    return places + normal * (out - back)


def _follow(
    roots: Roots,
    guides: Roots,
    curves: Array,
    person: SimpleNamespace,
    style: Style,
    ground: Ground,
    chance: Chance,
) -> Bundle:
    """Strands that follow the guides around them."""
    count, nodes = len(roots.place), curves.shape[1]
    distance, near = cKDTree(guides.place).query(roots.place, k=3)
    weights = 1 / (distance + 0.02) ** 2
    closest = near[:, 0]
    combed_to = _sides(guides, person, style)
    weights = weights * (combed_to[near] == combed_to[closest][:, None])
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    mean = sum(weights[:, k, None, None] * curves[near[:, k]] for k in range(3))
    base = sum(weights[:, k, None] * guides.place[near[:, k]] for k in range(3))
    clump = style.clump
    curve = curves[closest] * clump + mean * (1 - clump)
    base = guides.place[closest] * clump + base * (1 - clump)
    t = np.linspace(0, 1, nodes, dtype=np.float32)[None, :, None]
    curve = curve + (roots.place - base)[:, None] * (1 - 0.8 * clump * smoothstep(0, 0.7, t))
    curve = curve + 0.016 * (3 if style.coil else 1) * t * chance.normal(count, 1, 3)
    stray = chance.uniform(0, 1, count, 1, 1) < 0.04
    curve = curve + 0.04 * t * t * stray * chance.normal(count, 1, 3)
    if style.coil:
        curve = curve + _coils(style, chance.uniform(0, 1, len(curves))[closest], t[..., 0])
    tint = style.tint * 0.6 * (chance.normal(len(curves))[closest] + chance.normal(count))
    end = _ends(curve, roots, person, style, ground, chance)
    return Bundle(curve, 1 + np.clip(tint, -0.6, 1.2), roots.vertex, HAIR, end)


def _sides(roots: Roots, person: SimpleNamespace, style: Style) -> Array:
    """To which side roots are combed: strands between two sides must not follow both."""
    right = roots.place[:, 0] > 0.7 * person.hair_part
    if style.comb == "fringe":
        return np.where(_in_fringe(roots.rest), 2, right)
    if style.comb in ("part", "middle"):
        return right
    return np.zeros(len(right), bool)


def _coils(style: Style, phase: Array, t: Array) -> Array:
    turns = phase[:, None] + (1.75 if style.coil > 0.032 else 1.4) * t
    radius = style.coil * np.minimum(1, 2 * t)
    return np.stack(
        [radius * wave(turns + 0.25), 0.3 * radius * wave(2 * turns), radius * wave(turns)], axis=-1
    )


def _ends(
    curve: Array,
    roots: Roots,
    person: SimpleNamespace,
    style: Style,
    ground: Ground,
    chance: Chance,
) -> Array:
    """Where strands end, 0 to 1: soft hairlines, and straight or ragged cuts."""
    count, nodes = curve.shape[:2]
    if style.comb in ("bun", "tail"):
        return np.ones(count, np.float32)
    end = chance.uniform(0.8, 1.0, count)
    name = HAIR_STYLES[person.hair_style]
    edge = smoothstep(0.75, 0.15, scalp(roots.rest.T, person.hairline, name == "receding", 0.12))
    short = (edge > 0.25) & (chance.uniform(0, 1, count) < 0.5) & (style.steps > 7)
    end = np.where(short, end * chance.uniform(0.10, 0.35, count), end)
    if style.cut is None:
        return end
    cut = EYES + style.cut / person.hair_length + 0.05 * chance.normal(count)
    end = np.minimum(end, _first_below(curve, cut[:, None], nodes))
    if style.comb == "fringe":
        brows = EYES + 0.22 + 0.03 * chance.normal(count)
        in_front = (curve[..., 2] > 0.7) & (np.abs(curve[..., 0]) < 0.60)
        height = np.where(in_front, curve[..., 1], 99)
        end = np.minimum(end, _first_below(np.stack([height] * 2, -1), brows[:, None], nodes))
    return end


def _first_below(curve: Array, height: Array, nodes: int) -> Array:
    """Where strands first fall below a height, 0 to 1; 1 where they never do."""
    low = curve[..., 1] < height
    first = np.where(low.any(axis=1), low.argmax(axis=1), nodes)
    return np.maximum(first - 0.5, 0) / (nodes - 1)


def _in_fringe(rest: Array) -> Array:
    return (rest[:, 2] > 0.75) & (np.abs(rest[:, 0]) < 0.5)


def _knot(style: Style, ground: Ground, guides: Roots, chance: Chance, count: int) -> Bundle:
    """A bun or a ponytail."""
    goal, nodes = _goal(style, ground), 15
    u = np.linspace(0, 1, nodes, dtype=np.float32)[None]
    turn = chance.uniform(0, 1, count, 1)
    if style.comb == "bun":
        tilt, radius = chance.uniform(-0.19, 0.19, count, 1), chance.uniform(0.20, 0.30, count, 1)
        angle = turn + 0.5 * u
        flat, high = radius * wave(tilt + 0.25), radius * wave(tilt)
        x, y = flat * wave(angle + 0.25), 0.9 * flat * wave(angle) + 0.05 * high
        place = np.stack([x, y + 0.12, high - 0.05 + 0 * u], axis=-1) + goal
    else:
        radius = 0.17 * np.sqrt(chance.uniform(0, 1, count, 1))
        sway = 0.25 * float(chance.normal(1)[0])
        fall = 1.5 * u * u * (1.4 - 0.4 * u) * chance.uniform(0.8, 1, count, 1)
        x = radius * wave(turn + 0.25) * (1 + 0.4 * u) + sway * u * u
        y = 0.12 * wave(0.5 * u) - fall
        z = radius * wave(turn) - 0.35 * wave(0.32 * u)
        place = np.stack([x, y, z], axis=-1) + goal
    tint = 1 + 0.2 * chance.normal(count)
    root = np.full(count, guides.vertex[0])
    return Bundle(place.astype(np.float32), tint, root, HAIR, np.ones(count, np.float32))
