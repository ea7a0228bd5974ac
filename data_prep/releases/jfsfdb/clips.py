"""One clip of a release, and its frames: a video, a folder of images, or a 3DMAD recording."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from data_prep.decoding import ImageError, decode_image
from data_prep.errors import ReadError
from data_prep.limits import limit, too_large
from data_prep.media.kinds import IMAGE, VIDEO, kind_of
from data_prep.media.video import TURNS, VideoError, sample_frames, spread
from data_prep.reading import open_regular, read_bytes

HDF5_SUFFIXES = (".hdf5", ".h5")
# What h5py raises for damaged files, some of it by accident.
_HDF5_FAILURES = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    MemoryError,
    OverflowError,
)

Frames = Iterator[tuple[int, np.ndarray]]
"""Numbers and frames, one at a time; a damaged frame raises when it is asked for."""


@dataclass(frozen=True)
class Clip:
    """A clip with what its release says of it.

    Attributes:
        video: path in the release, with "/".
        type: attack type, or ``"live"``.
        subject: the person; of a swapped face the person whose video it is.
        source: the recording an attack was made from, where names tell; else the clip itself.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        rotation: degrees clockwise, where the device is known to need it; None trusts the file.
        facts: what else a name says (device, session), for the table of clips.
    """

    video: str
    type: str
    subject: str
    source: str = ""
    split: str = ""
    rotation: int | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A name for files: readable where possible, and no two clips have the same."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", Path(self.video).with_suffix("").as_posix())
        return f"{plain.strip('-')[-48:]}-{_digest(self.video)[:10]}"


def _digest(name: str) -> str:
    # A name of bytes that are no UTF-8 comes with those bytes as surrogates.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def read_clip(path: Path, count: int, rotation: int | None = None, axes: str = "auto") -> Frames:
    """Give frames evenly spread over a clip, RGB uint8 (as ``media.video.sample_frames`` does).

    ``axes`` is the order of an HDF5 recording's axes (see ``read_hdf5``).

    Raises:
        VideoError: If the clip is empty, damaged, or too short; the message names it.
    """
    if path.is_dir():
        return read_pictures(path, count, rotation)
    if path.suffix.lower() in HDF5_SUFFIXES:
        return read_hdf5(path, count, rotation, axes)
    return sample_frames(path, count, rotation)


def clip_kind(path: Path) -> tuple[str, str]:
    """Return as ``media.kinds.kind_of``; hidden files, which systems leave behind, are neither."""
    if path.name.startswith("."):
        return "", "hidden"
    return (VIDEO, "") if path.suffix.lower() in HDF5_SUFFIXES else kind_of(path)


def is_picture(path: Path) -> bool:
    """Return whether a file is an image, and so a frame of the clip that its folder is."""
    return clip_kind(path)[0] == IMAGE


def read_pictures(folder: Path, count: int, rotation: int | None = None) -> Frames:
    """Give frames of a clip that is a folder of images, in the order of their numbers."""
    pictures = [path for path in folder.iterdir() if is_picture(path)]
    pictures.sort(key=_numbers)
    _check_length(folder, len(pictures))
    for index in spread(len(pictures), count):
        try:
            picture = decode_image(read_bytes(pictures[index]))
        except ImageError as error:
            raise VideoError(f"{pictures[index]}: does not decode ({error})") from error
        except ReadError as error:
            raise VideoError(str(error)) from error
        yield index, _turned(np.asarray(picture), rotation)


def read_hdf5(path: Path, count: int, rotation: int | None = None, axes: str = "auto") -> Frames:
    """Frames of ``Color_Data`` in a recording of 3DMAD.

    ``axes`` says what its four axes are: letters of n (frame), h, w and c (color) in their order.
    ``"auto"`` takes the axis of length 3 for color and the picture to be wider than high, as the
    sensor's is (640 x 480). The release's own order is known from memory only.
    """
    try:
        with open_regular(path) as file:
            if not file.read(1):
                raise VideoError(f"{path}: the file is empty (0 bytes); copy it again")
        with h5py.File(path, "r") as recording:
            data = _color_data(path, recording)
            order = _axes(path, data.shape) if axes == "auto" else axes
            if data.dtype != np.uint8 or sorted(order) != sorted("nhwc") or order[0] != "n":
                raise VideoError(
                    f"{path}: Color_Data is {data.dtype} of shape {data.shape}, read as {order!r}; "
                    "expected uint8 with the frame first (rule 'axes': nchw, nhwc or ncwh)"
                )
            _check_length(path, len(data))
            _check_size(path, data)
            turn = [order.index(axis) - 1 for axis in "hwc"]
            for index in spread(len(data), count):
                yield index, _turned(data[index].transpose(turn), rotation)
    except VideoError:
        raise
    except ReadError as error:
        raise VideoError(str(error)) from error
    except _HDF5_FAILURES as error:
        raise VideoError(f"{path}: not an HDF5 file that can be read ({error})") from error


def _color_data(path: Path, recording: h5py.File) -> h5py.Dataset:
    """The frames, which have to be in the file itself: HDF5 can also refer to other files."""
    links = recording.id.links
    if not links.exists(b"Color_Data"):
        has = ", ".join(recording) or "nothing"
        raise VideoError(f"{path}: has no Color_Data (it has: {has})")
    # Asked of the link, not of what it leads to: that would open the other file.
    own = links.get_info(b"Color_Data").type == h5py.h5l.TYPE_HARD
    data = recording["Color_Data"] if own else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise VideoError(
            f"{path}: Color_Data is no array kept in this file; nothing is read from other files"
        )
    return data


def _check_size(path: Path, data: h5py.Dataset) -> None:
    """Refuse frames that are empty or huge; a frame that was never written takes no space."""
    if 0 in data.shape:
        raise VideoError(f"{path}: Color_Data has shape {data.shape}, which holds no pixel")
    # A chunk is unpacked as a whole, even if one frame of it is asked for.
    for shape, whole in ((data.shape[1:], "each frame"), (data.chunks or (), "each chunk")):
        pixels = math.prod(shape) // 3
        if pixels > limit("frame_pixels"):
            raise VideoError(f"{path}: {whole} {too_large('frame_pixels', pixels)}")


def _axes(path: Path, shape: tuple[int, ...]) -> str:
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise VideoError(
            f"{path}: Color_Data has shape {shape}; expected (frames, 3, height, width) or "
            "(frames, height, width, 3)"
        )
    sides = [side for place, side in enumerate(shape[1:]) if place != (0 if shape[1] == 3 else 2)]
    picture = "hw" if sides[0] <= sides[1] else "wh"
    return f"nc{picture}" if shape[1] == 3 else f"n{picture}c"


def _check_length(path: Path, frames: int) -> None:
    if frames < 2:
        raise VideoError(f"{path}: {frames} frame(s), expected 2 or more; a damaged copy")


def _turned(picture: np.ndarray, rotation: int | None) -> np.ndarray:
    if rotation not in (None, *TURNS):
        raise ValueError(f"rotation is {rotation}; expected None or one of {TURNS}")
    return np.ascontiguousarray(np.rot90(picture, -(rotation or 0) // 90))


def _numbers(path: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"[0-9]+", path.stem)], path.name
