"""3DMAD: 17 people and hard resin masks of them, recorded by a depth camera.

Names are ``subject_session_recording.hdf5``; sessions 1 and 2 are real, 3 is the mask. That the
files hold ``Color_Data``, and the order of its axes (rule ``axes``), is known from memory only.
There is no official split: people are drawn (rule ``by_subject``).
"""

from __future__ import annotations

import re

from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The session says whether a mask is worn."""
    kind = looked_up(rules["sessions"], number(match["session"]), "sessions", rules)
    return Clip(rules["video"], kind, number(match["subject"]), facts={"session": match["session"]})


SUBSET = Subset(
    name="threedmad",
    title="3DMAD",
    half="spoofing",
    trains=True,
    layout="subject_session_recording.hdf5",
    access="license agreement with Idiap (known from memory only)",
    read=read,
    rules={
        "patterns": [r"(?P<subject>\d+)_(?P<session>\d+)_(?P<recording>\d+)"],
        "sessions": {1: "live", 2: "live", 3: "mask_resin"},
        "axes": "auto",
    },
    unverified=("axes",),
    counts={"live": 170, "mask_resin": 85},
)
