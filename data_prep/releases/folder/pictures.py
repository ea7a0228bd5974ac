"""One file of a user's folder as rows of a manifest: an image, or some frames of a video."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.contract.checks import DatasetError
from data_prep.manifest import read_image
from data_prep.media.faces import CropRules, Detector, FaceReport, cut_face
from data_prep.media.images import inspect_image
from data_prep.media.video import VideoError, sample_frames
from data_prep.releases.folder.collect import Found

Row = dict[str, Any]
_LONGEST = 255  # bytes of a name that file systems take


@dataclass(frozen=True)
class Work:
    """A file and what to do with it.

    ``path_in_place`` is the image's path for the manifest if it stays where it is. Otherwise its
    pixels are written into ``out`` under ``file_name``, cropped to the face if ``crop`` says how.
    """

    found: Found
    out: Path
    path_in_place: str | None
    file_name: str
    frames: int
    crop: CropRules | None
    detector: Detector


def sources(work: Work) -> list[Path]:
    """The files that the rows of a unit of work are made from."""
    return [Path(work.found.path)]


def file_names(names: Sequence[str]) -> dict[str, str]:
    """Give each source a name below ``images`` that can be a file's, and its frames' folder.

    It is the source's own name, which a hash replaces where it would be too long with the ending
    ``.png``, or where ``a.jpg`` becomes ``a.jpg.png`` next to a folder called that.
    """
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return {
        name: _hashed(name)
        if f"{name}.png" in folders or len(f"{PurePosixPath(name).name}.png".encode()) > _LONGEST
        else name
        for name in names
    }


def _hashed(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / f"{path.stem[:32]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}")


def make_rows(work: Work) -> list[Row]:
    """The rows of one file; a row with ``skipped`` says why a file or a frame is not used."""
    if work.found.is_video:
        rows: list[Row] = []
        try:
            # One at a time: a video's frames together may be larger than the memory.
            for index, pixels in sample_frames(work.found.path, work.frames, at_least=1):
                rows.append(_written(work, pixels, index))
        except VideoError as error:
            for row in rows:  # frames before the damage are no even sample of the clip
                if "path" in row:
                    (work.out / row["path"]).unlink(missing_ok=True)
            return [_skip(work.found.name, _reason(error, work))]
        return rows
    facts = inspect_image(Path(work.found.path))
    if facts.error:
        return [_skip(work.found.name, facts.error)]
    if work.path_in_place is not None:
        return [_row(work, work.found.name, work.path_in_place, 0, facts.sha256)]
    try:
        return [_written(work, read_image(Path(work.found.path), work.found.name), None)]
    except DatasetError as error:
        return [_skip(work.found.name, str(error))]


def _written(work: Work, pixels: np.ndarray, frame: int | None) -> Row:
    """Crop if asked to, and write without loss: another compression would leave its own traces."""
    name = work.found.name if frame is None else f"{work.found.name}/{frame:06d}"
    report = FaceReport()
    if work.crop:
        pixels = cut_face(pixels, work.detector, work.crop, report)
        if pixels is None:
            return {**_skip(name, _no_face(report, work)), "faces": vars(report)}
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    path = f"images/{work.file_name}" + (".png" if frame is None else f"/{frame:06d}.png")
    write_atomically(work.out / path, lambda file: file.write_bytes(data.getvalue()))
    row = _row(work, name, path, frame or 0, hashlib.sha256(data.getvalue()).digest())
    return {**row, "faces": vars(report)}


def _row(work: Work, name: str, path: str, frame: int, sha256: bytes) -> Row:
    found = work.found
    said = {"label": found.label, "type": found.type, "subject": found.subject}
    recording = {"source": found.name, "video": found.name, "frame": frame}
    return {"id": name, "path": path, **said, **recording, "sha256": sha256.hex()}


def _skip(name: str, reason: str) -> Row:
    return {"id": name, "skipped": reason}


def _no_face(report: FaceReport, work: Work) -> str:
    if report.tiny:
        return f"no face of {work.crop.smallest} pixels or more"
    return "several faces" if report.crowded else f"no face found ({work.detector.reach})"


def _reason(error: VideoError, work: Work) -> str:
    return str(error).replace(f"{work.found.path}: ", "")
