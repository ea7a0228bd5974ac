"""Whether image files can be read, and what is in them: one pass over every byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageOps
from tqdm import tqdm

from data_prep.contract.packed import PackedFile, image_bytes
from data_prep.decoding import (
    UNREADABLE,
    DamagedImage,
    ImageError,
    decode_image,
    open_image,
    reason,
    taking_turns,
)
from data_prep.errors import DatasetError, MissingFile
from data_prep.media.kinds import what_it_is

_FORMAT_OF = {".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"} | dict.fromkeys(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"
)
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True)
class ImageFacts:
    """What one pass over a file found; ``error`` says why it cannot be used, else is empty."""

    sha256: bytes
    width: int
    height: int
    misnamed: str
    error: str


def inspect_image(path: Path | PackedFile) -> ImageFacts:
    """Read a file once: its digest, its size in pixels, and whether all of it decodes."""
    try:
        data = image_bytes(path)
    except MissingFile:
        return ImageFacts(b"", 0, 0, "", "No such file or directory")
    except DatasetError as error:
        return ImageFacts(b"", 0, 0, "", str(error).removeprefix(f"{path}: "))
    digest = hashlib.sha256(data).digest()
    try:
        found, width, height = _examined(data)
    except DamagedImage as error:
        kind = "is empty" if not data else "is no image, or one that is cut off or damaged"
        return ImageFacts(digest, 0, 0, "", f"{kind} ({error}){what_it_is(data)}")
    except ImageError as error:
        return ImageFacts(digest, 0, 0, "", f"cannot be used: {error}")
    expected = _FORMAT_OF.get(path.suffix.lower(), found)
    return ImageFacts(digest, width, height, found if found != expected else "", "")


def inspect_images(
    paths: Sequence[Path | PackedFile], workers: int | None = None
) -> list[ImageFacts]:
    """Inspect many files on ``workers`` threads (default: one a core), with a progress bar.

    Decoding and hashing leave Python's lock, so threads are as good as processes here.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        found = pool.map(inspect_image, paths)
        return list(tqdm(found, total=len(paths), desc="read images", unit="image"))


def _examined(data: bytes) -> tuple[str, int, int]:
    """Format, width, and height of an image that decodes as a whole."""
    try:
        with open_image(data) as image:
            found = "JPEG" if image.format == "MPO" else str(image.format)
            if found != "JPEG":  # its pixels decide whether it can be read at all
                return found, *decode_image(data).size
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) >= 5:  # to be shown turned by a quarter
                width, height = height, width
            with taking_turns(image):
                # An eighth of the size: every bit is decoded, most of the arithmetic is spared.
                image.draft("L", (max(1, width // 8), max(1, height // 8)))
                ImageOps.exif_transpose(image)  # decodes, and turns as readers will
            return found, width, height
    except ImageError:
        raise
    except UNREADABLE as error:
        raise DamagedImage(reason(error)) from error
