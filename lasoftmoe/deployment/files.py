"""Faces in image files, folders, and videos, as a detector's input.

Everything is read by ``data_prep``: its limits, formats, and errors hold here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from data_prep.contract.inside import Inside
from data_prep.decoding import ImageError, decode_image
from data_prep.errors import DatasetError
from data_prep.media.faces import CropRules, EmbeddedDetector, FaceReport, cut_face
from data_prep.media.kinds import VIDEO, kind_of
from data_prep.media.video import VideoError, sample_frames
from data_prep.reading import read_bytes
from lasoftmoe.data.decoded import at_size
from lasoftmoe.deployment.scorer import Scorer

Crop = Literal["face", "none"]


@dataclass(frozen=True)
class Scored:
    """Score of one file, or why it has none.

    ``score`` is the mean over a video's frames; ``frames`` counts them and is 1 for an image.
    """

    path: Path
    score: float | None
    frames: int = 1
    reason: str = ""


def score_files(
    paths: Sequence[Path], scorer: Scorer, crop: Crop = "face", frames: int = 8
) -> Iterator[Scored]:
    """Score images and videos, and all of those in folders, one after the other.

    Args:
        crop: ``"face"`` cuts out the largest face as ``python -m data_prep folder`` does;
            ``"none"`` takes images that are faces already, as in prepared datasets.
        frames: Frames to take from each video.
    """
    for path in found_files(paths):
        try:
            pictures = list(read_pictures(path, frames))
            faces = [face for p in pictures if (face := _face(p, scorer.image_size, crop))]
        except (DatasetError, ImageError, VideoError) as error:
            yield Scored(path, None, 0, str(error).removeprefix(f"{path}: "))
            continue
        if not faces:
            yield Scored(path, None, 0, "no face found; --crop none scores the image as it is")
            continue
        images = np.stack([at_size(face, path, None, scorer.image_size) for face in faces])
        scores = scorer.score(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        yield Scored(path, float(scores.mean()), len(faces))


def found_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files as they are, and all images and videos inside folders, sorted by path.

    Raises:
        FileNotFoundError: If nothing is there.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if not path.is_dir():
            yield path
            continue
        inside = Inside([path])
        for file in sorted(path.rglob("*")):
            if file.is_file() and inside.locate(file) and kind_of(file)[0]:
                yield file


def read_pictures(path: Path, frames: int) -> Iterator[Image.Image]:
    """Yield an image, or evenly spread frames of a video.

    Raises:
        ReadError, ImageError, VideoError: If the file cannot be read.
    """
    kind, reason = kind_of(path)
    if not kind:
        raise ImageError(reason)
    if kind == VIDEO:
        for _, frame in sample_frames(path, frames, at_least=1):
            yield Image.fromarray(frame)
    else:
        yield decode_image(read_bytes(path))


def _face(picture: Image.Image, size: int, crop: Crop) -> Image.Image | None:
    if crop == "none":
        return picture
    rules = CropRules(size=size)
    face = cut_face(np.asarray(picture), EmbeddedDetector(), rules, FaceReport())
    return None if face is None else Image.fromarray(face)
