"""Celeb-DFv2: celebrities' interviews and improved face swaps of them.

``Celeb-real/id0_0000.mp4``, ``YouTube-real/00000.mp4`` and ``Celeb-synthesis/id0_id1_0000.mp4``.
``List_of_testing_videos.txt`` names 518 test videos, lines ``1 YouTube-real/00000.mp4``; that 1
means real there is known from memory only (rule ``real_integer``) and held against the folders.
That the first number of a swap is the person in whose video it is, too (rule ``patterns``). The
same people stand in training and test videos: the official split is by video.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.contract.checks import DatasetError
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.split import read_list
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up


def load(root: Path, rules: Rules, by_subject: bool) -> dict[str, Any]:
    """Read the test list, held against the folders; not needed where people are drawn."""
    if by_subject:
        return dict(rules)
    path, lines = read_list(root, [rules["list"]])
    below = path.parent.relative_to(root)  # the list names videos from where it lies itself
    listed = {}
    for place, line in enumerate(lines, 1):
        integer, _, video = line.partition(" ")
        video = video.strip().replace("\\", "/")
        if integer not in ("0", "1") or not video:
            raise DatasetError(f"{path}:{place}: {line!r}; expected an integer 0 or 1 and a video")
        live = looked_up(rules["folders"], video.split("/")[0], "folders", {"video": f"{path}"})
        if (int(integer) == int(rules["real_integer"])) != (live == "live"):
            raise DatasetError(
                f"{path}:{place}: {line!r} says the contrary of its folder while {integer} is "
                f"read as {'real' if int(integer) == rules['real_integer'] else 'fake'}; if the "
                f"whole list is the other way round set real_integer: "
                f"{1 - rules['real_integer']} with --rules"
            )
        listed[(below / video).as_posix()] = {"list": str(path)}
    return {**rules, "listed": listed}


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The folder says what it is."""
    kind = looked_up(rules["folders"], match["folder"], "folders", rules)
    found = match.groupdict()
    subject = found["person"] or f"youtube-{found['number']}"
    return Clip(rules["video"], kind, subject)


def split(root: Path, clips: list[Clip], rules: Rules) -> list[Clip]:
    """What the list names is for testing."""
    return [
        replace(clip, split="test" if clip.video in rules["listed"] else "train") for clip in clips
    ]


SUBSET = Subset(
    name="celebdf",
    title="Celeb-DFv2",
    half="forgery",
    trains=False,
    layout="{Celeb-real,YouTube-real,Celeb-synthesis}/NAME.mp4",
    access="form of the authors",
    read=read,
    split=split,
    load=load,
    rules={
        "patterns": [
            r"(?P<folder>Celeb-real|YouTube-real|Celeb-synthesis)/(?P<person>id\d+)?_?"
            r"(?P<face>id\d+)?_?(?P<number>\d+)"
        ],
        "folders": {
            "Celeb-real": "live",
            "YouTube-real": "live",
            "Celeb-synthesis": "celebdf_swap",
        },
        "list": "List_of_testing_videos.txt",
        "real_integer": 1,
    },
    unverified=("real_integer", "patterns"),
    counts={"live": 890, "celebdf_swap": 5639},
    subjects_cross=True,
)
