"""FaceForensics++: a thousand videos and four or five manipulations of each.

``original_sequences/youtube/c23/videos/000.mp4`` and
``manipulated_sequences/<method>/c23/videos/071_054.mp4`` (the video of 071 with the face of 054).
``splits/{train,val,test}.json`` hold 360, 70 and 70 pairs of numbers; both orders of a pair exist,
so a split is a set of numbers. Only the compression of the rule ``quality`` is taken.
"""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.contract.checks import DatasetError
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.split import place_subjects, read_json
from data_prep.releases.jfsfdb.subset import IGNORED, Rules, Subset, looked_up


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The person is the one whose video it is; the original is what was attacked."""
    method = match.groupdict().get("method")
    kind = looked_up(rules["methods"], method, "methods", rules) if method else "live"
    if match["quality"] != rules["quality"]:
        kind = IGNORED
    source = f"{rules['original']}/{match['target']}" if method else ""
    return Clip(rules["video"], kind, match["target"], source, facts={"device": match["quality"]})


def split(root: Path, clips: list[Clip], rules: Rules) -> list[Clip]:
    """All numbers of a split's pairs."""
    lists = {}
    for ours, theirs in {"train": "train", "dev": "val", "test": "test"}.items():
        path, pairs = read_json(root, [f"splits/{theirs}.json", f"{theirs}.json"])
        try:
            lists[ours] = {str(number) for first, second in pairs for number in (first, second)}
        except (TypeError, ValueError):
            raise DatasetError(f"{path}: expected a list of pairs of numbers") from None
    return place_subjects(clips, lists, str(path.parent))


SUBSET = Subset(
    name="faceforensics",
    title="FaceForensics++",
    half="forgery",
    trains=True,
    layout="{original_sequences/youtube,manipulated_sequences/METHOD}/c23/videos/NNN[_NNN].mp4",
    access="form of the Technical University of Munich",
    read=read,
    split=split,
    rules={
        "patterns": [
            r"original_sequences/youtube/(?P<quality>\w+)/videos/(?P<target>\d{3})",
            r"manipulated_sequences/(?P<method>\w+)/(?P<quality>\w+)/videos/"
            r"(?P<target>\d{3})_(?P<face>\d{3})",
        ],
        "quality": "c23",
        "original": "original_sequences/youtube",
        "methods": {
            "Deepfakes": "deepfakes",
            "Face2Face": "face2face",
            "FaceSwap": "faceswap",
            "NeuralTextures": "neuraltextures",
            "FaceShifter": "faceshifter",
        },
    },
    counts={"live": 1000},
)
