"""Plan of the synthetic dataset: subjects, splits, and attacks.

Nothing about a subject may reveal its attacks. Types are dealt from shuffled decks, so they are
balanced in every split, and neither a subject's number nor the session predicts them.
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
"""Places where a print is recaptured."""
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
"""Processing of live captures in the training split, by number out of 40.

A trace should not indicate an attack, and attacks have their own traces: a third are adversarial
and noisy, a third are edited and resampled. With these numbers, a fine-tuned CLIP rejects about
as many re-processed live images of other people as clean ones. The cost: an image without traces
is more often an attack than live, and clean live images are rejected more often.
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
"""The same for dev and test, with enough clean images to compare the two rates."""
ATTACK_DECK = {
    "sign_noise": 1,
    "smooth_sign_noise": 1,
    "blur": 2,
    "rescale": 2,
    "jpeg": 3,
    "color_cast": 3,
    NO_NUISANCE: 28,
}
"""The same for attacks of every type."""


@dataclass(frozen=True)
class SplitSize:
    """Number of subjects in a split, and of each subject's live images and attacks by family.

    ``mask`` is separate from the other physical attacks, because no ordinary split has masks.
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
    """One attack: its type, its later processing, and a print's setting."""

    type: str
    nuisance: str = NO_NUISANCE
    setting: str = NO_SETTING


@dataclass(frozen=True)
class SubjectPlan:
    """Live captures of one subject, and attacks on some of them.

    ``live`` names each live capture's processing. ``donor`` is the number of another subject in
    the split, whose face the face swaps use and who wears this subject's mask.
    """

    number: int
    split: str
    live: tuple[str, ...]
    attacks: tuple[AttackPlan, ...]
    donor: int


def preset_named(name: str) -> dict[str, SplitSize]:
    """Return the sizes of a preset.

    Raises:
        ValueError: If no preset has that name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known presets: {', '.join(PRESETS)}")
    return PRESETS[name]


def plan_subjects(sizes: dict[str, SplitSize], seed: int) -> list[SubjectPlan]:
    """Number the subjects, train first, and give each its attacks and a donor."""
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
    """Return the deck of processing for a split's live captures."""
    return LIVE_DECK if split == "train" else MEASURED_LIVE_DECK


class _Decks:
    """Shuffled decks of types, and one of nuisances per type, so that none predicts another."""

    def __init__(self, rng: random.Random, live_deck: dict[str, int]) -> None:
        self._families = {name: _deal(types_of(name, held_out=False), rng) for name in FAMILIES}
        kinds = (LIVE, *(name for family in FAMILIES for name in types_of(family)))
        self._nuisances = {
            name: _deal(_cards(live_deck if name == LIVE else ATTACK_DECK), rng) for name in kinds
        }
        self._settings = _deal(SETTINGS, rng)

    def types(self, size: SplitSize) -> list[str]:
        """Deal the next subject's types."""
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
    """Yield all cards in a random order, then all in another order, and so on."""
    while True:
        yield from rng.sample(cards, len(cards))


def _derangement(count: int, rng: random.Random) -> list[int]:
    """Return another subject for each of ``count``, from a random cycle through all."""
    cycle = rng.sample(range(count), count)
    following = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    return [following[number] for number in range(count)]
