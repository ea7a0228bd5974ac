"""Releases of UniAttackData by a rule: lists of full length, and miniatures with images.

The rule follows what is known of the real lists: 1,800 people, live and physical split by person,
which attack stands in which split of p1, and the published numbers. Which types p2.1 and p2.2 hold
out on dev, and what p1.1 to p1.3 contain, is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.data_prep.releases.drawn import write_face

SPLITS = ("train", "dev", "test")
FAMILY = {"live": 0, "physical": 1, "adversarial": 2, "editing": 3}
PHYSICAL = ("cloth-indoor", "cloth-outdoor", "screen-rs")
ADVERSARIAL = ("ila_da", "alma", "advdrop", "fgtm", "demiguise", "ssah")
EDITING = ("DaGAN", "FaceDancer", "OneShotTH", "InsightFace", "SAFA", "simswap")

Lines = dict[str, list[tuple[str, int]]]

_PEOPLE = {"train": range(600), "dev": range(600, 900), "test": range(900, 1800)}
_EVERYBODY = range(1800)
_REGIONS = (("AF", "africa"), ("CA", "central-asia"), ("EA", "east-asia"))

_ATTACKS = {
    "p1": {
        "train": ("cloth-indoor", "ila_da", "DaGAN"),
        "dev": ("cloth-outdoor", "alma", "FaceDancer"),
        "test": ("screen-rs", *ADVERSARIAL[2:], *EDITING[2:]),
    },
    "p2.1": {
        "train": (*(t for t in ADVERSARIAL if t != "advdrop"), *EDITING[:5]),
        "dev": ("advdrop", "simswap"),
        "test": PHYSICAL,
    },
    "p2.2": {"train": PHYSICAL[:2], "dev": PHYSICAL[2:], "test": (*ADVERSARIAL, *EDITING)},
}
for _protocol, _family in {"p1.1": PHYSICAL, "p1.2": ADVERSARIAL, "p1.3": EDITING}.items():
    _ATTACKS[_protocol] = {
        split: tuple(name for name in types if name in _family)
        for split, types in _ATTACKS["p1"].items()
    }


def published_lines(protocol: str, keep: Callable[[int], bool] = lambda person: True) -> Lines:
    """Path and integer of every line, by split; ``keep`` narrows the people (0 to 1799)."""
    binary = protocol.startswith("p1.")
    lines: Lines = {}
    for split in SPLITS:
        names = [
            ("live", path) for person in _PEOPLE[split] if keep(person) for path in _live(person)
        ]
        for kind in _ATTACKS[protocol][split]:
            names += [(_family_of(kind), path) for path in _attack(kind, keep)]
        if protocol == "p1" and split == "test":
            names += _seven_again(names)
        lines[split] = [(path, min(FAMILY[f], 1) if binary else FAMILY[f]) for f, path in names]
    return lines


def write_lists(root: Path, protocol: str, lines: Lines, newline: str = "\n") -> dict[str, Path]:
    """Write the official lists; returns them by split."""
    folder = root / "UniAttackData" / "protocol"
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, listed in lines.items():
        files[split] = folder / f"UniAttackData@{protocol}_image_{split}.txt"
        text = "".join(f"{path} {integer}{newline}" for path, integer in listed)
        files[split].write_bytes(text.encode())
    return files


def write_images(root: Path, paths: Iterable[str]) -> None:
    """Draw the images; sizes are mixed, as in the release."""
    for number, path in enumerate(dict.fromkeys(paths)):
        width, height = (112, 112) if "adv-attacks" in path else (40 + 8 * (number % 3), 48)
        write_face(root / path, width, height)


def build_official(
    root: Path, protocol: str = "p1", people: Iterable[int] = (0, 700, 1000)
) -> Path:
    """A whole miniature of the official release: the lists and images of a few people."""
    chosen = set(people)
    lines = published_lines(protocol, chosen.__contains__)
    write_lists(root, protocol, lines)
    write_images(root, (path for listed in lines.values() for path, _ in listed))
    return root


def build_challenge(
    root: Path,
    protocol: str = "p1",
    people: Iterable[int] = (0, 700, 1000),
    live: int = 0,
    test_labels: bool = False,
) -> Path:
    """A miniature of both phases of the challenge; ``live`` is the integer that means live."""
    lines = published_lines(protocol, set(people).__contains__)
    where = {"train": "phase1", "dev": "phase1", "test": "phase2"}
    labeled = {"train": "phase1", "dev": "phase2", **({"test": "phase2"} if test_labels else {})}
    for split, listed in lines.items():
        rows = [
            (f"{protocol}/{split}/{number:06d}.jpg", live if integer == 0 else 1 - live)
            for number, (_, integer) in enumerate(listed, 1)
        ]
        write_images(root / where[split], (path for path, _ in rows))
        plain = root / where[split] / protocol / f"{split}.txt"
        if split != "train":
            plain.write_text("".join(f"{path}\n" for path, _ in rows), "utf-8")
        if split in labeled:
            file = root / labeled[split] / protocol / f"{split}_label.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{path} {integer}\n" for path, integer in rows), "utf-8")
    return root


def _family_of(kind: str) -> str:
    if kind in PHYSICAL:
        return "physical"
    return "adversarial" if kind in ADVERSARIAL else "editing"


def _person(number: int) -> tuple[str, str]:
    prefix, region = _REGIONS[number % 3]
    return f"{prefix}-{number // 3:03d}", region


def _live(number: int) -> list[str]:
    person, region = _person(number)
    folder = f"UniAttackData/Data/live/{region}/{person}/real.rssdk/color"
    return [f"{folder}/{frame:04d}.jpg" for frame in range(10, 110, 20)]


def _attack(kind: str, keep: Callable[[int], bool]) -> list[str]:
    if kind in PHYSICAL:
        people = _PEOPLE[SPLITS[PHYSICAL.index(kind)]]
        return [path for number in people if keep(number) for path in _physical(kind, number)]
    people = range(1706) if kind == "advdrop" else _EVERYBODY
    make = _adversarial if kind in ADVERSARIAL else _edited
    return [make(kind, number) for number in people if keep(number)]


def _physical(kind: str, number: int) -> list[str]:
    person, region = _person(number)
    folder = f"UniAttackData/Data/spoof/{region}/{person}/{kind}/color"
    return [f"{folder}/{frame:04d}.jpg" for frame in (5, 50, 95)]


def _adversarial(kind: str, number: int) -> str:
    person, region = _person(number)
    return f"UniAttackData/Data/adv-attacks/{kind}/{kind}_{region}-112x112/{person}/0081.jpg"


def _edited(kind: str, number: int) -> str:
    person, region = _person(number)
    target = "ref2" if kind == "OneShotTH" else _person((number + 31) % 1800)[0]
    folder = f"{region}_faces" if kind == "DaGAN" else region
    return f"UniAttackData/Data/{kind}/{folder}/{person}-To-{target}/14.jpg"


def _seven_again(names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The release's list repeats seven InsightFace images; the number of lines stays."""
    edited = [name for name in names if "/InsightFace/" in name[1]]
    if len(edited) < 1800:
        return []  # a miniature
    for name in edited[-7:]:
        names.remove(name)
    return edited[:7]
