"""From a release to a prepared dataset of face crops; a clip is one unit of work."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.building.resume import (
    build_units,
    clean_up,
    finished_units,
    forget,
    prepare_folder,
    reopen,
)
from data_prep.contract.checks import DatasetError
from data_prep.manifest import PreparedDataset, read_dataset, write_dataset
from data_prep.media.faces import CropRules, Detector, EmbeddedDetector, FaceReport, cut_face
from data_prep.media.video import VideoError
from data_prep.releases.jfsfdb.clips import Clip, read_clip
from data_prep.releases.jfsfdb.find import find_clips
from data_prep.releases.jfsfdb.replaced import digest_clip, rows_of_units
from data_prep.releases.jfsfdb.split import split_clips
from data_prep.releases.jfsfdb.subset import Subset
from data_prep.releases.jfsfdb.table import SUBSETS
from data_prep.releases.jfsfdb.types import declared, family
from data_prep.taxonomy import FAKE, LIVE

GENERATOR = "data_prep.releases.jfsfdb 1"
USED, NO_FACE, BROKEN = "used", "no face", "broken"


@dataclass(frozen=True)
class Wishes:
    """What a user may choose.

    Attributes:
        frames: frames taken of each clip, evenly spread.
        crop: how faces are cut out.
        detector: what finds them.
        rules: YAML file that replaces rules of the subset.
        by_subject: draw the splits by subject even where the release has official ones.
        skip_unknown: leave clips out whose names no pattern knows.
        skip_broken: leave clips out that cannot be read.
        allow_missing: take a partial copy of a release.
    """

    frames: int = 8
    crop: CropRules = field(default_factory=CropRules)
    detector: Detector = field(default_factory=EmbeddedDetector)
    rules: Path | None = None
    by_subject: bool = False
    skip_unknown: bool = False
    skip_broken: bool = False
    allow_missing: bool = False


@dataclass(frozen=True)
class ClipWork:
    """A clip and all that preparing it depends on."""

    subset: str
    clip: Clip
    path: Path
    out: Path
    frames: int
    axes: str
    crop: CropRules
    detector: Detector


def prepare_subset(
    name: str,
    root: str | Path,
    out: str | Path,
    wishes: Wishes | None = None,
    workers: int | None = None,
    backend: str | None = None,
    overwrite: bool = False,
) -> PreparedDataset:
    """Prepare one of the nine sets; goes on where an interrupted call of the same kind stopped.

    Of a finished dataset only clips are done again that could not be read and have been replaced
    since. The same files come out whatever the number of ``workers``. ``clips.parquet`` says what
    became of every clip, ``dataset.json`` sums it up.

    Raises:
        ValueError: no subset has that name.
        DatasetError: the release is not what it should be, or ``out`` holds something else.
    """
    if name not in SUBSETS:
        raise ValueError(f"unknown subset {name!r}; known subsets: {', '.join(SUBSETS)}")
    subset, root, out, wishes = SUBSETS[name], Path(root), Path(out), wishes or Wishes()
    if out.resolve().is_relative_to(root.resolve()):
        raise DatasetError(
            f"{out} lies in the release {root}, where its crops would be taken for clips; choose a "
            "folder outside"
        )
    rules = subset.with_rules(wishes.rules)
    if subset.load:
        rules = subset.load(root, rules, wishes.by_subject)
    clips = find_clips(subset, root, rules, wishes.skip_unknown)
    differences = compare(subset, clips, rules.get("listed", ()))
    if differences and not wishes.allow_missing:
        raise DatasetError(
            f"{root} differs from the published {subset.title}: {'; '.join(differences)}; prepare "
            "it as it is with --allow-missing"
        )
    clips = split_clips(subset, clips, rules, root, wishes.by_subject)
    recipe = _recipe(subset, clips, rules, wishes)
    units = {_unit(root, clip): _work(subset, clip, root, out, rules, wishes) for clip in clips}
    if _is_done(out, units, recipe, overwrite):
        records = [row for rows in _rows_of(out, units).values() for row in rows]
        _check_broken(out, root, units, records, wishes.skip_broken)
    else:
        records = build_units(
            out, units, prepare_clip, workers, f"clips of {subset.title}", backend
        )
        _check_broken(out, root, units, records, wishes.skip_broken)
        unverified = [name for name in subset.unverified if rules[name] == subset.rules[name]]
        info = _info(subset, recipe, records, differences, wishes)
        info["unverified_rules"] = unverified
        (out / "dataset.json").unlink(missing_ok=True)  # no longer true from here on
        _write(out, records, info, "by_subject" if _drawn(subset, wishes) else "official")
    clean_up(out)
    return read_dataset(out)


def prepare_clip(work: ClipWork) -> list[dict[str, Any]]:
    """Write the crops of one clip; returns its record and the rows of the manifest.

    The folder of a clip is made anew, so that nothing stays of an attempt that was killed.
    """
    clip, report = work.clip, FaceReport()
    folder = work.out / "images" / clip.key
    shutil.rmtree(folder, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    status, message = USED, ""
    try:
        for index, frame in read_clip(work.path, work.frames, clip.rotation, work.axes):
            crop = cut_face(frame, work.detector, work.crop, report)
            if crop is not None:
                rows.append(_write_crop(work, folder, index, Image.fromarray(crop)))
    except VideoError as error:
        # Messages name the file in the release, not where the release lies.
        status, message = BROKEN, str(error).replace(str(work.path), clip.video)
        shutil.rmtree(folder, ignore_errors=True)
        rows = []
    if status == USED and not rows:
        status = NO_FACE
    record = {
        "id": f"{work.subset}-{clip.key}",
        "video": clip.video,
        "type": clip.type,
        "subject": f"{work.subset}-{clip.subject}",
        "split": clip.split,
        "status": status,
        "message": message,
        "broken_sha256": digest_clip(work.path) if status == BROKEN else "",
        "facts": json.dumps(clip.facts, ensure_ascii=False),
        **asdict(report),
    }
    return [{"clip": record}, *rows]


def compare(subset: Subset, clips: list[Clip], listed: Iterable[str]) -> list[str]:
    """What a release lacks or has too much of, against its own lists and the published counts."""
    found = Counter(clip.type for clip in clips)
    found["all"] = len(clips)
    differences = [
        f"{found[kind]} clips of {kind}, published are {count}"
        for kind, count in subset.counts.items()
        if found[kind] != count
    ]
    absent = sorted(set(listed) - {clip.video for clip in clips})
    if absent:
        differences.append(f"{len(absent)} listed videos are absent, the first is {absent[0]!r}")
    return differences


def _write_crop(work: ClipWork, folder: Path, index: int, crop: Image.Image) -> dict[str, Any]:
    path = folder / f"{index:06d}.png"
    write_atomically(path, crop.save)
    clip = work.clip
    return {
        "id": f"{work.subset}-{clip.key}-{index:06d}",
        "path": path.relative_to(work.out).as_posix(),
        "label": LIVE if clip.type == LIVE else FAKE,
        "family": family(clip.type),
        "type": clip.type,
        "subject": f"{work.subset}-{clip.subject}",
        "source": clip.source or clip.video,
        "frame": index,
        "video": clip.video,
        "subset": work.subset,
        "split": clip.split,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _is_done(
    out: Path, units: dict[str, ClipWork], recipe: dict[str, Any], overwrite: bool
) -> bool:
    """Whether nothing is left to do; broken clips that were replaced since are to be done again."""
    finished = prepare_folder(out, recipe, overwrite)
    rows = _rows_of(out, units) if finished else finished_units(out, units)
    records = {name: unit_rows[0]["clip"] for name, unit_rows in rows.items()}
    replaced = [
        name
        for name, record in records.items()
        if record["status"] == BROKEN and record["broken_sha256"] != digest_clip(units[name].path)
    ]
    if finished and replaced:
        reopen(out, recipe, rows)
    forget(out, replaced)
    return finished and not replaced


def _rows_of(out: Path, units: dict[str, ClipWork]) -> dict[str, list[dict[str, Any]]]:
    """The rows of every clip of a finished dataset."""
    return rows_of_units(out, {name: work.clip.video for name, work in units.items()})


def _unit(root: Path, clip: Clip) -> str:
    # The size takes part, so that a broken file that was copied again is done again.
    path = root / clip.video
    return f"{clip.key}-{path.stat().st_size if path.is_file() else 0:x}"


def _work(
    subset: Subset, clip: Clip, root: Path, out: Path, rules: dict[str, Any], wishes: Wishes
) -> ClipWork:
    axes = rules.get("axes", "auto")
    path = root / clip.video
    return ClipWork(subset.name, clip, path, out, wishes.frames, axes, wishes.crop, wishes.detector)


def _recipe(
    subset: Subset, clips: list[Clip], rules: dict[str, Any], wishes: Wishes
) -> dict[str, Any]:
    listed = json.dumps([asdict(clip) for clip in clips], sort_keys=True)
    return {
        "generator": GENERATOR,
        "command": "jfsfdb",
        "subset": subset.name,
        "clips": hashlib.sha256(listed.encode()).hexdigest(),
        "frames": wishes.frames,
        "axes": rules.get("axes", "auto"),
        "crop": asdict(wishes.crop),
        "detector": wishes.detector.recipe,
    }


def _check_broken(
    out: Path, root: Path, units: dict[str, ClipWork], records: list[dict], skip: bool
) -> None:
    broken = [row["clip"] for row in records if "clip" in row and row["clip"]["status"] == BROKEN]
    if broken and not skip:
        videos = {record["video"] for record in broken}
        forget(out, [name for name, work in units.items() if work.clip.video in videos])
        told = "\n  ".join(record["message"] for record in broken[:10])
        raise DatasetError(
            f"{root}: {len(broken)} of {len(units)} clips cannot be read:\n  {told}\nReplace them "
            "and run the command again (only they are done again), or leave them out with "
            "--skip-broken"
        )


def _info(
    subset: Subset, recipe: dict, records: list[dict], differences: list[str], wishes: Wishes
) -> dict[str, Any]:
    clips = [row["clip"] for row in records if "clip" in row]
    faces = FaceReport()
    for record in clips:
        faces += FaceReport(**{name: record[name] for name in vars(faces)})
    status = Counter(record["status"] for record in clips)
    return {
        "name": f"jfsfdb-{subset.name}",
        "version": "1",
        "license": f"{subset.title}: {subset.access}",
        "seed": 0,
        "generator": GENERATOR,
        "image_size": wishes.crop.size,
        "subset": {"name": subset.name, "half": subset.half, "trains": subset.trains},
        "subjects_cross_splits": subset.subjects_cross and not _drawn(subset, wishes),
        "attack_types": declared({record["type"] for record in clips}),
        "clips": {name: status[name] for name in (USED, NO_FACE, BROKEN)},
        "faces": asdict(faces),
        "differences": differences,
        "recipe": recipe,
    }


def _write(out: Path, records: list[dict], info: dict[str, Any], protocol: str) -> None:
    rows = [row for row in records if "clip" not in row]
    if not rows:
        raise DatasetError(
            f"no face was found in any of {len(records)} clips: are they held sideways (rule "
            "rotation), are the faces small (--smallest, --smallest-share), or does the detector "
            "not know them (--detector yunet)?"
        )
    table = pd.DataFrame(rows)
    digests = {row["path"]: bytes.fromhex(row["sha256"]) for row in rows if "sha256" in row}
    clips = pd.DataFrame([row["clip"] for row in records if "clip" in row])
    manifest = table.drop(columns=["split", "sha256"], errors="ignore")
    protocols = {protocol: table[["id", "split"]]}
    write_dataset(out, manifest, protocols, info, {"clips": clips}, digests)


def _drawn(subset: Subset, wishes: Wishes) -> bool:
    return subset.split is None or wishes.by_subject
