"""Faces found in a photograph and cut out as the prepared datasets hold them.

A detector is anything with ``detect(image) -> [Detection, ...]``. The default is the
local-binary-pattern cascade inside scikit-image, which needs no download and finds only upright
frontal faces. A dataset deserves a stronger one: ``data_prep.media.yunet`` runs weights that you
bring.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

WINDOW = 24  # side of the cascade's smallest search window, in pixels
SEARCH_SIDE = 320  # shorter side of the image that the cascade searches, in pixels
SMALLEST_SHARE = 0.15  # smallest face to look for, as a share of the shorter side of the image
SEVERAL = ("largest", "skip")
LARGEST_MARGIN = 10.0
LARGEST_SIZE = 8_192
_LARGEST_SQUARE = 8_000  # pixels a side; a larger square is cut from a smaller copy of the image


class FaceBox(NamedTuple):
    """A square around a face, in pixels; ``top`` and ``left`` are inside the box."""

    top: int
    left: int
    height: int
    width: int


class FaceError(ValueError):
    """No face where one was needed, or several where exactly one was allowed."""


@dataclass(frozen=True)
class Detection:
    """A face that a detector found.

    ``score`` rises with the detector's trust, up to 1. ``eyes`` are the centers of the two eyes
    as (x, y) in pixels, the one further left in the image first; None where a detector knows
    only boxes.
    """

    box: FaceBox
    score: float
    eyes: tuple[tuple[float, float], tuple[float, float]] | None = None


class Detector(Protocol):
    """What finds faces."""

    @property
    def name(self) -> str:
        """What options and records call it."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """All that decides what it finds, as JSON values; a dataset's record has it."""
        ...

    @property
    def reach(self) -> str:
        """The faces that it looks for, in words, for the message that none was found."""
        ...

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces of an RGB uint8 image (height, width, 3), largest first."""
        ...


@dataclass(frozen=True)
class EmbeddedDetector:
    """scikit-image's cascade: finds upright frontal faces, says nothing of eyes or trust.

    ``smallest`` is the smallest face to look for, as a fraction of the shorter image side. Large
    images are searched at ``SEARCH_SIDE`` pixels, where such a face still fills the window.
    """

    smallest: float = SMALLEST_SHARE
    name: str = "embedded"

    def __post_init__(self) -> None:
        _check_share(self.smallest, "smallest")

    @property
    def reach(self) -> str:
        """See ``Detector``."""
        return (
            f"the embedded detector looks for upright frontal faces of {self.smallest:.0%} or more "
            "of the shorter side of the image; --smallest-share sets another share"
        )

    @property
    def recipe(self) -> dict[str, Any]:
        """See ``Detector``; the cascade is a file that another scikit-image may change."""
        return {"name": self.name, "sha256": _cascade_sha256(), "smallest": self.smallest}

    def detect(self, image: np.ndarray) -> list[Detection]:
        """See ``Detector``; every face has the score 1."""
        _check_rgb(image)
        height, width = image.shape[:2]
        scale = min(1.0, max(SEARCH_SIDE, WINDOW / self.smallest) / min(height, width))
        if scale < 1:
            size = round(width * scale), round(height * scale)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
        boxes = detect_faces(image, self.smallest)
        return [Detection(FaceBox(*(round(v / scale) for v in box)), 1.0) for box in boxes]


@dataclass(frozen=True)
class CropRules:
    """How a face is cut out of a frame, and what happens in unclear cases.

    Attributes:
        margin: context on each side, as a fraction of the detected box's side.
        size: side of the crop in pixels.
        smallest: faces whose box has a shorter side, in pixels, are too tiny to use.
        several: with more than one face take the ``"largest"``, or ``"skip"`` the frame.
        turn: where no face is upright, look again with the frame turned by quarters. (Where
            it is known how a device is held, turn its videos instead: the embedded detector
            sometimes sees a face in an image upside down.)
        align: turn and scale so that the eyes lie level, where the detector knows the eyes.
    """

    margin: float = 0.5
    size: int = 224
    smallest: int = 32
    several: str = "largest"
    turn: bool = True
    align: bool = False

    def __post_init__(self) -> None:
        _check_crop(self.margin, self.size)
        if self.smallest < 1:
            raise ValueError(f"smallest is {self.smallest}; expected 1 pixel or more")
        if self.several not in SEVERAL:
            raise ValueError(f"several is {self.several!r}; expected one of {SEVERAL}")


@dataclass
class FaceReport:
    """What happened to frames. ``frames = cut + none + tiny + crowded``.

    Attributes:
        frames: frames looked at.
        cut: frames that gave a face.
        none: frames without any face.
        tiny: frames whose largest face was smaller than the rules allow.
        crowded: frames left out for several faces.
        several: frames with several faces; the largest was taken.
        turned: frames that gave a face only after a turn (a phone held sideways).
    """

    frames: int = 0
    cut: int = 0
    none: int = 0
    tiny: int = 0
    crowded: int = 0
    several: int = 0
    turned: int = 0

    def __add__(self, other: FaceReport) -> FaceReport:
        return FaceReport(**{name: n + vars(other)[name] for name, n in vars(self).items()})

    def __str__(self) -> str:
        return (
            f"{self.cut} of {self.frames} frames gave a face ({self.several} had several, the "
            f"largest was taken; {self.turned} were turned); without: {self.none} no face, "
            f"{self.tiny} tiny, {self.crowded} crowded"
        )


def cut_face(
    image: np.ndarray, detector: Detector, rules: CropRules, report: FaceReport
) -> np.ndarray | None:
    """The face of a frame by the rules, or None; ``report`` counts what happened.

    Args:
        image: RGB, uint8, (height, width, 3).

    Returns:
        RGB, uint8, (size, size, 3). Where the square leaves the image, the border repeats.
    """
    report.frames += 1
    upright, faces, turned = _find(image, detector, rules.turn)
    if not faces:
        report.none += 1
        return None
    large = [face for face in faces if min(face.box.height, face.box.width) >= rules.smallest]
    if not large:
        report.tiny += 1
        return None
    if len(large) > 1 and rules.several == "skip":
        report.crowded += 1
        return None
    report.cut += 1
    report.several += len(large) > 1
    report.turned += turned
    upright, face = _bounded(upright, large[0], rules.margin)
    if rules.align and face.eyes is not None:
        return _aligned(upright, face, rules)
    return _resized(_square(upright, face.box, rules.margin), rules.size)


def _find(
    image: np.ndarray, detector: Detector, turn: bool
) -> tuple[np.ndarray, Sequence[Detection], bool]:
    """The image as its faces stand upright, the faces, and whether it had to be turned."""
    faces = detector.detect(image)
    if faces or not turn:
        return image, faces, False
    turns = [np.ascontiguousarray(np.rot90(image, quarters)) for quarters in (1, 2, 3)]
    found = [(detector.detect(upright), upright) for upright in turns]
    # A detector may see a small face in a face upside down: the best one decides.
    faces, upright = max(found, key=lambda pair: _trust(pair[0]))
    return upright, faces, bool(faces)


def _trust(faces: Sequence[Detection]) -> tuple[float, float]:
    best = max((face.score for face in faces), default=0.0)
    return best, max((face.box.height * face.box.width for face in faces), default=0)


def _aligned(image: np.ndarray, face: Detection, rules: CropRules) -> np.ndarray:
    """Cut along the line of the eyes instead of the image's rows; the same center and scale."""
    (left_x, left_y), (right_x, right_y) = face.eyes
    angle = np.arctan2(right_y - left_y, right_x - left_x)
    box, scale = face.box, _side(face.box, rules.margin) / rules.size
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    middle_x, middle_y = box.left + box.width / 2, box.top + box.height / 2
    half = rules.size / 2
    # Outside the image its border repeats, as in ``_square``; two more pixels for interpolation.
    reach = half * (abs(cosine) + abs(sine)) + 2
    height, width = image.shape[:2]
    before_y, before_x = (max(0, math.ceil(reach - middle)) for middle in (middle_y, middle_x))
    after_y = max(0, math.ceil(middle_y + reach - height))
    after_x = max(0, math.ceil(middle_x + reach - width))
    if before_y or before_x or after_y or after_x:
        image = np.pad(image, ((before_y, after_y), (before_x, after_x), (0, 0)), mode="edge")
    middle_x, middle_y = middle_x + before_x, middle_y + before_y
    # Pillow asks for the place in the image that each pixel of the result comes from.
    matrix = (
        *(cosine, -sine, middle_x - half * (cosine - sine)),
        *(sine, cosine, middle_y - half * (sine + cosine)),
    )
    size = (rules.size, rules.size)
    turned = Image.fromarray(image).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(turned)


def detect_faces(image: np.ndarray, min_fraction: float = 0.15) -> list[FaceBox]:
    """Find upright frontal faces.

    Args:
        image: RGB, uint8, (height, width, 3).
        min_fraction: smallest face to look for, as a fraction of the shorter image side.

    Returns:
        One box a face, largest first; an empty list when there is none. Detections that
        overlap by more than a third are one face, and the largest box is kept.

    Raises:
        ValueError: ``image`` is not a uint8 RGB array or ``min_fraction`` not in (0, 1].
    """
    _check_rgb(image)
    _check_share(min_fraction, "min_fraction")
    shorter = min(image.shape[:2])
    smallest = max(WINDOW, round(min_fraction * shorter))
    if shorter < smallest:
        return []
    found = _cascade().detect_multi_scale(
        img=np.ascontiguousarray(image),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(smallest, smallest),
        max_size=(shorter, shorter),
    )
    boxes = [FaceBox(hit["r"], hit["c"], hit["height"], hit["width"]) for hit in found]
    boxes.sort(key=lambda box: (-box.height * box.width, box.top, box.left))
    faces: list[FaceBox] = []
    for box in boxes:
        if all(_overlap(box, kept) <= 1 / 3 for kept in faces):
            faces.append(box)
    return faces


def crop_face(
    image: np.ndarray,
    margin: float = 0.5,
    size: int = 96,
    several: Literal["largest", "error"] = "largest",
) -> np.ndarray:
    """Detect a face and return it as a square with context around it.

    Args:
        image: RGB, uint8, (height, width, 3).
        margin: context added on each side, as a fraction of the detected box's side. The
            cascade's box runs from the brows to the chin; 0.5 takes in hair and neck.
        size: side of the result in pixels.
        several: with more than one face, take the ``"largest"`` or raise (``"error"``).

    Returns:
        RGB, uint8, (size, size, 3). Where the square leaves the image, the border pixels repeat.

    Raises:
        FaceError: no face was found, or several were and ``several="error"``.
        ValueError: another argument has a value it cannot have.
    """
    _check_crop(margin, size)
    if several not in ("largest", "error"):
        raise ValueError(f"several is {several!r}; expected 'largest' or 'error'")
    faces = detect_faces(image)
    if not faces:
        raise FaceError(
            f"no face found in an image of {image.shape[1]} x {image.shape[0]} pixels; the "
            "detector needs one upright frontal face at least 24 pixels wide: turn or enlarge "
            "the image, or crop it by hand"
        )
    if len(faces) > 1 and several == "error":
        raise FaceError(
            f"{len(faces)} faces found, expected one; crop the image to one person or pass "
            "several='largest'"
        )
    image, face = _bounded(image, Detection(faces[0], 1.0), margin)
    return _resized(_square(image, face.box, margin), size)


def _bounded(image: np.ndarray, face: Detection, margin: float) -> tuple[np.ndarray, Detection]:
    """Shrink an image whose square would be huge, so that memory stays bounded."""
    factor = math.ceil(_side(face.box, margin) / _LARGEST_SQUARE)
    if factor <= 1:
        return image, face
    small = np.asarray(Image.fromarray(image).reduce(factor))
    box = FaceBox(*(round(value / factor) for value in face.box))
    eyes = face.eyes and tuple((x / factor, y / factor) for x, y in face.eyes)
    return small, Detection(box, face.score, eyes)


def _square(image: np.ndarray, box: FaceBox, margin: float) -> np.ndarray:
    """Cut the widened box out, repeating the border where it reaches outside."""
    half = _side(box, margin) / 2
    side = max(1, round(2 * half))
    rows = round(box.top + box.height / 2 - half) + np.arange(side)
    columns = round(box.left + box.width / 2 - half) + np.arange(side)
    rows = rows.clip(0, image.shape[0] - 1)
    columns = columns.clip(0, image.shape[1] - 1)
    return image[rows[:, None], columns[None, :]]


def _side(box: FaceBox, margin: float) -> float:
    return (1 + 2 * margin) * max(box.height, box.width)


def _resized(square: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


def _overlap(a: FaceBox, b: FaceBox) -> float:
    """Shared area over the smaller box's area."""
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    smaller = min(a.height * a.width, b.height * b.width)
    return max(height, 0) * max(width, 0) / smaller


def _check_crop(margin: float, size: int) -> None:
    if not 0 <= margin <= LARGEST_MARGIN or not 1 <= size <= LARGEST_SIZE:
        raise ValueError(
            f"margin is {margin} and size {size}; expected a margin of 0 to {LARGEST_MARGIN:g} and "
            f"a size of 1 to {LARGEST_SIZE:,} pixels"
        )


def _check_share(share: float, name: str) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"{name} is {share}; expected more than 0 and at most 1")


def _check_rgb(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise ValueError(f"image is {kind}; expected a numpy array of uint8 values 0 to 255")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image has shape {image.shape}; expected RGB, (height, width, 3)")
    if 0 in image.shape:
        raise ValueError(f"image has shape {image.shape}; expected at least one pixel")


@cache
def _cascade() -> Cascade:
    return Cascade(lbp_frontal_face_cascade_filename())


@cache
def _cascade_sha256() -> str:
    return hashlib.sha256(Path(lbp_frontal_face_cascade_filename()).read_bytes()).hexdigest()
