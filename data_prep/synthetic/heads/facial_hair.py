"""Beards and brows: short strands rooted in the skin, which move with the face."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.atlas import beard_region, brow_region
from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.ground import Ground
from data_prep.synthetic.heads.people import BEARDS
from data_prep.synthetic.heads.rows import row, row_sum, row_unit
from data_prep.synthetic.heads.steady import bell, smoothstep
from data_prep.synthetic.heads.strand import BEARD, BROW, Bundle

Array = np.ndarray


def grow_beard(person: SimpleNamespace, ground: Ground, detail: float) -> Bundle:
    """The strands of a person's beard or mustache."""
    name, chance = BEARDS[person.beard], Chance(person.seed, "beard")
    jaw, mustache, sideburns = beard_region(*ground.middles.T)
    everywhere = np.clip(jaw + mustache + sideburns, 0, 1)
    narrow = smoothstep(0.33, 0.25, np.abs(ground.middles[:, 0]))
    density = {"goatee": jaw * narrow + mustache, "mustache": mustache}.get(name, everywhere)
    count = {"full": 4600, "short": 4200, "goatee": 1700, "mustache": 520}[name]
    length = {"full": 0.14 + 0.2 * person.beard_length, "short": 0.065, "goatee": 0.14}.get(
        name, 0.09
    )
    roots = ground.roots(np.where(density > 0.15, density, 0), int(count * detail), chance)
    p, normal, rest = roots.place, roots.normal, roots.rest
    # Mustaches part in the middle; hair on the neck lies flat, or it would glow around the throat.
    aside = np.sign(p[:, :1]) * bell(rest[:, 1:2] - 6.78, 0.07) * 1.6
    on_neck = smoothstep(6.45, 6.25, rest[:, 1:2])
    outward = 0.24 * normal * (1 - 0.8 * on_neck) + row(0, -1, 0.25) + aside * row(1, 0, 0)
    first = row_unit(
        0.45 * (1 - 0.6 * on_neck) * normal + 0.6 * outward + 0.22 * chance.normal(len(p), 3)
    )
    last = row_unit(outward + 0.28 * chance.normal(len(p), 3))
    shorter = np.where(rest[:, 1:2] > 6.72, 0.6, 1) * (
        1 - 0.45 * smoothstep(0.4, 0.7, np.abs(rest[:, :1]))
    )
    length = length * chance.uniform(0.6, 1.1, len(p), 1) * shorter
    length = length * (1 - 0.6 * on_neck)
    places, steps = [p + 0.004 * normal], 4
    for k in range(steps):
        share = k / steps
        places.append(places[-1] + row_unit(first * (1 - share) + last * share) * length / steps)
    tint = np.clip(1 + 0.25 * chance.normal(len(p)), 0.4, 1.8)
    curves = np.stack(places, axis=1).astype(np.float32)
    return Bundle(curves, tint, roots.vertex, BEARD, np.ones(len(p), np.float32))


def grow_brows(person: SimpleNamespace, ground: Ground, detail: float) -> Bundle:
    """The strands of both brows."""
    chance = Chance(person.seed, "brows")
    x, y, z = ground.middles.T
    density = brow_region(np.abs(x), y, person.brow_width) * (z > 0.9)
    count = int(230 * person.brow_width * detail)
    roots = ground.roots(np.where(density > 0.1, density, 0), count, chance)
    normal, side, ax = roots.normal, np.sign(roots.place[:, :1]), np.abs(roots.rest[:, :1])
    up = 1.1 * smoothstep(0.30, 0.12, ax) - 0.10 - 0.25 * smoothstep(0.38, 0.5, ax)
    direction = side * row(1, 0, 0) + row(0, 0, -0.15) + up * row(0, 1, 0) + 0.25 * normal
    direction = row_unit(direction + 0.15 * chance.normal(count, 3))
    direction = row_unit(direction - normal * np.maximum(row_sum(direction * normal) - 0.12, 0))
    length = 0.055 * chance.uniform(0.6, 1.1, count, 1) * (1 - 0.5 * smoothstep(0.36, 0.52, ax))
    base = roots.place + 0.004 * normal
    curves = np.stack([base + direction * length * (k / 3) for k in range(4)], axis=1)
    tint = np.clip(1 + 0.2 * chance.normal(count), 0.5, 1.6)
    ends = np.ones(count, np.float32)
    return Bundle(curves.astype(np.float32), tint, roots.vertex, BROW, ends)
