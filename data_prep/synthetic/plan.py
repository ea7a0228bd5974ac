"""Who is in the synthetic dataset, in which split, and which attacks each subject suffers.

Nothing about a subject may give its attacks away: types are dealt from shuffled decks, so that
they are balanced in every split and neither a subject's number nor its neighbors predict them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.checks import SPLITS
from data_prep.parallel import derive_seed
from data_prep.taxonomy import FAMILIES, types_of


@dataclass(frozen=True)
class SplitSize:
    """Subjects of a split, and the images of each: live ones and those of each family."""

    subjects: int
    live: int
    physical: int
    editing: int
    adversarial: int


PRESETS: dict[str, dict[str, SplitSize]] = {
    "laptop": {
        "train": SplitSize(200, 5, 3, 3, 3),
        "dev": SplitSize(50, 5, 3, 3, 3),
        "test": SplitSize(100, 5, 3, 4, 4),
    },
    "tiny": {
        "train": SplitSize(6, 2, 1, 2, 2),
        "dev": SplitSize(3, 2, 2, 2, 2),
        "test": SplitSize(3, 2, 2, 2, 2),
    },
}


@dataclass(frozen=True)
class SubjectPlan:
    """What to make of one subject: live captures, then attacks on some of them.

    ``donor`` is the number of the other subject, of the same split, whose face swaps borrow.
    """

    number: int
    split: str
    live: int
    attacks: tuple[str, ...]
    donor: int


def preset_named(name: str) -> dict[str, SplitSize]:
    """The sizes of a preset.

    Raises:
        ValueError: no preset has that name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known presets: {', '.join(PRESETS)}")
    return PRESETS[name]


def plan_subjects(sizes: dict[str, SplitSize], seed: int) -> list[SubjectPlan]:
    """Number the subjects, train first, and deal every one its attacks and a donor."""
    plans: list[SubjectPlan] = []
    for split in SPLITS:
        size = sizes[split]
        rng = random.Random(derive_seed("plan", split, seed))
        first = len(plans)
        donors = _derangement(size.subjects, rng)
        decks = {family: _deal(types_of(family), rng) for family in FAMILIES}
        for offset, donor in enumerate(donors):
            attacks = [
                next(decks[family]) for family in FAMILIES for _ in range(getattr(size, family))
            ]
            plan = SubjectPlan(first + offset, split, size.live, tuple(attacks), first + donor)
            plans.append(plan)
    return plans


def _deal(types: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    """The types in a random order, then all of them in another one, and so on."""
    while True:
        yield from rng.sample(types, len(types))


def _derangement(count: int, rng: random.Random) -> list[int]:
    """For each of ``count`` subjects another one: a random cycle through all of them."""
    cycle = rng.sample(range(count), count)
    following = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    return [following[number] for number in range(count)]
