"""MSU-MFSD: 35 people before a laptop and a phone; prints and replays.

Names are ``real_client002_laptop_SD_scene01`` and
``attack_client007_android_SD_printed_photo_scene01``. ``train_sub_list.txt`` and
``test_sub_list.txt`` hold the numbers of 15 and 20 people. The endings (.mov, .mp4) are known from
memory only; any video is read.
"""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.split import place_subjects, read_list
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """A real clip names no medium."""
    medium = match["medium"]
    kind = "live"
    if match["kind"] == "attack":
        kind = looked_up(rules["media"], medium or "", "media", rules)
    facts = {"device": match["device"], "medium": medium or ""}
    return Clip(rules["video"], kind, number(match["subject"]), facts=facts)


def split(root: Path, clips: list[Clip], rules: Rules) -> list[Clip]:
    """The two lists of people."""
    lists = {}
    for name in ("train", "test"):
        path, lines = read_list(root, [rules["lists"][name]])
        lists[name] = {number(line) for line in lines}
    return place_subjects(clips, lists, str(path.parent))


SUBSET = Subset(
    name="msu_mfsd",
    title="MSU-MFSD",
    half="spoofing",
    trains=False,
    layout="{real_clientNNN_device_SD,attack_clientNNN_device_SD_medium}_sceneNN",
    access="request to Michigan State University",
    read=read,
    split=split,
    rules={
        "patterns": [
            r"(?P<kind>real|attack)_client(?P<subject>\d+)_(?P<device>[a-z]+)_(?:SD|HD)"
            r"(?:_(?P<medium>[a-z_]+))?_scene\d+"
        ],
        "media": {"printed_photo": "print", "ipad_video": "replay", "iphone_video": "replay"},
        "lists": {"train": "train_sub_list.txt", "test": "test_sub_list.txt"},
    },
    counts={"live": 70, "print": 70, "replay": 140},
)
