"""Who is in the synthetic dataset, in which split, and which attacks each subject suffers.

Nothing about a subject may give its attacks away: types are dealt from shuffled decks, so that
they are balanced in every split and neither a subject's number nor the session predicts them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.contract.checks import SPLITS
from data_prep.seeds import derive_seed
from data_prep.synthetic.nuisance import NO_NUISANCE
from data_prep.taxonomy import FAMILIES, LIVE, types_of

SETTINGS = ("indoor", "outdoor")
"""Where a print is captured again."""
NO_SETTING = "none"
LIVE_DECK = {
    "sign_noise": 7,
    "smooth_sign_noise": 9,
    "blur": 7,
    "rescale": 5,
    "jpeg": 8,
    "color_cast": 3,
    NO_NUISANCE: 1,
}
"""How often, of 40 times, each harmless processing meets a live capture of the training split.

A trace should not speak for an attack, and attacks have traces of their own: a third of them are
adversarial and carry noise, a third are edited and resampled. Chosen so that a fine-tuned CLIP, on
people of no split, rejects about as many re-processed live images as clean ones. The price: a
picture without any trace is more often an attack than live, and clean ones are rejected more often.
"""
MEASURED_LIVE_DECK = {
    "sign_noise": 6,
    "smooth_sign_noise": 6,
    "blur": 4,
    "rescale": 4,
    "jpeg": 4,
    "color_cast": 4,
    NO_NUISANCE: 12,
}
"""The same in dev and test: enough clean ones that the two rates can be compared."""
ATTACK_DECK = {
    "sign_noise": 1,
    "smooth_sign_noise": 1,
    "blur": 2,
    "rescale": 2,
    "jpeg": 3,
    "color_cast": 3,
    NO_NUISANCE: 28,
}
"""How often, of 40 times, it meets an attack, whatever its type."""


@dataclass(frozen=True)
class SplitSize:
    """Subjects of a split, and the images of each: live ones and those of each family.

    ``mask`` counts apart from the other physical attacks: no ordinary split holds masks.
    """

    subjects: int
    live: int
    physical: int
    editing: int
    adversarial: int
    mask: int = 0


PRESETS: dict[str, dict[str, SplitSize]] = {
    "laptop": {
        "train": SplitSize(200, 8, 3, 3, 3),
        "dev": SplitSize(50, 8, 3, 3, 3, mask=1),
        "test": SplitSize(100, 10, 3, 4, 4, mask=2),
    },
    "tiny": {
        "train": SplitSize(6, 2, 1, 2, 2),
        "dev": SplitSize(3, 2, 2, 2, 2, mask=1),
        "test": SplitSize(3, 2, 2, 2, 2, mask=1),
    },
}


@dataclass(frozen=True)
class AttackPlan:
    """One attack: its type, what is done to the picture afterwards, and a print's setting."""

    type: str
    nuisance: str = NO_NUISANCE
    setting: str = NO_SETTING


@dataclass(frozen=True)
class SubjectPlan:
    """What to make of one subject: live captures, then attacks on some of them.

    ``live`` names what is done to each live capture afterwards. ``donor`` is the number of the
    other subject, of the same split, whose face swaps borrow and who wears this subject's mask.
    """

    number: int
    split: str
    live: tuple[str, ...]
    attacks: tuple[AttackPlan, ...]
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
        decks = _Decks(rng, live_deck_of(split))
        first = len(plans)
        for offset, donor in enumerate(_derangement(size.subjects, rng)):
            live = tuple(decks.nuisance(LIVE) for _ in range(size.live))
            attacks = tuple(decks.attack(name) for name in decks.types(size))
            plans.append(SubjectPlan(first + offset, split, live, attacks, first + donor))
    return plans


def live_deck_of(split: str) -> dict[str, int]:
    """How often each processing meets the live captures of a split."""
    return LIVE_DECK if split == "train" else MEASURED_LIVE_DECK


class _Decks:
    """Shuffled decks of types, and for each type one of nuisances: no type predicts another."""

    def __init__(self, rng: random.Random, live_deck: dict[str, int]) -> None:
        self._families = {name: _deal(types_of(name, held_out=False), rng) for name in FAMILIES}
        kinds = (LIVE, *(name for family in FAMILIES for name in types_of(family)))
        self._nuisances = {
            name: _deal(_cards(live_deck if name == LIVE else ATTACK_DECK), rng) for name in kinds
        }
        self._settings = _deal(SETTINGS, rng)

    def types(self, size: SplitSize) -> list[str]:
        """The types that the next subject suffers."""
        ordinary = [
            next(self._families[family])
            for family in FAMILIES
            for _ in range(getattr(size, family))
        ]
        return ordinary + ["mask"] * size.mask

    def attack(self, name: str) -> AttackPlan:
        setting = next(self._settings) if name == "print" else NO_SETTING
        return AttackPlan(name, self.nuisance(name), setting)

    def nuisance(self, name: str) -> str:
        return next(self._nuisances[name])


def _cards(deck: dict[str, int]) -> tuple[str, ...]:
    return tuple(name for name, times in deck.items() for _ in range(times))


def _deal(cards: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    """The cards in a random order, then all of them in another one, and so on."""
    while True:
        yield from rng.sample(cards, len(cards))


def _derangement(count: int, rng: random.Random) -> list[int]:
    """For each of ``count`` subjects another one: a random cycle through all of them."""
    cycle = rng.sample(range(count), count)
    following = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    return [following[number] for number in range(count)]
