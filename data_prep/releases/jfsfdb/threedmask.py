"""3DMask: wearable masks of several materials (Yu et al. 2020).

Clips are ``Real/0928_018/16`` and ``Fake/0928_018/1/2``, a folder of pictures or a video. That the
second number of the middle folder is the person is known from memory only (rule ``patterns``). All
clips are for testing: the benchmark uses the set for cross tests.
"""

from __future__ import annotations

import re

from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import ALL_TEST, Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The first folder says what it is."""
    kind = looked_up(rules["types"], match["kind"], "types", rules)
    return Clip(rules["video"], kind, number(match["subject"]), facts={"day": match["day"]})


SUBSET = Subset(
    name="threedmask",
    title="3DMask",
    half="spoofing",
    trains=False,
    layout="Real/day_person/number and Fake/day_person/number/number",
    access="request to the authors",
    read=read,
    rules={
        "patterns": [r"(?P<kind>Real|Fake)/(?P<day>\d+)_(?P<subject>\d+)/\d+(?:/\d+)?"],
        "types": {"Real": "live", "Fake": "mask_3d"},
        "by_subject": ALL_TEST,
    },
    unverified=("patterns",),
    counts={"live": 288, "mask_3d": 858},
)
