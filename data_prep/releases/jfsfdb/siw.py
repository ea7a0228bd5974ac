"""SiW (Spoof in the Wild): 165 people before two sensors; prints and replays.

Names are ``Subject-Sensor-Type-Medium-Session``; some texts show underscores, both are read. That
type 2 is print and 3 is replay, and that the release parts training and test by folders, is known
from memory only (rules ``types`` and ``split_folders``). ``.face`` box files are not read: faces
are detected as in the other sets.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from data_prep.contract.checks import DatasetError
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.split import place_folders, place_subjects
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """Type and person are fields of the name."""
    kind = looked_up(rules["types"], number(match["type"]), "types", rules)
    facts = {name: match[name] for name in ("medium", "session")}
    return Clip(
        rules["video"], kind, number(match["subject"]), facts={"device": match["sensor"], **facts}
    )


def split(root: Path, clips: list[Clip], rules: Rules) -> list[Clip]:
    """By ``train_subjects`` where given, else by folders named after the splits."""
    if rules["train_subjects"]:
        train = {number(str(subject)) for subject in rules["train_subjects"]}
        test = {clip.subject for clip in clips} - train
        return place_subjects(clips, {"train": train, "test": test}, "rule train_subjects")
    placed = place_folders(clips, rules["split_folders"])
    missing = next((clip for clip in placed if not clip.split), None)
    if missing:
        folders = " or ".join(rules["split_folders"])
        raise DatasetError(
            f"{root}: {PurePosixPath(missing.video)} lies in no folder named {folders}, so its "
            "split is not known; list the 90 training people under train_subjects in a file for "
            "--rules, or use --split by-subject"
        )
    return placed


SUBSET = Subset(
    name="siw",
    title="SiW",
    half="spoofing",
    trains=True,
    layout="Subject-Sensor-Type-Medium-Session.mov",
    access="signed agreement with Michigan State University",
    read=read,
    split=split,
    rules={
        "patterns": [
            r"(?P<subject>\d+)[-_](?P<sensor>\d+)[-_](?P<type>\d+)[-_](?P<medium>\d+)[-_]"
            r"(?P<session>\d+)"
        ],
        "types": {1: "live", 2: "print", 3: "replay"},
        "split_folders": {"train": "train", "test": "test"},
        "train_subjects": [],
    },
    unverified=("types", "split_folders"),
    counts={"all": 4478},
)
