"""Whether image files can be read, and what is in them: one pass over every byte."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps
from tqdm import tqdm

# Formats of photographs; "JPEG" also opens MPO, which phones write and which has no opener of its
# own. Pillow knows further formats that start other programs or hide vectors.
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
# What Pillow raises on damaged files, broken EXIF tags included.
UNREADABLE = (
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)
_FORMAT_OF = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True)
class ImageFacts:
    """What one pass over a file found; ``error`` says why it cannot be used, else is empty."""

    sha256: bytes
    width: int
    height: int
    misnamed: str
    error: str


def inspect_image(path: Path) -> ImageFacts:
    """Read a file once: its digest, its size in pixels and whether all of it decodes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return ImageFacts(b"", 0, 0, "", error.strerror or str(error))
    digest = hashlib.sha256(data).digest()
    try:
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            found = "JPEG" if image.format == "MPO" else str(image.format)
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) >= 5:  # to be shown turned by a quarter
                width, height = height, width
            # An eighth of the size: every bit is still decoded, most of the arithmetic is spared.
            image.draft("L", (max(1, width // 8), max(1, height // 8)))
            ImageOps.exif_transpose(image)  # decodes, and turns as readers will
    except UNREADABLE as error:
        kind = "is empty" if not data else "is no image, or one that is cut off or damaged"
        return ImageFacts(digest, 0, 0, "", f"{kind} ({_without_object(error)})")
    expected = _FORMAT_OF.get(path.suffix.lower(), found)
    return ImageFacts(digest, width, height, found if found != expected else "", "")


def inspect_images(paths: Sequence[Path], workers: int | None = None) -> list[ImageFacts]:
    """Inspect many files on ``workers`` threads (default: one a core), with a progress bar.

    Decoding and hashing leave Python's lock, so threads are as good as processes here.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        found = pool.map(inspect_image, paths)
        return list(tqdm(found, total=len(paths), desc="read images", unit="image"))


def _without_object(error: Exception) -> str:
    """Pillow names the in-memory file in its messages, which helps nobody."""
    text = str(error)
    return "unknown format" if "BytesIO" in text else text
