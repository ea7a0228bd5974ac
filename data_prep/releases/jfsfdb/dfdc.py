"""DFDC, the Deepfake Detection Challenge: the full set or the preview that the benchmark cites.

The full set has a ``metadata.json`` beside the videos of each part: label REAL or FAKE, split and
the original of a fake. The preview has one ``dataset.json`` with paths; its fields (``label``,
``set``, ``target_id``) are known from memory only (rule ``fields``). The full set names no people:
a fake counts as the person of its original. Labels come from these files, never from names.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep.contract.inside import Inside
from data_prep.contract.shape import check_shape
from data_prep.errors import DatasetError, shown
from data_prep.reading import read_json
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up


def load(root: Path, rules: Rules, by_subject: bool) -> dict[str, Any]:
    """What the metadata says of every video, by its path in the release."""
    listed: dict[str, dict[str, Any]] = {}
    paths = [path for name in rules["metadata"] for path in sorted(root.rglob(name))]
    if not paths:
        names = " or ".join(rules["metadata"])
        raise DatasetError(f"{root}: no {names} in it; the labels of {SUBSET.title} are only there")
    for path in paths:
        facts = read_json(Inside([root]).locate(path))
        check_shape(facts, dict[str, dict[str, Any]], str(path))
        below = path.parent.relative_to(root)
        for name, row in facts.items():
            listed[(PurePosixPath(below.as_posix()) / name).as_posix()] = {**row, "list": str(path)}
    return {**rules, "listed": listed}


def read(match: re.Match[str], rules: Rules) -> Clip | None:
    """Label, split and person as the metadata says; None for a video it does not list."""
    video, fields = rules["video"], rules["fields"]
    row = rules["listed"].get(video)
    if row is None:
        return None
    label = _first(row, fields["label"], "")
    kind = looked_up(rules["labels"], label, f"labels ({row['list']})", rules)
    original = _first(row, fields["original"], None)
    name = PurePosixPath(video).stem
    subject = _first(row, fields["subject"], None) or PurePosixPath(original or name).stem
    split = looked_up(rules["splits"], _first(row, fields["split"], "test"), "splits", rules)
    source = PurePosixPath(original).stem if original and kind != "live" else ""
    return Clip(video, kind, str(subject), source, split)


def split(root: Path, clips: list[Clip], rules: Rules) -> list[Clip]:
    """The metadata has placed every clip already."""
    return clips


def _first(row: dict[str, Any], names: list[str], otherwise: str | None) -> str | None:
    found = next((row[name] for name in names if row.get(name) is not None), otherwise)
    if found is not None and type(found) not in (str, int):
        raise DatasetError(
            f"{row['list']}: {' or '.join(names)} is {shown(found)}; expected text or a number"
        )
    return str(found) if found is not None else None


SUBSET = Subset(
    name="dfdc",
    title="DFDC",
    half="forgery",
    trains=False,
    layout="videos with a metadata.json in each part (full) or one dataset.json (preview)",
    access="terms of the challenge",
    read=read,
    split=split,
    load=load,
    rules={
        "patterns": [r".+"],
        "metadata": ["metadata.json", "dataset.json"],
        "labels": {"REAL": "live", "FAKE": "dfdc_swap"},
        "splits": {"train": "train", "validate": "dev", "test": "test"},
        "fields": {
            "label": ["label"],
            "split": ["split", "set"],
            "original": ["original"],
            "subject": ["target_id"],
        },
    },
    unverified=("fields", "splits"),
)
