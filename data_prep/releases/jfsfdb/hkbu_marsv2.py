"""HKBU-MarsV2: twelve people and three-dimensional masks before several cameras.

Clips are ``{real,attack}/subject/aa_bb_subject``, a folder of pictures or a video; numbers are
padded in some names and not in others. What aa and bb mean is not known (they are kept as they
are). There is no official split: people are drawn (rule ``by_subject``).
"""

from __future__ import annotations

import re

from data_prep.contract.checks import DatasetError
from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The first folder says what it is; folder and name have to agree on the person."""
    folder, name = number(match["subject"]), number(match["who"])
    if folder != name:
        raise DatasetError(
            f"{rules['video']}: the folder says person {folder}, the name {name}; which is right "
            "cannot be told, move the clip"
        )
    kind = looked_up(rules["types"], match["kind"], "types", rules)
    return Clip(rules["video"], kind, name, facts={"first": match["a"], "second": match["b"]})


SUBSET = Subset(
    name="hkbu_marsv2",
    title="HKBU-MarsV2",
    half="spoofing",
    trains=True,
    layout="{real,attack}/subject/aa_bb_subject",
    access="request to Hong Kong Baptist University",
    read=read,
    rules={
        "patterns": [r"(?P<kind>real|attack)/(?P<subject>\d+)/(?P<a>\d+)_(?P<b>\d+)_(?P<who>\d+)"],
        "types": {"real": "live", "attack": "mask_3d"},
    },
    counts={"live": 504, "mask_3d": 504},
)
