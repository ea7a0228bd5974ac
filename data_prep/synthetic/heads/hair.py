"""Hair, beards, and brows: strands grown from the skin.

A few hundred guides grow step by step: combed along the surface, pulled by gravity, kept out of
the head. Thousands of strands follow the guides around them, and are cut into points.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from data_prep.synthetic.heads.atlas import beard_region, brow_region, scalp
from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.hair_styles import STYLES, Style
from data_prep.synthetic.heads.mesh import SKIN, TORSO, load_head
from data_prep.synthetic.heads.people import BEARDS, HAIR_STYLES, HEADWEAR
from data_prep.synthetic.heads.shape import template
from data_prep.synthetic.heads.steady import bell, smoothstep, wave

Array = np.ndarray
HAIR, BEARD, BROW = range(3)
_STEP = 0.021
"""Distance between points along a strand: about a pixel and a half of an image of 192 pixels."""
_EYES = 7.27
"""Height of the eyes, the same for everybody."""
_DOWN = np.array([0, -1, 0], np.float32)
_FACING_AWAY = -0.25
"""Depth of roots behind which the head hides most of the hair."""


@dataclass(frozen=True)
class Strands:
    """Points along strands, in the head's neutral pose."""

    place: Array
    """(3, n) float32."""
    tangent: Array
    """Unit vectors along the strand, (3, n) float32."""
    tint: Array
    """Factor on the color, (n,) float32."""
    along: Array
    """0 at the root to 1 at the tip, (n,) float32."""
    kind: Array
    """HAIR, BEARD, or BROW, (n,) uint8."""
    root: Array
    """Fine vertex that carries the strand, (n,) int32."""

    def chosen(self, rows: Array) -> Strands:
        """Some of the points."""
        return Strands(
            self.place[:, rows],
            self.tangent[:, rows],
            self.tint[rows],
            self.along[rows],
            self.kind[rows],
            self.root[rows],
        )

    def with_others(self, others: Strands) -> Strands:
        """These points and others."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Strands(*(np.concatenate(pair, axis=-1) for pair in pairs))


@dataclass(frozen=True)
class _Bundle:
    """Strands before they are cut into points."""

    curves: Array
    """(strands, nodes, 3)."""
    tint: Array
    root: Array
    kind: int
    end: Array
    """Where each strand is cut, 0 to 1."""


@dataclass(frozen=True)
class _Roots:
    place: Array
    """(n, 3)."""
    normal: Array
    rest: Array
    """The same places on the template."""
    vertex: Array


class _Ground:
    """The skin that strands grow on: the head of one person."""

    def __init__(self, shape: Array) -> None:
        head = load_head()
        self.fine = fine = head.subdivide @ shape
        self.normals = np.ascontiguousarray(head.normals(fine).T)
        self.rest = head.subdivide @ template()
        self.quads = np.nonzero(head.fine_kind == SKIN)[0]
        self.corners = head.fine_faces[self.quads]
        self.middles = sum(self.rest[self.corners[:, k]] for k in range(4)) / 4
        flat = head.subdivide @ _without_ears(shape)
        body = np.nonzero(np.isin(head.fine_vertex_kind, (SKIN, TORSO)))[0]
        self._flat, self._tree = flat[body], cKDTree(flat[body])
        self._flat_normals = np.ascontiguousarray(head.normals(flat)[:, body].T)
        skin = fine[head.fine_vertex_kind == SKIN]
        self.top = float(skin[:, 1].max())
        diagonals = (
            fine[self.corners[:, a]] - fine[self.corners[:, b]] for a, b in ((2, 0), (3, 1))
        )
        self._areas = _norm(np.cross(*diagonals))[:, 0]

    def roots(self, density: Array, count: int, chance: Chance) -> _Roots:
        """Places spread by a density per quad."""
        sums = np.cumsum((density * self._areas).astype(np.float64))
        quad = np.searchsorted(sums, chance.uniform(0, 1, count) * sums[-1])
        corner = self.corners[np.minimum(quad, len(self.corners) - 1)]
        a, b = chance.uniform(0, 1, 2, count, 1)
        weights = ((1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b)
        place, normal, rest = (
            sum(w * values[corner[:, k]] for k, w in enumerate(weights))
            for values in (self.fine, self.normals, self.rest)
        )
        return _Roots(place, _unit(normal), rest, corner[:, 0])

    def nearest(self, places: Array) -> tuple[Array, Array]:
        """The closest point of the skin to places (n, 3), and its normal, as without ears.

        Hair that followed the ears would show them as bumps.
        """
        vertex = self._tree.query(places)[1]
        return self._flat[vertex], self._flat_normals[vertex]


@functools.cache
def _ear_smoother() -> tuple[Array, sparse.csr_matrix]:
    """Coarse vertices of the ears, and means over their neighbors, (ears, vertices)."""
    head = load_head()
    x, y, z = template().T
    chosen = (np.abs(x) > 0.70) & (y > 6.7) & (y < 7.62) & (z < 0.75) & (head.vertex_part == 0)
    ears = np.nonzero(chosen)[0]
    sides = np.concatenate([head.faces[:, [k, (k + 1) % 4]] for k in range(4)])
    sides = np.unique(np.concatenate([sides, sides[:, ::-1]]), axis=0)
    sides = sides[chosen[sides[:, 0]]]
    shape = (len(head.vertices),) * 2
    links = sparse.csr_matrix((np.ones(len(sides), np.float32), (sides[:, 0], sides[:, 1])), shape)
    counts = np.asarray(links.sum(axis=1)).ravel()[ears]
    return ears, (sparse.diags(1 / counts) @ links[ears]).astype(np.float32)


def _without_ears(shape: Array) -> Array:
    """Coarse vertices with skin stretched flat where the ears were."""
    ears, means = _ear_smoother()
    flat = shape.copy()
    for _ in range(150):
        flat[ears] = means @ flat
    return flat


def grow_hair(
    person: SimpleNamespace, shape: Array, covered: object = None, detail: float = 1.0
) -> Strands:
    """All strands of a person.

    Args:
        person: a row of People.
        shape: coarse vertices of the neutral head, (vertices, 3).
        covered: tells of places (3, n) whether headwear hides hair there; None if nothing does.
        detail: number and closeness of points against those for images of 192 pixels.
    """
    ground = _Ground(shape)
    style = STYLES.get(HAIR_STYLES[person.hair_style])
    bundles = []
    if style is not None and HEADWEAR[person.headwear] not in ("scarf", "turban"):
        bundles += _scalp_hair(person, style, ground, detail)
    if BEARDS[person.beard] != "none":
        bundles.append(_beard(person, ground, detail))
    bundles.append(_brows(person, ground, detail))
    chance = Chance(person.seed, "hair points")
    strands = [_cut(bundle, chance, _STEP / detail) for bundle in bundles]
    total = strands[0]
    for others in strands[1:]:
        total = total.with_others(others)
    if covered is not None:
        total = total.chosen(np.nonzero((total.kind != HAIR) | ~covered(total.place))[0])
    return total


def facial_hair(person: SimpleNamespace, shape: Array, detail: float = 1.0) -> Strands:
    """Brows and beard alone."""
    bare = SimpleNamespace(**vars(person) | {"hair_style": HAIR_STYLES.index("bald")})
    return grow_hair(bare, shape, detail=detail)


def _scalp_hair(
    person: SimpleNamespace, style: Style, ground: _Ground, detail: float
) -> list[_Bundle]:
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
    roots: _Roots, person: SimpleNamespace, style: Style, ground: _Ground, chance: Chance
) -> Array:
    """Guides step by step, (guides, steps + 1, 3)."""
    count = len(roots.place)
    goal = _goal(style, ground)
    length = _lengths(roots, person, style, goal, chance)
    volume = chance.uniform(0.7, 1.4, count, 1) * person.hair_volume
    phase = chance.uniform(0, 1, 2, count)
    wild = 0.25 if not style.comb else 0.10
    noise = _unit(chance.normal(count, 3)) * wild
    direction = roots.normal * (1.0 if not style.comb else 0.3)
    places = [roots.place + 0.004 * roots.normal]
    for step in range(style.steps):
        t = step / max(style.steps - 1, 1)
        here = places[-1]
        _, normal = ground.nearest(here)
        comb = combed(style, person, roots, here, goal)
        comb = comb - normal * _sum(comb * normal)
        held = 1.0 if goal is not None else max(0.0, 1 - 1.3 * t)
        curl = _curls(phase, t) * style.curl
        lift = style.lift * (1 - t) * (1 - 0.5 * t) * volume
        keep = 0.40 if style.comb in ("middle", "fringe") else 0.55
        direction = _unit(
            keep * direction
            + 0.9 * held * comb
            + lift * roots.normal
            + style.gravity * (0.25 + t) * _DOWN
            + 0.5 * curl
            + noise
            + _framing(style, here)
        )
        there = _kept_out(here + direction * (length / style.steps), style, volume, t, ground)
        direction = _unit(there - here)
        places.append(there.astype(np.float32))
    return np.stack(places, axis=1)


def _goal(style: Style, ground: _Ground) -> Array | None:
    """Where tied hair is gathered."""
    if style.comb == "bun":
        return np.array([0, ground.top - 0.08, -0.30], np.float32)
    if style.comb == "tail":
        return np.array([0, ground.top - 0.70, -0.78], np.float32)
    return None


def _lengths(
    roots: _Roots, person: SimpleNamespace, style: Style, goal: Array | None, chance: Chance
) -> Array:
    if goal is not None:
        return (_norm(roots.place - goal) * 1.22 + 0.1).astype(np.float32)
    length = chance.uniform(*style.length, len(roots.place), 1) * person.hair_length
    if style.cut is not None:
        length = length / min(person.hair_length, 1)
    high = smoothstep(7.45, 7.85, roots.rest[:, 1:2] + 0.25 * np.clip(roots.rest[:, 2:], -0.2, 0.6))
    return length * (style.sides + (1 - style.sides) * high)


def combed(
    style: Style, person: SimpleNamespace, roots: _Roots, here: Array, goal: Array | None
) -> Array:
    """The direction in which the comb pulls at places (n, 3)."""
    one = np.ones((len(here), 1), np.float32)
    side = np.where(roots.place[:, :1] > 0.7 * person.hair_part, one, -one)
    low, high = roots.rest[:, 1:2] < 7.7, roots.rest[:, 1:2]
    if goal is not None:
        away = goal - here
        return 1.6 * away / np.maximum(_norm(away), 0.25)
    if style.comb == "forward":
        return np.where(low, _row(0, -1, 0.25), _row(0, -0.30, 1) + 0.15 * side * _row(1, 0, 0))
    if style.comb == "part":
        return np.where(low, _row(0, -1, -0.15), side * _row(1, 0, 0) + _row(0, -0.2, 0.15))
    if style.comb == "back":
        return np.where(
            high < 7.6, _row(0, -0.8, -0.6), _row(0, 0.1, -1) + 0.2 * side * _row(1, 0, 0)
        )
    if style.comb == "up":
        front = smoothstep(0.2, 0.9, roots.rest[:, 2:3])
        upward = _row(0, 0.9, 0.1) * front + _row(0, 0.1, -0.9) * (1 - front)
        return np.where(high < 7.7, _row(0, -0.9, -0.3), upward + 0.3 * side * _row(1, 0, 0))
    if style.comb == "middle":
        return side * _row(1, 0, 0) + _row(0, -0.3, 0.02)
    if style.comb == "fringe":
        forward = _row(0, -0.4, 1) * one
        return np.where(
            _in_fringe(roots.rest)[:, None], forward, side * _row(1, 0, 0) + _row(0, -0.4, -0.05)
        )
    return 0 * here


def _framing(style: Style, here: Array) -> Array:
    """Long hair falls beside the face and turns inward below the chin."""
    if style.comb not in ("middle", "fringe"):
        return np.zeros_like(here)
    x, y, z = here[:, :1], here[:, 1:2], here[:, 2:]
    level = _EYES - 0.45
    wide = np.clip(3 * (np.abs(x) - 0.80), 0, 0.7) * smoothstep(_EYES + 0.3, _EYES - 0.3, y)
    inward = -np.sign(x) * (np.clip(1.2 * (level - y), 0, 0.45) + wide)
    before_face = smoothstep(0.5, 0.8, z) * smoothstep(_EYES + 0.35, _EYES + 0.1, y)
    outward = np.sign(x) * before_face * np.clip(3 * (0.66 - np.abs(x)), 0, 1.0)
    back = -0.18 * (y < level) - 0.5 * before_face
    return np.concatenate([inward + outward, 0 * y, back], axis=1)


def _curls(phase: Array, t: float) -> Array:
    first, second = phase[0] + 1.45 * t, phase[1] + 1.3 * t
    return np.stack([wave(first + 0.25), 0.3 * wave(second), wave(first)], axis=1)


def _kept_out(places: Array, style: Style, volume: Array, t: float, ground: _Ground) -> Array:
    """Push places (n, 3) out of the head, to the distance that the style keeps from it."""
    skin, normal = ground.nearest(places)
    distance = _sum((places - skin) * normal)
    on_top = smoothstep(0.1, 0.8, normal[:, 1:2])
    wanted = style.offset * (0.3 + 1.4 * volume) + style.top * volume * on_top
    grown = min(1.0, 0.25 + 2.5 * t)
    out = np.clip(wanted * grown - distance, 0, 0.3)
    # Below the chin, hair may hang away from the neck.
    free = wanted + 0.04 + 0.4 * smoothstep(_EYES - 0.45, _EYES - 0.95, places[:, 1:2])
    back = style.hug * np.clip(distance - free, 0, 0.3)
    return places + normal * (out - back)


def _follow(
    roots: _Roots,
    guides: _Roots,
    curves: Array,
    person: SimpleNamespace,
    style: Style,
    ground: _Ground,
    chance: Chance,
) -> _Bundle:
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
    return _Bundle(curve, 1 + np.clip(tint, -0.6, 1.2), roots.vertex, HAIR, end)


def _sides(roots: _Roots, person: SimpleNamespace, style: Style) -> Array:
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
    roots: _Roots,
    person: SimpleNamespace,
    style: Style,
    ground: _Ground,
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
    cut = _EYES + style.cut / person.hair_length + 0.05 * chance.normal(count)
    end = np.minimum(end, _first_below(curve, cut[:, None], nodes))
    if style.comb == "fringe":
        brows = _EYES + 0.22 + 0.03 * chance.normal(count)
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


def _knot(style: Style, ground: _Ground, guides: _Roots, chance: Chance, count: int) -> _Bundle:
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
    return _Bundle(place.astype(np.float32), tint, root, HAIR, np.ones(count, np.float32))


def _beard(person: SimpleNamespace, ground: _Ground, detail: float) -> _Bundle:
    name, chance = BEARDS[person.beard], Chance(person.seed, "beard")
    jaw, mustache, sideburns = beard_region(*ground.middles.T)
    everywhere = np.clip(jaw + mustache + sideburns, 0, 1)
    narrow = smoothstep(0.33, 0.25, np.abs(ground.middles[:, 0]))
    density = {"goatee": jaw * narrow + mustache, "mustache": mustache}.get(name, everywhere)
    count = {"full": 4600, "short": 4200, "goatee": 1700, "mustache": 650}[name]
    length = {"full": 0.14 + 0.2 * person.beard_length, "short": 0.065, "goatee": 0.14}.get(
        name, 0.09
    )
    roots = ground.roots(np.where(density > 0.15, density, 0), int(count * detail), chance)
    p, normal, rest = roots.place, roots.normal, roots.rest
    # Mustaches part in the middle; hair on the neck lies flat, or it would glow around the throat.
    aside = np.sign(p[:, :1]) * bell(rest[:, 1:2] - 6.78, 0.07) * 1.6
    on_neck = smoothstep(6.45, 6.25, rest[:, 1:2])
    outward = 0.32 * normal * (1 - 0.8 * on_neck) + _row(0, -1, 0.25) + aside * _row(1, 0, 0)
    first = _unit(
        0.45 * (1 - 0.6 * on_neck) * normal + 0.6 * outward + 0.22 * chance.normal(len(p), 3)
    )
    last = _unit(outward + 0.28 * chance.normal(len(p), 3))
    length = length * chance.uniform(0.6, 1.1, len(p), 1) * np.where(rest[:, 1:2] > 6.72, 0.6, 1)
    length = length * (1 - 0.6 * on_neck)
    places, steps = [p + 0.004 * normal], 4
    for k in range(steps):
        share = k / steps
        places.append(places[-1] + _unit(first * (1 - share) + last * share) * length / steps)
    tint = np.clip(1 + 0.25 * chance.normal(len(p)), 0.4, 1.8)
    curves = np.stack(places, axis=1).astype(np.float32)
    return _Bundle(curves, tint, roots.vertex, BEARD, np.ones(len(p), np.float32))


def _brows(person: SimpleNamespace, ground: _Ground, detail: float) -> _Bundle:
    chance = Chance(person.seed, "brows")
    x, y, z = ground.middles.T
    density = brow_region(np.abs(x), y, person.brow_width) * (z > 0.9)
    count = int(230 * person.brow_width * detail)
    roots = ground.roots(np.where(density > 0.1, density, 0), count, chance)
    normal, side, ax = roots.normal, np.sign(roots.place[:, :1]), np.abs(roots.rest[:, :1])
    up = 1.1 * smoothstep(0.30, 0.12, ax) - 0.10 - 0.25 * smoothstep(0.38, 0.5, ax)
    direction = side * _row(1, 0, 0) + _row(0, 0, -0.15) + up * _row(0, 1, 0) + 0.25 * normal
    direction = _unit(direction + 0.15 * chance.normal(count, 3))
    direction = _unit(direction - normal * np.maximum(_sum(direction * normal) - 0.12, 0))
    length = 0.055 * chance.uniform(0.6, 1.1, count, 1) * (1 - 0.5 * smoothstep(0.36, 0.52, ax))
    base = roots.place + 0.004 * normal
    curves = np.stack([base + direction * length * (k / 3) for k in range(4)], axis=1)
    tint = np.clip(1 + 0.2 * chance.normal(count), 0.5, 1.6)
    ends = np.ones(count, np.float32)
    return _Bundle(curves.astype(np.float32), tint, roots.vertex, BROW, ends)


def _cut(bundle: _Bundle, chance: Chance, step: float) -> Strands:
    """Points along strands at a distance of about ``step``."""
    curves = bundle.curves
    count, nodes = curves.shape[:2]
    mean = float(_norm(np.diff(curves, axis=1))[..., 0].sum() / max(count, 1))
    points = max(3, int(np.ceil(mean / step)))
    offset = chance.uniform(-0.3, 0.7, count, 1)
    t = np.clip((np.arange(points, dtype=np.float32)[None] + offset) / (points - 0.6), 0, 1)
    strand, point = np.nonzero(t <= bundle.end[:, None])
    t = t[strand, point]
    where = t * (nodes - 1)
    node = np.minimum(where.astype(np.int64), nodes - 2)
    share = (where - node)[:, None].astype(np.float32)
    flat, first = curves.reshape(-1, 3), strand * nodes + node
    begin, end = flat.take(first, 0), flat.take(first + 1, 0)
    return Strands(
        place=np.ascontiguousarray((begin + (end - begin) * share).T, np.float32),
        tangent=np.ascontiguousarray(_unit(end - begin).T, np.float32),
        tint=bundle.tint[strand].astype(np.float32),
        along=t.astype(np.float32),
        kind=np.full(len(t), bundle.kind, np.uint8),
        root=bundle.root[strand].astype(np.int32),
    )


def _row(x: float, y: float, z: float) -> Array:
    return np.array([[x, y, z]], np.float32)


def _sum(rows: Array) -> Array:
    """Sums over the last axis of three, kept as an axis."""
    return rows[..., :1] + rows[..., 1:2] + rows[..., 2:]


def _norm(rows: Array) -> Array:
    return np.sqrt(_sum(rows * rows))


def _unit(rows: Array) -> Array:
    return rows / np.maximum(_norm(rows), 1e-9)
