"""The published numbers of images, and how lists compare with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from data_prep.releases.uniattackdata.attack_types import label_of
from data_prep.taxonomy import FAKE, LIVE

# Lines of the lists by split, in the order of _FAMILIES, as published in arXiv 2401.17699. Seven
# InsightFace lines of the test list of p1 stand there twice; the published number counts both.
_FAMILIES = (LIVE, "physical", "adversarial", "editing")
_TABLE = {
    "p1": {
        "train": (3000, 1800, 1800, 1800),
        "dev": (1500, 900, 1800, 1800),
        "test": (4500, 2700, 7106, 7200),
    },
    "p2.1": {
        "train": (3000, 0, 9000, 9000),
        "dev": (1500, 0, 1706, 1800),
        "test": (4500, 5400, 0, 0),
    },
    "p2.2": {
        "train": (3000, 2700, 0, 0),
        "dev": (1500, 2700, 0, 0),
        "test": (4500, 0, 10706, 10800),
    },
}
PUBLISHED = {
    protocol: {
        split: dict(zip(_FAMILIES, numbers, strict=True)) for split, numbers in splits.items()
    }
    for protocol, splits in _TABLE.items()
}


@dataclass(frozen=True)
class Difference:
    """A number of lines that is not the published one; ``kind`` is a family or a label."""

    split: str
    kind: str
    published: int
    found: int

    def __str__(self) -> str:
        """For a report."""
        return f"{self.split}, {self.kind}: {self.found} lines, published {self.published}"


def differences(protocol: str, found: dict[str, Counter[str]], by_label: bool) -> list[Difference]:
    """Where lists and the published table differ; nothing is published of p1.1 to p1.3.

    Args:
        protocol: one of ``layouts.PROTOCOLS``.
        found: lines by split, then by family (or by label, live and fake, if ``by_label``).
        by_label: compare live and fake only, for lists that tell no more.
    """
    different = []
    for split, published in PUBLISHED.get(protocol, {}).items():
        for kind, number in (_by_label(published) if by_label else published).items():
            lines = found.get(split, Counter())[kind]
            if lines != number:
                different.append(Difference(split, kind, number, lines))
    return different


def live_by_split(protocol: str) -> dict[str, int]:
    """The published number of live images by split; empty where none is published."""
    return {split: numbers[LIVE] for split, numbers in PUBLISHED.get(protocol, {}).items()}


def shares_of_live(protocol: str) -> dict[str, float]:
    """The published share of live images by split; empty where none is published."""
    splits = PUBLISHED.get(protocol, {})
    return {split: numbers[LIVE] / sum(numbers.values()) for split, numbers in splits.items()}


def _by_label(published: dict[str, int]) -> dict[str, int]:
    labels = Counter({LIVE: 0, FAKE: 0})
    for family, number in published.items():
        labels[label_of(family)] += number
    return dict(labels)
