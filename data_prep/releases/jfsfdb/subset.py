"""What a subset is: a short table of rules, each replaceable from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from data_prep.contract.shape import check_shape, shape_of
from data_prep.errors import DatasetError, shown
from data_prep.reading import read_yaml
from data_prep.releases.jfsfdb.clips import Clip

Rules = Mapping[str, Any]
Read = Callable[[re.Match[str], Rules], Clip | None]

IGNORED = ""  # the type of a clip that belongs to the release and is not wanted

SHARED_RULES = {
    # Share of the training subjects that become the dev split where a release has none.
    "dev_share": 0.2,
    # Where a release has no official split at all: shares of subjects for dev and for test.
    "by_subject": {"dev": 0.2, "test": 0.2},
    # Degrees clockwise by device, for those whose videos need a turn that their files do not tell.
    "rotation": {},
}


ALL_TEST = "all test"  # rule by_subject of releases that are for testing only


class _Shares(TypedDict):
    dev: float
    test: float


# Of rules whose values may have another kind than the built-in ones.
_SHAPES = {
    "dev_share": float,
    "by_subject": _Shares | Literal["all test"],
    "rotation": dict[int | str, Literal[0, 90, 180, 270]],
}


@dataclass(frozen=True)
class Subset:
    """One of the nine sets.

    Attributes:
        name: what the command calls it.
        title: what people call it.
        half: ``"spoofing"`` or ``"forgery"``.
        trains: whether the benchmark trains on it; the others are for cross tests.
        layout: where its clips lie, for error messages.
        access: who gives it out and how.
        read: turns the match of ``rules["patterns"]`` with a clip's path into a ``Clip``.
        split: gives every clip its official split; None where the release has none.
        load: reads lists that the rest needs; returns the rules with them added, under ``listed``
            the videos that have to be there.
        rules: what may be replaced; ``patterns`` is a list of regular expressions for the whole
            path of a clip in the release (without the ending), tried in order.
        unverified: names of the rules that are known from memory only.
        counts: published numbers of clips by type, where they were verified.
        subjects_cross: whether the official split has the same people on both sides.
    """

    name: str
    title: str
    half: str
    trains: bool
    layout: str
    access: str
    read: Read
    rules: dict[str, Any]
    split: Callable[[Path, list[Clip], Rules], list[Clip]] | None = None
    load: Callable[[Path, Rules, bool], dict[str, Any]] | None = None
    unverified: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    subjects_cross: bool = False

    def describe(self, video: str, rules: Rules) -> Clip | None:
        """The clip that a path names, or None where no pattern knows it."""
        stem = re.sub(r"\.[A-Za-z0-9]{2,4}$", "", video)
        for pattern in rules["patterns"]:
            match = re.search(rf"(?:^|/){pattern}$", stem)
            if match:
                return self._turned(self.read(match, {**rules, "video": video}), rules)
        return None

    def _turned(self, clip: Clip | None, rules: Rules) -> Clip | None:
        turns = {str(device): int(degrees) for device, degrees in rules["rotation"].items()}
        device = clip.facts.get("device") if clip else None
        return replace(clip, rotation=turns[device]) if device in turns else clip

    def with_rules(self, path: Path | None) -> dict[str, Any]:
        """The subset's rules, with those of a YAML file in their place.

        Raises:
            DatasetError: the file is not a table, or names a rule that the subset lacks.
        """
        rules = {**SHARED_RULES, **self.rules}
        if path is None:
            return rules
        given = read_yaml(path)
        if not isinstance(given, dict):
            raise DatasetError(f"{path}: expected `rule: value` lines, found {shown(given)}")
        unknown = sorted(map(str, set(given) - set(rules)))
        if unknown:
            known = ", ".join(sorted(rules))
            raise DatasetError(
                f"{path}: {self.name} has no rule {shown(unknown[0])}; it has: {known}"
            )
        for rule, value in given.items():
            expected = _SHAPES.get(rule) or shape_of(rules[rule])
            check_shape(value, expected, f"{path}, rule {rule}")
        for pattern in given.get("patterns", ()):
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise DatasetError(
                    f"{path}: the pattern {shown(pattern)} is wrong ({error})"
                ) from error
        return {**rules, **given}


def looked_up(table: Mapping[Any, Any], key: str, rule: str, rules: Rules) -> Any:
    """A value of a rule's table; its keys may be written as numbers.

    Raises:
        DatasetError: the table lacks the key; the message names the clip.
    """
    for known, value in table.items():
        if str(known).lower() == key.lower():
            return value
    known = ", ".join(str(name) for name in table)
    raise DatasetError(
        f"{rules['video']}: {rule} has no entry {key!r}, only {known}; add it with --rules"
    )


def number(text: str) -> str:
    """A number without leading zeros, which releases pad as they like; other text as it is."""
    return str(int(text)) if text.isdecimal() else text
