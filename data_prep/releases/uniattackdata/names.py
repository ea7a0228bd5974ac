"""What the path of an image in the official release says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_prep.releases.uniattackdata.attack_types import FAMILY_OF, types_of
from data_prep.taxonomy import LIVE

REGIONS = {"AF": "africa", "CA": "central-asia", "EA": "east-asia"}
_SUBJECT = re.compile(r"(?P<subject>(?P<region>AF|CA|EA)-\d+)(?:-To-(?P<target>.+))?")
_REGION = re.compile("|".join(REGIONS.values()))
# Looks at every character once. Longer numbers are no frame's, and Python refuses to read them.
_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,12})$")


@dataclass(frozen=True)
class ImageName:
    """Facts about one image.

    ``subject`` is the person whose ID stands first; ``target`` is what stands behind ``-To-`` in
    the name of an edited video (another person or a reference clip), else empty. ``video`` is the
    image's folder; ``frame`` the number at the end of its name, 0 if there is none.
    """

    family: str
    type: str
    subject: str
    target: str
    region: str
    video: str
    frame: int


def parse_name(path: str) -> ImageName:
    """Read family, type, subject, region, video and frame from a path of the release.

    Args:
        path: as a list has it, for example
            ``UniAttackData/Data/live/east-asia/EA-321/real.rssdk/color/0070.jpg``.

    Raises:
        ValueError: the folder is of no known attack, or no subject is named.
    """
    parts = path.split("/")
    if "Data" in parts:
        parts = parts[parts.index("Data") + 1 :]
    family, kind = _family_and_type(parts)
    found = next(filter(None, map(_SUBJECT.fullmatch, parts[:-1])), None)
    if found is None:
        raise ValueError(
            "no folder of it is a subject's ID; expected one like EA-321 or EA-131-To-CA-021"
        )
    named = _REGION.search("/".join(parts[:-1]))
    number = _NUMBER.search(parts[-1].rpartition(".")[0])
    return ImageName(
        family=family,
        type=kind,
        subject=found["subject"],
        target=found["target"] or "",
        region=named[0] if named else REGIONS[found["region"]],
        video="/".join(parts[:-1]),
        frame=int(number[1]) if number else 0,
    )


def _family_and_type(parts: list[str]) -> tuple[str, str]:
    top = parts[0]
    if top == LIVE:
        return LIVE, LIVE
    if top == "spoof":
        kind = next((part for part in parts[1:-1] if part in types_of("physical")), None)
        return _known("physical", kind, parts)
    if top == "adv-attacks":
        kind = parts[1] if len(parts) > 2 and parts[1] in types_of("adversarial") else None
        return _known("adversarial", kind, parts)
    return _known("editing", top if top in types_of("editing") else None, parts)


def _known(family: str, kind: str | None, parts: list[str]) -> tuple[str, str]:
    if kind is None:
        folder = "/".join(parts[:-1]) or "."
        tops = ", ".join(("live", "spoof", "adv-attacks", *types_of("editing")))
        raise ValueError(
            f"its folder {folder!r} is of no known attack; known folders are {tops}, with "
            f"{', '.join(types_of('physical'))} in spoof/<region>/<ID> and "
            f"{', '.join(types_of('adversarial'))} in adv-attacks"
        )
    return FAMILY_OF[kind], kind
