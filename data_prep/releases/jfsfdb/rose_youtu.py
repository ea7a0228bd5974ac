"""ROSE-Youtu: five phones; prints, replays and paper masks.

Names are ``{G,Ps,Pq,Vl,Vm,Mc,Mf,Mu}_{T,NT}_{5s,IP,HS,HW,ZTE}_..._person_n``; G is live, the person
is the second field from the end. What the two letters of an attack mean beyond P (paper), V
(video) and M (mask) is known from memory only (rule ``types``). Some devices need a turn; which
ones is not known: give them as ``rotation: {HS: 90}`` (degrees clockwise) with ``--rules``, else
frames without an upright face are turned one by one. No official split: all for testing.
"""

from __future__ import annotations

import re

from data_prep.releases.jfsfdb.clips import Clip
from data_prep.releases.jfsfdb.subset import ALL_TEST, Rules, Subset, looked_up, number


def read(match: re.Match[str], rules: Rules) -> Clip:
    """The first field says what it is, the third which phone."""
    kind = looked_up(rules["types"], match["kind"], "types", rules)
    facts = {"device": match["device"], "glasses": match["glasses"]}
    return Clip(rules["video"], kind, number(match["subject"]), facts=facts)


SUBSET = Subset(
    name="rose_youtu",
    title="ROSE-Youtu",
    half="spoofing",
    trains=False,
    layout="{G,Ps,Pq,Vl,Vm,Mc,Mf,Mu}_{T,NT}_{5s,IP,HS,HW,ZTE}_..._person_n.mp4",
    access="request to the ROSE lab, Nanyang Technological University",
    read=read,
    rules={
        "patterns": [
            r"(?P<kind>G|P[a-z]|V[a-z]|M[a-z])_(?P<glasses>T|NT)_(?P<device>[A-Za-z0-9]+)_"
            r"(?:[^/]+_)?(?P<subject>\d+)_\d+"
        ],
        "types": {
            "G": "live",
            "Ps": "print",
            "Pq": "print",
            "Vl": "replay",
            "Vm": "replay",
            "Mc": "paper_mask_cropped",
            "Mf": "paper_mask_full",
            "Mu": "paper_mask_upper",
        },
        "by_subject": ALL_TEST,
    },
    unverified=("types",),
)
