"""Find a face in a photograph and cut it out the way the prepared datasets hold faces.

The detector is the local-binary-pattern cascade that ships inside scikit-image: no download, a
tenth of a second an image, upright frontal faces only. It is good enough to bring one's own
portrait into the book; a dataset deserves a stronger detector.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

WINDOW = 24  # side of the cascade's smallest search window, in pixels


class FaceBox(NamedTuple):
    """A square around a face, in pixels; ``top`` and ``left`` are inside the box."""

    top: int
    left: int
    height: int
    width: int


class FaceError(ValueError):
    """No face where one was needed, or several where exactly one was allowed."""


def detect_faces(image: np.ndarray, min_fraction: float = 0.15) -> list[FaceBox]:
    """Find upright frontal faces.

    Args:
        image: RGB, uint8, (height, width, 3).
        min_fraction: smallest face to look for, as a fraction of the shorter image side.

    Returns:
        One box a face, largest first; an empty list when there is none. Detections that
        overlap by more than a third are one face, of which the largest box is kept.

    Raises:
        ValueError: ``image`` is not a uint8 RGB array or ``min_fraction`` not in (0, 1].
    """
    _check_rgb(image)
    if not 0 < min_fraction <= 1:
        raise ValueError(f"min_fraction is {min_fraction}; expected more than 0 and at most 1")
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
    if margin < 0 or size < 1:
        raise ValueError(f"margin is {margin} and size {size}; expected margin >= 0 and size >= 1")
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
    square = _square(image, faces[0], margin)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


def _square(image: np.ndarray, box: FaceBox, margin: float) -> np.ndarray:
    """Cut the widened box out, repeating the border where it reaches outside."""
    half = (0.5 + margin) * max(box.height, box.width)
    side = max(1, round(2 * half))
    rows = round(box.top + box.height / 2 - half) + np.arange(side)
    columns = round(box.left + box.width / 2 - half) + np.arange(side)
    rows = rows.clip(0, image.shape[0] - 1)
    columns = columns.clip(0, image.shape[1] - 1)
    return image[rows[:, None], columns[None, :]]


def _overlap(a: FaceBox, b: FaceBox) -> float:
    """Shared area over the smaller box's area."""
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    smaller = min(a.height * a.width, b.height * b.width)
    return max(height, 0) * max(width, 0) / smaller


def _check_rgb(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise ValueError(f"image is {kind}; expected a numpy array of uint8 values 0 to 255")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image has shape {image.shape}; expected RGB, (height, width, 3)")


@cache
def _cascade() -> Cascade:
    return Cascade(lbp_frontal_face_cascade_filename())
