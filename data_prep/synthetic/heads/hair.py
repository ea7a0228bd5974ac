"""All hair of a person: on the head, in the face, and over the eyes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.facial_hair import grow_beard, grow_brows
from data_prep.synthetic.heads.ground import Ground
from data_prep.synthetic.heads.hair_styles import STYLES
from data_prep.synthetic.heads.people import BEARDS, HAIR_STYLES, HEADWEAR
from data_prep.synthetic.heads.scalp_hair import grow_scalp_hair
from data_prep.synthetic.heads.strand import HAIR, STEP, Strands, cut

Array = np.ndarray


def grow_hair(
    person: SimpleNamespace,
    shape: Array,
    covered: Callable[[Array], Array] | None = None,
    detail: float = 1.0,
) -> Strands:
    """All strands of a person.

    Args:
        person: a row of People.
        shape: coarse vertices of the neutral head, (vertices, 3).
        covered: tells of places (3, n) whether headwear hides hair there; None if nothing does.
        detail: number and closeness of points against those for images of 192 pixels.
    """
    ground = Ground(shape)
    style = STYLES.get(HAIR_STYLES[person.hair_style])
    bundles = []
    if style is not None and HEADWEAR[person.headwear] not in ("scarf", "turban"):
        bundles += grow_scalp_hair(person, style, ground, detail)
    if BEARDS[person.beard] != "none":
        bundles.append(grow_beard(person, ground, detail))
    bundles.append(grow_brows(person, ground, detail))
    chance = Chance(person.seed, "hair points")
    strands = [cut(bundle, chance, STEP / detail) for bundle in bundles]
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
