"""Which files are images or videos: by their endings, or by their first bytes where those tell."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import ReadError
from data_prep.reading import open_regular

IMAGE, VIDEO = "image", "video"
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pnm"),
)
# Containers that FFmpeg opens and whose frames data_prep.media.video was tried on.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".mts", ".m2ts", ".ts", ".vob", ".wmv", ".asf", ".flv", ".ogv"),
)
_JPEG = "convert it to JPEG or PNG at full quality"
_MP4 = "convert it to MP4"
MUST_CONVERT = {
    (".heic", ".heif", ".hif"): f"HEIC, which iPhones write: {_JPEG} (heif-convert, or export it)",
    (".avif",): f"AVIF: {_JPEG}",
    (".jxl",): f"JPEG XL: {_JPEG}",
    (".jp2", ".j2k", ".jpx"): f"JPEG 2000: {_JPEG}",
    (".gif",): f"GIF, which holds 256 colors: use the original recording, or {_JPEG}",
    (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw"): (
        f"a camera's raw data: {_JPEG} with the camera's own program"
    ),
    (".exr", ".hdr"): f"floating-point pixels: {_JPEG} with the range that you mean",
    (".psd", ".xcf", ".svg", ".pdf", ".eps"): f"a document: export the photograph ({_JPEG})",
    (".rm", ".rmvb", ".swf", ".mxf", ".insv", ".braw", ".r3d"): f"a kind of video not read: {_MP4}",
}
_REASONS = {ending: reason for endings, reason in MUST_CONVERT.items() for ending in endings}
_HEAD = 512


def kind_of(path: Path) -> tuple[str, str]:
    """Tell ``"image"`` or ``"video"``, or else ``""`` and the reason why a file is neither.

    A file with another ending is known by its first bytes; text never looks like an image.
    """
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return IMAGE, ""
    if suffix in VIDEO_SUFFIXES:
        return VIDEO, ""
    if suffix in _REASONS:
        return "", f"must be converted: {_REASONS[suffix]}"
    try:
        with open_regular(path) as file:
            found, name = _by_content(file.read(_HEAD))
    except (OSError, ReadError) as error:
        return "", f"cannot be read ({error})"
    if found:
        return found, ""
    if name:
        return "", f"must be converted: {name}"
    return "", "neither an image nor a video"


def what_it_is(data: bytes) -> str:
    """Say, as an addition to an error, what the bytes of a supposed image are instead."""
    kind, name = _by_content(data[:_HEAD])
    if kind == VIDEO:
        return "; by its contents it is a video: give it the ending of one"
    return f"; by its contents it is {name}" if name else ""


def _by_content(head: bytes) -> tuple[str, str]:
    """Image or video, or the reason to convert what was recognized."""
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
    if head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return IMAGE, ""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
            return "", _REASONS[".heic"]
        return ("", _REASONS[".avif"]) if brand in (b"avif", b"avis") else (VIDEO, "")
    if head.startswith(
        (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\0\0\x01\xba", b"0&\xb2u\x8ef\xcf")
    ):
        return VIDEO, ""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return VIDEO, ""
    if head[:1] == b"G" == head[188:189] == head[376:377]:  # packets of a transport stream
        return VIDEO, ""
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "", _REASONS[".gif"]
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "", _REASONS[".jxl"]
    return "", ""
