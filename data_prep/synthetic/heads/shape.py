"""From a person's numbers to the shape of the head: which targets act, and how strongly."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.mesh import PARTS, RACES, Head, average_weights, load_head

Array = np.ndarray
YOUNG, OLD = 25, 90
"""Ages in years of MakeHuman's young and old targets."""

_ENDS = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
_SPREAD = {
    "head": 0.12,
    "nose": 0.26,
    "mouth": 0.20,
    "eyes": 0.16,
    "ears": 0.28,
    "chin": 0.21,
    "cheek": 0.24,
    "forehead": 0.17,
    "eyebrows": 0.18,
    "neck": 0.10,
}
"""Standard deviation of a person's place on the axes of each group."""
_RARELY_MOVED = ("head-age", "head-angle", "eye-push", "neck-double", "neck-back", "scale-depth")
_SOFT = 0.72
"""Share of the spread that women's faces have: more looks harsh, as in the men the targets suit."""
_SOFT_BIAS = {
    "nose/nose-scale-horiz-incr": -0.10,
    "nose/nose-scale-depth-incr": -0.12,
    "nose/nose-point-up": 0.10,
    "nose/nose-hump-incr": -0.12,
    "nose/nose-volume-incr": -0.15,
    "mouth/mouth-lowerlip-volume-incr": 0.20,
    "mouth/mouth-upperlip-volume-incr": 0.20,
    "chin/chin-width-incr": -0.24,
    "chin/chin-bones-incr": -0.12,
    "chin/chin-prominent-incr": -0.08,
    "chin/chin-height-incr": -0.08,
    "eyebrows/eyebrows-trans-up": 0.16,
    "cheek/cheek-bones-incr": 0.10,
    "cheek/cheek-volume-incr": 0.08,
    "forehead/forehead-nubian-incr": 0.08,
    "chin/chin-jaw-drop-incr": -0.10,
    "eyes/eye-scale-incr": 0.16,
}
"""Places of women on some axes, by name without the side."""


@functools.cache
def axes() -> tuple[tuple[str, str | None, str | None], ...]:
    """Local features: name, target at the negative end, and target at the positive end.

    An axis is named after its positive end, whether or not a target is there.
    """
    ends: dict[str, list[str | None]] = {}
    for name in load_head().target_names:
        if name.split("/")[0] not in _SPREAD:
            continue
        for pair in _ENDS:
            for place, end in enumerate(pair):
                if name.endswith(f"-{end}"):
                    axis = f"{name.removesuffix(f'-{end}')}-{pair[1]}"
                    ends.setdefault(axis, [None, None])[place] = name
    return tuple((name, *ends[name]) for name in sorted(ends))


@functools.cache
def forms() -> tuple[str, ...]:
    """Targets of the head's outline: oval, round, square, and so on."""
    ends = {end for pair in _ENDS for end in pair}
    names = load_head().target_names
    return tuple(n for n in names if n.startswith("head/") and n.split("-")[-1] not in ends)


@functools.cache
def asymmetries() -> tuple[str, ...]:
    """Targets that make the sides of a face differ."""
    return tuple(name for name in load_head().target_names if name.startswith("asym/"))


@functools.cache
def mirrored() -> Array:
    """For each axis the axis of the other side, or itself, (axes,)."""
    names = [name for name, *_ in axes()]
    other = [name.replace("/r-", "/l-") for name in names]
    return np.array([names.index(name) for name in other])


@functools.cache
def spreads() -> tuple[Array, Array, Array]:
    """Standard deviations of the axes, women's biases, and the share of each side's own noise."""
    spread, bias, own = [], [], []
    for name, *_ in axes():
        value = _SPREAD[name.split("/")[0]]
        if "trans" in name and "eyebrows" not in name:
            value *= 0.15
        elif any(part in name for part in _RARELY_MOVED):
            value *= 0.4
        if "epicanthus" in name or "eye-scale" in name:
            value *= 0.5
        spread.append(value)
        plain = name.replace("/l-", "/").replace("/r-", "/")
        bias.append(_SOFT_BIAS.get(plain, 0.0))
        own.append(0.18 if plain != name else 0.0)
    return tuple(np.array(values, np.float32) for values in (spread, bias, own))


def soft_share(male: Array) -> Array:
    """The factor on the spread of a face, 1 for men."""
    return _SOFT + (1 - _SOFT) * male


@functools.cache
def template() -> Array:
    """The mean of young adults, (vertices, 3): whose places name places on every face."""
    return load_head().shaped(average_weights())


def person_shape(person: SimpleNamespace) -> Array:
    """Neutral coarse vertices (vertices, 3) of a person, with the eyes where the template's are.

    Targets for age and sex move the whole head with the height of the body; without that shift an
    edited head would leave its hair.
    """
    head = load_head()
    shape = head.shaped(target_weights(person))
    eyes = eye_vertices(head)
    return (shape + (template()[eyes].mean(axis=0) - shape[eyes].mean(axis=0))).astype(np.float32)


def eye_vertices(head: Head) -> Array:
    """Numbers of the vertices of both eyeballs."""
    left = PARTS.index("helper-l-eye")
    return np.nonzero((head.vertex_part == left) | (head.vertex_part == left + 1))[0]


def target_weights(person: SimpleNamespace) -> dict[str, float]:
    """Weights of all targets that make a person."""
    oldness = min(max((person.age - YOUNG) / (OLD - YOUNG), 0.0), 1.0)
    weights: dict[str, float] = {}
    heavy = "maxweight" if person.weight > 0 else "minweight"
    for sex, share in (("female", 1 - person.sex), ("male", person.sex)):
        for age, part in (("young", 1 - oldness), ("old", oldness)):
            for race, ancestry in zip(RACES, person.ancestry, strict=True):
                weights[f"macro/{race}-{sex}-{age}"] = float(ancestry) * share * part
            weights[f"macro/universal-{sex}-{age}-{heavy}"] = share * part * abs(person.weight)
    for (_, low, high), value in zip(axes(), person.axes, strict=True):
        name = high if value > 0 else low
        if name is not None:
            weights[name] = abs(float(value))
    weights[forms()[person.form]] = person.form_amount
    weights |= {name: float(w) for name, w in zip(asymmetries(), person.asymmetry, strict=True)}
    return weights
