"""From a release to a prepared dataset of face crops; a clip is one unit of work."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.building.lock import locks_released
from data_prep.building.recipes import refuse_nested
from data_prep.building.resume import (
    build_units,
    changed_units,
    clean_up,
    finished_units,
    prepare_folder,
    redo,
    reopen,
)
from data_prep.building.skipped import write_skipped
from data_prep.contract.checks import DatasetError
from data_prep.contract.repeats import equal_files
from data_prep.manifest import PreparedDataset, read_dataset, write_dataset
from data_prep.media.faces import CropRules, Detector, EmbeddedDetector, FaceReport, cut_face
from data_prep.media.video import VideoError
from data_prep.releases.jfsfdb.clips import Clip, is_picture, read_clip
from data_prep.releases.jfsfdb.find import Skipped, find_clips
from data_prep.releases.jfsfdb.split import split_clips
from data_prep.releases.jfsfdb.subset import Subset
from data_prep.releases.jfsfdb.table import SUBSETS
from data_prep.releases.jfsfdb.types import declared, family
from data_prep.taxonomy import FAKE, LIVE

GENERATOR = "data_prep.releases.jfsfdb 2"
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


@locks_released()
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

    Of a finished dataset, only those clips are done again whose files are missing or damaged, and
    those that could not be read and have been replaced since; if others were replaced, that needs
    ``overwrite``. The same files come out whatever the number of ``workers``. ``clips.parquet``
    says what became of every clip, ``skipped.csv`` what else was found and is not used.

    Raises:
        ValueError: no subset has that name.
        DatasetError: the release is not what it should be, ``out`` holds something else, or one of
            the two is inside the other.
    """
    if name not in SUBSETS:
        raise ValueError(f"unknown subset {name!r}; known subsets: {', '.join(SUBSETS)}")
    subset, root, out, wishes = SUBSETS[name], Path(root), Path(out), wishes or Wishes()
    refuse_nested(out, [root])
    rules = subset.with_rules(wishes.rules)
    if subset.load:
        rules = subset.load(root, rules, wishes.by_subject)
    clips, skipped = find_clips(subset, root, rules, wishes.skip_unknown)
    differences = compare(subset, clips, rules.get("listed", ()))
    if differences and not wishes.allow_missing:
        raise DatasetError(
            f"{root} differs from the published {subset.title}: {'; '.join(differences)}; prepare "
            "it as it is with --allow-missing"
        )
    clips = split_clips(subset, clips, rules, root, wishes.by_subject)
    recipe = _recipe(subset, clips, rules, wishes)
    units = {clip.key: _work(subset, clip, root, out, rules, wishes) for clip in clips}
    more = []
    if _is_done(out, units, recipe, overwrite):
        records = [row for rows in finished_units(out, units).values() for row in rows]
        _check_broken(root, units, records, wishes.skip_broken)
    else:
        title = f"clips of {subset.title}"
        records = build_units(out, units, prepare_clip, workers, title, backend, sources, overwrite)
        try:
            _check_broken(root, units, records, wishes.skip_broken)
        except DatasetError:
            redo(out, [row["clip"]["key"] for row in _broken(records)])
            raise
        unverified = [name for name in subset.unverified if rules[name] == subset.rules[name]]
        info = _info(subset, recipe, records, differences, wishes)
        info["unverified_rules"] = unverified
        (out / "dataset.json").unlink(missing_ok=True)  # no longer true from here on
        _write(out, records, info, "by_subject" if _drawn(subset, wishes) else "official")
        more = write_skipped(out, sorted({*skipped, *_unused(records)}))
    clean_up(out, more)
    return read_dataset(out)


def prepare_clip(work: ClipWork) -> list[dict[str, Any]]:
    """Write the crops of one clip; returns its record and the rows of the manifest."""
    clip, report = work.clip, FaceReport()
    crops: list[tuple[int, bytes]] = []
    status, message = USED, ""
    try:
        for index, frame in read_clip(work.path, work.frames, clip.rotation, work.axes):
            crop = cut_face(frame, work.detector, work.crop, report)
            if crop is not None:
                crops.append((index, _png(crop)))
    except VideoError as error:
        # Messages name the file in the release, not where the release is.
        status, message, crops = BROKEN, str(error).replace(str(work.path), clip.video), []
    if status == USED and not crops:
        status = NO_FACE
    rows = [_write_crop(work, index, data) for index, data in crops]
    record = {
        "id": f"{work.subset}-{clip.key}",
        "video": clip.video,
        "type": clip.type,
        "subject": f"{work.subset}-{clip.subject}",
        "split": clip.split,
        "status": status,
        "message": message,
        "facts": json.dumps(clip.facts, ensure_ascii=False),
        **asdict(report),
    }
    return [{"clip": record | {"key": clip.key}}, *rows]


def sources(work: ClipWork) -> list[Path]:
    """The files of a clip: one, or the images in its folder."""
    if not work.path.is_dir():
        return [work.path]
    return sorted(path for path in work.path.iterdir() if is_picture(path))


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


def _png(crop: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(crop).save(data, "PNG")
    return data.getvalue()


def _write_crop(work: ClipWork, index: int, data: bytes) -> dict[str, Any]:
    clip = work.clip
    path = work.out / "images" / clip.key / f"{index:06d}.png"
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
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
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _is_done(
    out: Path, units: dict[str, ClipWork], recipe: dict[str, Any], overwrite: bool
) -> bool:
    """Whether nothing is left to do; broken clips that were replaced since are to be done again."""
    if not prepare_folder(out, recipe, overwrite):
        return False
    changed = changed_units(out, units, sources, overwrite)
    used = [name for name, rows in changed.items() if rows[0]["clip"]["status"] != BROKEN]
    if used and not overwrite:
        raise DatasetError(
            f"{out} was made from other clips: {len(used)} of {len(units)} were replaced since, "
            f"the first is {units[used[0]].path}. Bring it up to date with --overwrite (only these "
            "are done again), or choose another folder"
        )
    if changed:
        reopen(out, list(changed))
    return not changed


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


def _broken(records: list[dict]) -> list[dict]:
    return [row for row in records if "clip" in row and row["clip"]["status"] == BROKEN]


def _check_broken(root: Path, units: dict[str, ClipWork], records: list[dict], skip: bool) -> None:
    broken = _broken(records)
    if broken and not skip:
        told = "\n  ".join(row["clip"]["message"] for row in broken[:10])
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
    clips = pd.DataFrame([row["clip"] for row in records if "clip" in row]).drop(columns="key")
    manifest = table.drop(columns=["split", "sha256"], errors="ignore")
    protocols = {protocol: table[["id", "split"]]}
    info["equal_contents"] = equal_files(table).summary()
    write_dataset(out, manifest, protocols, info, {"clips": clips}, digests)


def _unused(records: list[dict]) -> list[Skipped]:
    clips = [row["clip"] for row in records if "clip" in row]
    return [
        (clip["video"], clip["message"] or "no face found")
        for clip in clips
        if clip["status"] != USED
    ]


def _drawn(subset: Subset, wishes: Wishes) -> bool:
    return subset.split is None or wishes.by_subject
