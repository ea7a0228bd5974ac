"""From a folder of live and one of fake pictures to a prepared dataset."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.building.lock import locks_released
from data_prep.building.recipes import refuse_nested, refuse_other
from data_prep.building.resume import build_units, changed_units, clean_up, prepare_folder, reopen
from data_prep.building.skipped import write_skipped
from data_prep.contract.checks import DatasetError
from data_prep.contract.inside import common_folder
from data_prep.contract.repeats import equal_files
from data_prep.errors import shown
from data_prep.manifest import PreparedDataset, read_dataset, relative_root, write_dataset
from data_prep.media.faces import CropRules, Detector, EmbeddedDetector, FaceReport
from data_prep.releases.folder.collect import (
    FAKE,
    LIVE,
    OUTSIDE,
    Found,
    Skipped,
    SubjectRule,
    collect,
)
from data_prep.releases.folder.pictures import Work, file_names, make_rows, sources
from data_prep.releases.folder.splits import check_shares, split_subjects
from data_prep.releases.uniattackdata.attack_types import ATTACK_TYPES as RELEASE_TYPES
from data_prep.taxonomy import ATTACK_TYPES, FAMILIES, family_of

GENERATOR = "data_prep.releases.folder"
LATE = ("splits", "seed", "families")
"""What decides the tables and no image: it may change without images being made again."""


@dataclass(frozen=True)
class FolderOptions:
    """What to make of the files.

    Args:
        type_name: the attack of all fakes; None: the first folder's name.
        families: family of attacks that are not known, by name.
        subjects_from: see ``collect.SubjectRule``.
        splits: shares of train, dev and test.
        frames: frames to take of each video, evenly spread.
        crop: how to cut faces out; None leaves the images whole.
        detector: what finds the faces.
        copy: write the images into the dataset instead of referring to them.
        seed: fixes who is train, dev and test.
        workers: processes; None: one a core.
        backend: where they run (see ``run_units``).
    """

    type_name: str | None = None
    families: Mapping[str, str] = field(default_factory=dict)
    subjects_from: str = "folder"
    splits: tuple[float, float, float] = (0.6, 0.2, 0.2)
    frames: int = 8
    crop: CropRules | None = None
    detector: Detector = field(default_factory=EmbeddedDetector)
    copy: bool = False
    seed: int = 0
    workers: int | None = None
    backend: str = "loky"

    def __post_init__(self) -> None:
        """Refuse shares of splits that are none."""
        check_shares(self.splits)


@locks_released()
def import_folders(
    live: str | Path,
    fake: str | Path,
    out: str | Path,
    options: FolderOptions | None = None,
    overwrite: bool = False,
) -> PreparedDataset:
    """Prepare a dataset; goes on where an interrupted call with the same files stopped.

    Images stay where they are unless they are cropped or copied; frames of videos are written as
    PNG. What cannot be used is left out and listed, with the reason, in ``skipped.csv``. Called
    again for a finished dataset, it makes damaged or missing files again; files made from sources
    that were replaced since need ``overwrite``.

    Raises:
        DatasetError: a file's place does not tell its attack or its subject, a split would lack
            live or fake images, or ``out`` holds something else. What is finished is kept.
    """
    options, out = options or FolderOptions(), Path(out)
    refuse_nested(out, [live, fake])
    folders = {LIVE: Path(os.path.realpath(live)), FAKE: Path(os.path.realpath(fake))}
    found, skipped = _collect(folders, options)
    families = _families({file.type for file in found if file.label == FAKE}, options.families)
    recipe = _recipe(found, folders, out, options)
    refuse_other(out, recipe, overwrite, LATE)
    split_subjects(pd.DataFrame([vars(file) for file in found]), options.splits, options.seed)
    units = _units(found, folders, out, options)
    more = []
    if not prepare_folder(out, recipe, overwrite, LATE) or _reopened(out, units, overwrite):
        rows = build_units(
            out, units, make_rows, options.workers, "files", options.backend, sources, overwrite
        )
        more = _write(out, rows, skipped, families, recipe, _root(folders, out, options))
    clean_up(out, more)
    return read_dataset(out)


def _reopened(out: Path, units: dict[str, Work], overwrite: bool) -> bool:
    """Take up a finished dataset again if its sources were replaced; only with ``overwrite``."""
    changed = list(changed_units(out, units, sources, overwrite))
    if changed and not overwrite:
        raise DatasetError(
            f"{out} was made from other files: {len(changed)} of {len(units)} were replaced since, "
            f"the first is {units[changed[0]].found.path}. Bring it up to date with --overwrite "
            "(only what depends on them is made again), or choose another folder"
        )
    if changed:
        reopen(out, changed)
    return bool(changed)


def _collect(folders: dict[str, Path], options: FolderOptions) -> tuple[list[Found], list[Skipped]]:
    live, fake = folders[LIVE], folders[FAKE]
    if live.is_relative_to(fake) or fake.is_relative_to(live):
        raise DatasetError(
            f"{live} and {fake} are inside one another; an image must be in one of them"
        )
    rule = SubjectRule(options.subjects_from)
    found, skipped = collect(live, LIVE, rule)
    fakes, more = collect(fake, FAKE, rule, options.type_name)
    for label, files, left, folder in (
        (LIVE, found, skipped, live),
        (FAKE, fakes, more, fake),
    ):
        if not files:
            raise DatasetError(
                f"{folder} holds no image or video that could be {label}{_why_not(left)}"
            )
    return [*found, *fakes], [*skipped, *more]


def _why_not(skipped: list[Skipped]) -> str:
    """What was met instead, by reason, with an example and what to do."""
    reasons = Counter(skip.reason for skip in skipped)
    example = {skip.reason: skip.name for skip in reversed(skipped)}
    told = "".join(
        f"\n  {number} x {reason}, for example {shown(example[reason])}"
        for reason, number in reasons.most_common(10)
    )
    if OUTSIDE in reasons:
        told += (
            "\nWhere the links lead into a store, name the store's own folder, or make files of "
            "them: cp -rL FOLDER COPY"
        )
    return f"; found there:{told}" if told else "; it is empty"


def _families(types: set[str], given: Mapping[str, str]) -> dict[str, str]:
    """Family of each type: as given, as the taxonomy says, or as UniAttackData has it."""
    families = {}
    for name in sorted(types):
        known = family_of(name) if name in ATTACK_TYPES else None
        known = known or RELEASE_TYPES.get(name, {}).get("family")
        family = given.get(name, known)
        if family not in FAMILIES:
            raise DatasetError(
                f"unknown attack {name!r}; say its family with --family {name}=FAMILY (one of "
                f"{', '.join(FAMILIES)}), or rename its folder to a known attack: "
                f"{', '.join(ATTACK_TYPES)}"
            )
        families[name] = family
    return families


def _recipe(
    found: Sequence[Found], folders: dict[str, Path], out: Path, options: FolderOptions
) -> dict[str, Any]:
    elsewhere = ("workers", "backend")  # these change nothing in what is written
    given = {key: value for key, value in vars(options).items() if key not in elsewhere}
    given["splits"], given["families"] = list(options.splits), dict(options.families)
    given["crop"] = asdict(options.crop) if options.crop else None
    given["detector"] = options.detector.recipe if options.crop else None
    # Names alone: what a file holds is known for each of them, in the journal.
    listing = "".join(f"{file.name}\n" for file in found)
    places = {label: relative_root(folder, out) for label, folder in folders.items()}
    digest = hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
    return {"generator": GENERATOR, "command": "folder", "files": digest, **places, **given}


def _root(folders: dict[str, Path], out: Path, options: FolderOptions) -> str | None:
    """The folder that holds both, relative to the dataset; None where nothing is referred to."""
    if options.copy or options.crop:
        return None
    advice = "put them into one folder, or pass --copy"
    common = common_folder([folders[LIVE], folders[FAKE]], advice)
    return relative_root(common, out)


def _units(
    found: Sequence[Found], folders: dict[str, Path], out: Path, options: FolderOptions
) -> dict[str, Work]:
    root, names = _root(folders, out, options), file_names([file.name for file in found])
    units = {}
    for number, file in enumerate(found):
        place = None
        if root is not None:
            place = f"{root}/{os.path.relpath(file.path, os.path.commonpath(folders.values()))}"
        work = Work(
            file, out, place, names[file.name], options.frames, options.crop, options.detector
        )
        units[f"{number:08d}"] = work
    return units


def _write(
    out: Path,
    rows: list[dict[str, Any]],
    skipped: list[Skipped],
    families: dict[str, str],
    recipe: dict[str, Any],
    root: str | None,
) -> list[str]:
    faces = sum((FaceReport(**row.pop("faces", {})) for row in rows), FaceReport())
    used = pd.DataFrame([row for row in rows if "skipped" not in row])
    skips = pd.DataFrame(
        [(skip.name, skip.reason) for skip in skipped]
        + [(row["id"], row["skipped"]) for row in rows if "skipped" in row],
        columns=["file", "reason"],
    )
    if used.empty or used["label"].nunique() < 2:
        raise DatasetError(f"too little can be used: {_reasons(skips)}")
    used["family"] = [LIVE if kind == LIVE else families[kind] for kind in used["type"]]
    used["split"] = split_subjects(used, tuple(recipe["splits"]), recipe["seed"])
    digests = {row.path: bytes.fromhex(row.sha256) for row in used.itertuples()}
    declared = {
        name: {"family": family, "description": "as the folder is called", "source": "the user"}
        for name, family in families.items()
        if name not in ATTACK_TYPES
    }
    info = {
        "name": out.name,
        "version": "1",
        "license": "as the user's own files",
        "seed": recipe["seed"],
        "generator": GENERATOR,
        "image_size": recipe["crop"]["size"] if recipe["crop"] else None,
        "attack_types": declared,
        "recipe": recipe,
        "report": {
            "skipped": _counts(skips),
            "faces": vars(faces),
            "equal_contents": equal_files(used).summary(),
        },
    }
    if root is not None:
        info["root"] = root
    more = write_skipped(out, skips.itertuples(index=False, name=None))
    protocol = used[["id", "split"]].reset_index(drop=True)
    manifest = used.drop(columns=["sha256", "split"]).reset_index(drop=True)
    write_dataset(out, manifest, {"p1": protocol}, info, digests=digests)
    return more


def _counts(skips: pd.DataFrame) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in skips["reason"].value_counts().items()}


def _reasons(skips: pd.DataFrame) -> str:
    return ", ".join(f"{number} skipped: {reason}" for reason, number in _counts(skips).items())
