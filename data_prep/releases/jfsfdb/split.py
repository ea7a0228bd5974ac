"""Splits: official lists where there are any, else by subject, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep import reading
from data_prep.contract.checks import DatasetError
from data_prep.contract.inside import Inside
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import ALL_TEST, Rules, Subset
from data_prep.seeds import derive_seed


def split_clips(
    subset: Subset, clips: list[Clip], rules: Rules, root: Path, by_subject: bool
) -> list[Clip]:
    """Give every clip its split: the official one, or by subject where none is or if asked to.

    Raises:
        DatasetError: a list is missing, or a subject stands in two splits.
    """
    if subset.split is None or by_subject:
        return split_by_subject(subset.name, clips, rules)
    clips = _with_dev(subset.name, subset.split(root, clips, rules), float(rules["dev_share"]))
    if not subset.subjects_cross:
        _check_subjects(clips)
    return clips


def split_by_subject(name: str, clips: list[Clip], rules: Rules) -> list[Clip]:
    """Whole subjects to train, dev and test, drawn by their names."""
    shares = rules["by_subject"]
    if shares == ALL_TEST:
        return [replace(clip, split="test") for clip in clips]
    subjects = _shuffled(name, {clip.subject for clip in clips})
    dev, test = (round(float(shares[split]) * len(subjects)) for split in ("dev", "test"))
    place = {subject: "dev" for subject in subjects[:dev]}
    place |= {subject: "test" for subject in subjects[dev : dev + test]}
    return [replace(clip, split=place.get(clip.subject, "train")) for clip in clips]


def place_folders(clips: list[Clip], folders: dict[str, str]) -> list[Clip]:
    """Splits from folders of a clip's path; clips in no such folder keep an empty one."""
    names = {folder.lower(): split for split, folder in folders.items()}
    placed = []
    for clip in clips:
        parts = [part.lower() for part in clip.video.split("/")[:-1]]
        placed.append(replace(clip, split=next((names[p] for p in parts if p in names), "")))
    return placed


def place_subjects(clips: list[Clip], lists: dict[str, Iterable[str]], origin: str) -> list[Clip]:
    """Splits from lists of subjects.

    Raises:
        DatasetError: a subject is in two lists, or a clip's subject in none.
    """
    place: dict[str, str] = {}
    for split, subjects in lists.items():
        for subject in subjects:
            if place.setdefault(subject, split) != split:
                raise DatasetError(
                    f"{origin}: the subject {subject!r} stands in {place[subject]} and in {split}; "
                    "a person may be in one split only"
                )
    for clip in clips:
        if clip.subject not in place:
            raise DatasetError(
                f"{origin}: the subject {clip.subject!r} of {clip.video} is in no list"
            )
    return [replace(clip, split=place[clip.subject]) for clip in clips]


def read_list(root: Path, names: Iterable[str]) -> tuple[Path, list[str]]:
    """Lines of the first list found below ``root``, without empty ones.

    Raises:
        DatasetError: none is there.
    """
    path = _first(root, names)
    return path, [line for _, line in reading.read_lines(path)]


def read_json(root: Path, names: Iterable[str]) -> tuple[Path, Any]:
    """The same for a JSON file.

    Raises:
        DatasetError: none is there, or it is not JSON.
    """
    path = _first(root, names)
    return path, reading.read_json(path)


def _first(root: Path, names: Iterable[str]) -> Path:
    """The first file of these names that is there, proven to lie in the release."""
    names = list(names)
    for name in names:
        for path in (root / name, *sorted(root.glob(f"*/{name}"))):
            if path.exists():
                return Inside([root]).locate(path)
    raise DatasetError(
        f"{root}: the split list {' or '.join(names)} is missing; copy it from the release, or "
        "split by subject with --split by-subject (no published result compares with that)"
    )


def _check_subjects(clips: list[Clip]) -> None:
    first: dict[str, Clip] = {}
    for clip in clips:
        other = first.setdefault(clip.subject, clip)
        if other.split != clip.split:
            raise DatasetError(
                f"the subject {clip.subject!r} stands in two splits: {other.video} is "
                f"{other.split}, {clip.video} is {clip.split}; a person may be in one split only"
            )


def _with_dev(name: str, clips: list[Clip], share: float) -> list[Clip]:
    """Take dev subjects from the training ones where there is no dev split: thresholds need it."""
    trained = {clip.subject for clip in clips if clip.split == "train"}
    if share <= 0 or len(trained) < 2 or any(clip.split == "dev" for clip in clips):
        return clips
    chosen = set(_shuffled(name, trained)[: max(1, round(share * len(trained)))])
    return [
        replace(clip, split="dev") if clip.split == "train" and clip.subject in chosen else clip
        for clip in clips
    ]


def _shuffled(name: str, subjects: set[str]) -> list[str]:
    return sorted(subjects, key=lambda subject: derive_seed("jfsfdb", name, subject))
