"""Frames of a video: evenly spread, upright, one at a time.

A video is read twice. The first pass looks at its packets only, decodes nothing, and learns how
many frames there really are and when each is shown. The second decodes the frames asked for,
jumping to the keyframe before each where that skips something. One frame is in memory at a time,
and 16 bytes for each frame of the video.

Frames come out as a player shows them: turned and mirrored as the display matrix says, and
stretched where pixels are not square. A clip that asks for more is refused.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image

from data_prep.errors import MissingFile, ReadError
from data_prep.limits import limit, too_large
from data_prep.reading import open_regular

# What cameras and the releases write. Playlists and image formats are left out on purpose:
# FFmpeg would open the files that a playlist names, wherever they are.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,h264,hevc"
TURNS = (0, 90, 180, 270)
# Some writers count a frame or two that they never wrote; a cut file lacks much more.
COMPLETE_SHARE = 0.95
# How much wider or narrower than square the pixels of a true recording can be.
_WIDEST_PIXEL = 4.0
_STREAMS = 16
# What PyAV raises for damaged files, some of it by accident.
_FAILURES = (
    av.FFmpegError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
)


class VideoError(ValueError):
    """A file that is no video or cannot be used; the message names it."""


@dataclass(frozen=True)
class VideoInfo:
    """Facts about a video from its packets.

    ``times`` holds the time stamp of every frame in the order shown, in ticks of the stream.
    ``keyframes`` are the time stamps that decoding can start from, in the same order. Both are
    int64, and empty where a format has none. ``declared`` is the number of frames in the header, 0
    if it has none. ``damaged`` says that a packet is broken, or that the header promises a longer
    video.
    """

    frames: int
    declared: int
    width: int
    height: int
    damaged: bool
    times: NDArray[np.int64] = field(compare=False)
    keyframes: NDArray[np.int64] = field(compare=False)

    @property
    def truncated(self) -> bool:
        """Return whether packets are cut off, or clearly fewer than the header says."""
        return self.damaged or self.frames < COMPLETE_SHARE * self.declared


def sample_frames(
    path: str | Path,
    count: int,
    rotation: int | None = None,
    *,
    at_least: int = 2,
    allow_truncated: bool = False,
    seek: bool = True,
) -> Iterator[tuple[int, np.ndarray]]:
    """Give frames evenly spread over a video: the middles of ``count`` equal stretches of it.

    Args:
        path: the video.
        count: frames wanted; a video with fewer gives all it has.
        rotation: degrees to turn the frames clockwise (0, 90, 180, 270) regardless of the file;
            ``None`` turns and mirrors them as the file's display matrix says.
        at_least: frames that a video must have; 1 also takes a single image.
        allow_truncated: take what is there of a video that was cut off.
        seek: jump over what is not needed; False decodes everything up to the last frame wanted.

    Yields:
        Pairs of a frame's number (in the order shown, from 0) and the frame, RGB, uint8,
        (height, width, 3). A frame is decoded when it is asked for, so a damaged one raises only
        then.

    Raises:
        VideoError: If it is no video, has no frames or too few, is cut off or too large, if a frame
            does not decode, or if a player would show it in a way that is not supported.
        ValueError: If an argument has an impossible value.
    """
    if count < 1 or at_least < 1:
        raise ValueError(f"count is {count} and at_least {at_least}; expected 1 or more")
    path = Path(path)
    info = probe(path)
    if info.frames < at_least:
        raise VideoError(
            f"{path}: {info.frames} frame(s), expected {at_least} or more; a picture under a "
            "video's name, or a damaged copy (at_least=1 takes it)"
        )
    if info.truncated and not allow_truncated:
        raise VideoError(
            f"{path}: cut off: {info.frames} whole frames of {info.declared or 'more'}; copy the "
            "file again (allow_truncated=True takes what is there)"
        )
    return read_frames(path, spread(info.frames, count), rotation, seek=seek, info=info)


def spread(frames: int, count: int) -> list[int]:
    """Return the middles of ``count`` equal stretches of ``frames`` frames, or all if too few.

    The middles keep away from both ends, where recordings fade in, shake or are cut off.
    """
    if count >= frames:
        return list(range(frames))
    return [(2 * number + 1) * frames // (2 * count) for number in range(count)]


def read_frames(
    path: str | Path,
    indices: Sequence[int],
    rotation: int | None = None,
    *,
    seek: bool = True,
    info: VideoInfo | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the frames of the given numbers, one after the other (see ``sample_frames``).

    Raises:
        VideoError: If a frame is not there or does not decode.
        ValueError: If ``indices`` do not rise, or ``rotation`` is not a quarter turn.
    """
    path, wanted = Path(path), list(indices)
    if wanted != sorted(set(wanted)) or (wanted and wanted[0] < 0):
        raise ValueError(f"indices are {wanted}; expected rising numbers from 0")
    if rotation not in (None, *TURNS):
        raise ValueError(f"rotation is {rotation}; expected None or one of {TURNS}")
    info = info or probe(path)
    if wanted and wanted[-1] >= info.frames:
        raise VideoError(f"{path}: no frame {wanted[-1]}; it has {info.frames}, counted from 0")
    return _read(path, wanted, rotation, seek, info)


def _read(
    path: Path, wanted: list[int], rotation: int | None, seek: bool, info: VideoInfo
) -> Iterator[tuple[int, np.ndarray]]:
    if not wanted:
        return
    # Without a time stamp for every frame nobody can tell which one a jump has led to.
    jumps = seek and len(np.unique(info.times)) == info.frames and len(info.keyframes) > 0
    decode = _jumping if jumps else _decoding_all
    given = 0
    for index, frame, ratio in decode(path, wanted, info):
        with _telling(path):
            picture = _as_shown(frame, rotation, ratio)
        yield index, picture
        given += 1
    if given < len(wanted):
        raise VideoError(
            f"{path}: frame {wanted[given]} of {info.frames} does not decode; the file is damaged"
        )


def probe(path: str | Path) -> VideoInfo:
    """Look at a video's packets without decoding one.

    Raises:
        VideoError: If the file is missing, empty, or no video, or has no frames.
    """
    path = Path(path)
    shown, starts, hidden, damaged, timed = array("q"), array("q"), 0, False, True
    with _open(path) as (container, stream):
        _check_frames(path, stream.frames)
        for packet in _packets(container, stream):
            damaged = damaged or packet.is_corrupt
            # An edit list hides packets that are decoded only for others that need them.
            hidden += packet.is_discard
            if packet.is_discard or packet.is_corrupt:
                continue
            timed = timed and packet.pts is not None
            shown.append(packet.pts or 0)
            if packet.is_keyframe:
                starts.append(packet.pts or 0)
            if len(shown) % 4096 == 0:
                _check_frames(path, len(shown))
        if not shown:
            raise VideoError(f"{path}: no frame in it; the file is cut off, copy it again")
        times = np.sort(np.asarray(shown if timed else array("q"), np.int64))
        return VideoInfo(
            frames=len(shown),
            declared=max(stream.frames - hidden, 0),
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            damaged=damaged or _ends_early(container, stream, times),
            times=times,
            keyframes=np.sort(np.asarray(starts if timed else array("q"), np.int64)),
        )


def _ends_early(
    container: av.container.InputContainer, stream: av.VideoStream, times: NDArray[np.int64]
) -> bool:
    """For formats that declare seconds and no frames: whether the last frame comes too soon."""
    # Beside a longer sound track that would be no sign of damage.
    if stream.frames or not container.duration or len(container.streams) > 1 or len(times) < 2:
        return False
    lasts = float(times[-1] - times[0]) * len(times) / (len(times) - 1) * float(stream.time_base)
    return lasts < COMPLETE_SHARE * container.duration / av.time_base


def _decoding_all(
    path: Path, wanted: list[int], info: VideoInfo
) -> Iterator[tuple[int, av.VideoFrame, float]]:
    left = list(reversed(wanted))
    with _open(path) as (container, stream):
        for index, frame in enumerate(_frames(container, stream)):
            if index == left[-1]:
                yield left.pop(), frame, _pixel_ratio(stream)
            if not left:
                return


def _jumping(
    path: Path, wanted: list[int], info: VideoInfo
) -> Iterator[tuple[int, av.VideoFrame, float]]:
    """Start at the keyframe before a frame wherever that passes over frames."""
    with _open(path) as (container, stream):
        position, done = None, 0  # time and number of the last frame decoded
        frames: Iterator[av.VideoFrame] = iter(())
        for index in wanted:
            target = int(info.times[index])
            before = int(np.searchsorted(info.keyframes, target, "right"))
            start = int(info.keyframes[before - 1]) if before else None
            passes_over = start is not None and (
                position is None or start > int(info.times[min(done + 1, info.frames - 1)])
            )
            if passes_over:
                container.seek(start, stream=stream, backward=True, any_frame=False)
                frames = _frames(container, stream)
            elif position is None:
                frames = _frames(container, stream)
            frame = next((frame for frame in frames if _at_or_after(frame, target)), None)
            if frame is None or frame.pts != target:
                # The jump led past the frame: the slow way is always right.
                yield from _decoding_all(path, wanted[wanted.index(index) :], info)
                return
            position, done = target, index
            yield index, frame, _pixel_ratio(stream)


def _at_or_after(frame: av.VideoFrame, time: int) -> bool:
    return frame.pts is not None and frame.pts >= time


def _as_shown(frame: av.VideoFrame, rotation: int | None, ratio: float) -> np.ndarray:
    """The frame as a player shows it, RGB; ``ratio`` is a pixel's width over its height."""
    if frame.width * frame.height > limit("frame_pixels"):
        raise VideoError(f"a frame {too_large('frame_pixels', frame.width * frame.height)}")
    picture = frame.to_ndarray(format="rgb24")
    if ratio != 1:
        # The side that is too short grows, so that nothing is lost.
        size = round(frame.width * max(ratio, 1)), round(frame.height / min(ratio, 1))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    if rotation is not None:
        return np.ascontiguousarray(np.rot90(picture, -rotation // 90))
    swapped, mirrored, flipped = _display(frame)
    picture = picture.transpose(1, 0, 2) if swapped else picture
    picture = picture[:, ::-1] if mirrored else picture
    return np.ascontiguousarray(picture[::-1] if flipped else picture)


def _display(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether rows and columns change places, then columns are reversed, then rows.

    The display matrix takes the point (x, y) of the stored picture to (a x + c y, b x + d y). Its
    scale is left out, because containers give it as the shape of a pixel.
    """
    # Not frame.side_data, which keeps a frame alive until Python next looks for cycles.
    data = SideDataContainer(frame).get(SideData.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), "=i4")[:5])
    straight, swapped = min(abs(a), abs(d)), min(abs(b), abs(c))
    largest = max(map(abs, (a, b, c, d)))
    if straight > 0 and 100 * max(abs(b), abs(c)) <= largest:
        return False, a < 0, d < 0
    if swapped > 0 and 100 * max(abs(a), abs(d)) <= largest:
        return True, c < 0, b < 0
    raise VideoError(
        f"a player would slant it or turn it by other than quarters (display matrix {a}, {b}, "
        f"{c}, {d}); write it upright with a video editor"
    )


def _pixel_ratio(stream: av.VideoStream) -> float:
    ratio = float(stream.sample_aspect_ratio or 1)
    if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        raise VideoError(
            f"its pixels are {ratio:g} times as wide as high, expected at most {_WIDEST_PIXEL:g} "
            "times either way; the header is damaged"
        )
    return ratio


def _check_frames(path: Path, frames: int) -> None:
    if frames > limit("video_frames"):
        raise VideoError(f"{path} {too_large('video_frames', frames)}")


@contextmanager
def _open(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a video; anything that goes wrong until it is closed becomes a ``VideoError``."""
    _check_file(path)
    try:
        container = _container(path)
    except _FAILURES as error:
        raise VideoError(
            f"{path}: not a video that can be read ({_reason(error)}); it is cut off, or "
            "something else under a video's name"
        ) from error
    with container, _telling(path):
        yield container, _video_stream(container)


def _container(path: Path) -> av.container.InputContainer:
    rules = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    more = {"options": rules, "metadata_errors": "replace"}
    # FFmpeg decodes a frame to learn a stream's facts. More options than streams do no harm.
    bounded = [{"max_pixels": str(limit("frame_pixels"))}] * _STREAMS
    try:
        return av.open(f"file:{path.absolute()}", stream_options=bounded, **more)
    except ValueError as error:
        if isinstance(error, av.FFmpegError):
            raise
        # MPEG streams are not known yet at this point; their frames have 16,384 pixels a side.
        return av.open(f"file:{path.absolute()}", **more)


def _check_file(path: Path) -> None:
    try:
        with open_regular(path) as file:
            empty = not file.read(1)
    except MissingFile:
        raise VideoError(f"{path}: no such file") from None
    except (OSError, ReadError) as error:
        raise VideoError(str(error)) from error
    if empty:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy it again")


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Name the file in every error about it."""
    try:
        yield
    except VideoError as error:
        if str(path) in str(error):
            raise
        raise VideoError(f"{path}: {error}") from error
    except _FAILURES as error:
        raise VideoError(
            f"{path}: cannot be read to its end, or a frame does not decode ({_reason(error)})"
        ) from error


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
        raise VideoError(f"no video stream in it (streams: {kinds})")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError("its video has a coding that FFmpeg cannot decode here")
    pixels = stream.codec_context.width * stream.codec_context.height
    if pixels > limit("frame_pixels"):
        raise VideoError(f"each frame {too_large('frame_pixels', pixels)}")
    if pixels == 0:
        most = limit("frame_pixels")
        raise VideoError(
            f"no frame of it can be looked at: it is damaged, or larger than the limit "
            f"frame_pixels, {most:,}; if it is genuine, raise that with --limit frame_pixels=NUMBER"
        )
    stream.codec_context.options = {"max_pixels": str(limit("frame_pixels"))}
    # One thread: the work is spread over processes, one video each.
    stream.thread_count = 1
    return stream


def _packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Packets that hold something."""
    return (packet for packet in container.demux(stream) if packet.size)


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    yield from container.decode(stream)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
