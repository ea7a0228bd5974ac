"""Image files decoded to 8-bit RGB: the one way for import, check, training, and audit.

This file and Pillow decide every pixel that is read, so a run's identity covers both.
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from data_prep.limits import limit, too_large

# Formats of photographs. "JPEG" also opens MPO, which phones write and which has no opener of its
# own. Pillow knows further formats that start other programs or hide vectors.
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")
# What Pillow raises for damaged files, including broken EXIF tags.
UNREADABLE = (
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    struct.error,
    Image.DecompressionBombError,
)
BACKGROUND = (128, 128, 128)
"""Color behind transparent pixels. Mid-gray is neither a lit nor a dark surrounding."""
_LARGE = 12_000_000
_one_large_image = threading.Lock()
_DARKEST_RANGE = 4_096
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags


class ImageError(ValueError):
    """An image that cannot become 8-bit RGB, or only by guessing; its message says why."""


class DamagedImage(ImageError):
    """Bytes that are no image, or one that is cut off or damaged."""


def decode_image(data: bytes) -> Image.Image:
    """Decode a file's bytes to an RGB image, turned as its EXIF orientation says.

    Gray images of more than 8 bits are scaled from the full range of their format. Transparent
    pixels are laid on ``BACKGROUND``. The first image of an animation is taken.

    Raises:
        DamagedImage: If the bytes do not decode.
        ImageError: If there are more pixels than the limit ``image_pixels``, or if the value for
            white is unknown (floating point, 32 bits, or 16 bits and at most 12 of them used).
    """
    try:
        with open_image(data) as image, taking_turns(image):
            ImageOps.exif_transpose(image, in_place=True)
            image.load()
            return image if image.mode == "RGB" and not _keyed(image) else _to_rgb(image)
    except ImageError:
        raise
    except UNREADABLE as error:
        raise DamagedImage(reason(error)) from error


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image and check its size; decodes nothing.

    Raises:
        ImageError: If the image is too large.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit below replaces Pillow's, which only warns at first
    image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    if image.width * image.height > limit("image_pixels"):
        pixels = image.width * image.height
        image.close()
        raise ImageError(f"{image.width} x {image.height}, {too_large('image_pixels', pixels)}")
    return image


@contextmanager
def taking_turns(image: Image.Image) -> Iterator[None]:
    """Let threads decode side by side, but large images one at a time: memory stays bounded."""
    if image.width * image.height <= _LARGE:
        yield
        return
    with _one_large_image:
        yield


def reason(error: Exception) -> str:
    """Return what Pillow says, without the in-memory file that its messages name."""
    text = str(error)[:200]
    return "unknown format" if "BytesIO" in text else text or type(error).__name__


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError(
            "floating-point pixels, whose value for white is unknown; convert it to 8 bits with "
            "the range that you mean"
        )
    if image.mode.startswith("I"):
        return _from_deep_gray(image)
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("LA", "PA", "RGBA") or _keyed(image):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _keyed(image: Image.Image) -> bool:
    """Whether a color of the image means transparent."""
    return "transparency" in image.info and image.mode in ("1", "L", "P", "RGB")


def _from_deep_gray(image: Image.Image) -> Image.Image:
    """Scale gray of more than 8 bits to 8, where the format says what white is."""
    white = _white(image)
    if white is None:
        raise ImageError(
            f"gray pixels of mode {image.mode}, whose value for white is unknown; convert it to 8 "
            "bits with the range that you mean"
        )
    largest = image.getextrema()[1]
    if white == 65_535 and largest < _DARKEST_RANGE:
        raise ImageError(
            f"16-bit gray whose largest value is {largest:,} of {white:,}: the sensor's own range "
            "is unknown, and scaled from 16 bits it would be black; convert it to 8 bits with the "
            "sensor's range"
        )
    levels = (255 * np.arange(white + 1) + white // 2) // white  # rounded to the nearest
    levels = levels.astype(np.uint8)
    return Image.fromarray(levels[np.asarray(image).clip(0, white)]).convert("RGB")


def _white(image: Image.Image) -> int | None:
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (0,))[0]
        zero_is_black = image.tag_v2.get(_PHOTOMETRIC) == 1
        known = image.mode.startswith("I;16") and bits in (12, 16) and zero_is_black
        return 2**bits - 1 if known else None
    # Pillow brings gray PPM files of any range to 16 bits; PNG has 16 or fewer.
    return 65_535 if image.format in ("PNG", "PPM") else None
