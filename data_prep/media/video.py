"""Frames of a video: evenly spread, upright, one at a time.

A video is read twice. The first pass looks at its packets only, decodes nothing and learns how
many frames there really are and when each is shown; the second decodes the frames asked for,
jumping to the keyframe before each where that skips something. Memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

# What cameras and the releases write. Play lists and picture formats are left out on purpose:
# FFmpeg would open the files that a play list names, wherever they lie.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,h264,hevc"
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")
TURNS = (0, 90, 180, 270)
# Some writers count a frame or two that they never wrote; a cut file lacks much more.
COMPLETE_SHARE = 0.95


class VideoError(ValueError):
    """A file that is not a video, or not one that can be used; the message names it."""


@dataclass(frozen=True)
class VideoInfo:
    """What the packets of a video say.

    ``times`` holds the time stamp of every frame in the order shown, in ticks of the stream;
    ``keyframes`` the time stamps that decoding can start from, in the same order. Both are empty
    where a format has none. ``declared`` is the number of frames in the header, 0 if it has none;
    ``damaged`` says that a packet is broken or that the header promises a longer video.
    """

    frames: int
    declared: int
    width: int
    height: int
    damaged: bool
    times: tuple[int, ...]
    keyframes: tuple[int, ...]

    @property
    def truncated(self) -> bool:
        """Whether packets are cut off, or clearly fewer than the header says."""
        return self.damaged or self.frames < COMPLETE_SHARE * self.declared


def sample_frames(
    path: str | Path,
    count: int,
    rotation: int | None = None,
    *,
    at_least: int = 2,
    allow_truncated: bool = False,
    seek: bool = True,
) -> list[tuple[int, np.ndarray]]:
    """Frames evenly spread over a video: the middles of ``count`` equal stretches of it.

    Args:
        path: the video.
        count: frames wanted; a video with fewer gives all it has.
        rotation: degrees to turn the frames clockwise (0, 90, 180, 270), whatever the file says;
            None does what the file's rotation tag says.
        at_least: frames that a video has to have; 1 also takes a single picture.
        allow_truncated: take what is there of a video that was cut off.
        seek: jump over what is not needed; False decodes everything up to the last frame wanted.

    Returns:
        Pairs of a frame's number (in the order shown, from 0) and the frame, RGB, uint8,
        (height, width, 3).

    Raises:
        VideoError: not a video, no frames, too few, cut off, or a frame that does not decode.
        ValueError: an argument has a value it cannot have.
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
    return list(read_frames(path, spread(info.frames, count), rotation, seek=seek, info=info))


def spread(frames: int, count: int) -> list[int]:
    """Middles of ``count`` equal stretches of ``frames`` frames; all frames if that is more.

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
        VideoError: a frame is not there or does not decode.
        ValueError: ``indices`` do not rise, or ``rotation`` is not a quarter turn.
    """
    path, wanted = Path(path), list(indices)
    if wanted != sorted(set(wanted)) or (wanted and wanted[0] < 0):
        raise ValueError(f"indices are {wanted}; expected rising numbers from 0")
    if rotation not in (None, *TURNS):
        raise ValueError(f"rotation is {rotation}; expected None or one of {TURNS}")
    info = info or probe(path)
    if wanted and wanted[-1] >= info.frames:
        raise VideoError(f"{path}: no frame {wanted[-1]}; it has {info.frames}, counted from 0")
    # Without a time stamp for every frame nobody can tell which one a jump has led to.
    jumps = seek and len(set(info.times)) == info.frames and bool(info.keyframes)
    decode = _jumping if jumps else _decoding_all
    given = 0
    for index, frame in decode(path, wanted, info):
        yield index, _turned(frame, rotation)
        given += 1
    if given < len(wanted):
        raise VideoError(
            f"{path}: frame {wanted[given]} of {info.frames} does not decode; the file is damaged"
        )


def probe(path: str | Path) -> VideoInfo:
    """Look at a video's packets without decoding one.

    Raises:
        VideoError: the file is missing, empty, not a video, or has no frames.
    """
    path = Path(path)
    shown, starts, hidden, damaged = [], [], 0, False
    with _open(path) as (container, stream):
        for packet in _packets(path, container, stream):
            damaged = damaged or packet.is_corrupt
            # An edit list hides packets that are decoded only for others that need them.
            hidden += packet.is_discard
            if packet.is_discard or packet.is_corrupt:
                continue
            shown.append(packet.pts)
            if packet.is_keyframe:
                starts.append(packet.pts)
        if not shown:
            raise VideoError(f"{path}: no frame in it; the file is cut off, copy it again")
        timed = None not in shown
        times = tuple(sorted(shown)) if timed else ()
        return VideoInfo(
            frames=len(shown),
            declared=max(stream.frames - hidden, 0),
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            damaged=damaged or _ends_early(container, stream, times),
            times=times,
            keyframes=tuple(sorted(starts)) if timed else (),
        )


def _ends_early(
    container: av.container.InputContainer, stream: av.VideoStream, times: tuple[int, ...]
) -> bool:
    """For formats that declare seconds and no frames: whether the last frame comes too soon."""
    # Beside a longer sound track that would be no sign of damage.
    if stream.frames or not container.duration or len(container.streams) > 1 or len(times) < 2:
        return False
    lasts = (times[-1] - times[0]) * len(times) / (len(times) - 1) * float(stream.time_base)
    return lasts < COMPLETE_SHARE * container.duration / av.time_base


def _decoding_all(
    path: Path, wanted: list[int], info: VideoInfo
) -> Iterator[tuple[int, av.VideoFrame]]:
    left = list(reversed(wanted))
    with _open(path) as (container, stream):
        for index, frame in enumerate(_frames(path, container, stream)):
            if not left:
                return
            if index == left[-1]:
                yield left.pop(), frame


def _jumping(path: Path, wanted: list[int], info: VideoInfo) -> Iterator[tuple[int, av.VideoFrame]]:
    """Start at the keyframe before a frame wherever that passes over frames."""
    with _open(path) as (container, stream):
        position: int | None = None  # time of the last frame decoded
        frames: Iterator[av.VideoFrame] = iter(())
        for index in wanted:
            target = info.times[index]
            start = max((time for time in info.keyframes if time <= target), default=None)
            if start is not None and (position is None or start > position):
                container.seek(start, stream=stream, backward=True, any_frame=False)
                frames = _frames(path, container, stream)
            elif position is None:
                frames = _frames(path, container, stream)
            frame = next((frame for frame in frames if _at_or_after(frame, target)), None)
            if frame is None or frame.pts != target:
                # The jump led past the frame: the slow way is always right.
                yield from _decoding_all(path, wanted[wanted.index(index) :], info)
                return
            position = target
            yield index, frame


def _at_or_after(frame: av.VideoFrame, time: int) -> bool:
    return frame.pts is not None and frame.pts >= time


def _turned(frame: av.VideoFrame, rotation: int | None) -> np.ndarray:
    """The frame as upright RGB."""
    # The tag says how far the frame has to be turned counterclockwise, as np.rot90 does.
    quarters = round(frame.rotation / 90) if rotation is None else -rotation // 90
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, quarters % 4))


@contextmanager
def _open(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy it again")
    rules = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path.absolute()}", options=rules, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: not a video that can be read ({_reason(error)}); it is cut off, or "
            "something else under a video's name"
        ) from error
    with container:
        yield container, _video_stream(path, container)


def _video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
        raise VideoError(f"{path}: no video stream in it (streams: {kinds})")
    # One thread: the work is spread over processes, one video each.
    streams[0].thread_count = 1
    return streams[0]


def _packets(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet]:
    """Packets that hold something; a broken end ends them."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError as error:
        raise VideoError(f"{path}: cannot be read to its end ({_reason(error)})") from error


def _frames(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    try:
        yield from container.decode(stream)
    except av.FFmpegError as error:
        raise VideoError(f"{path}: a frame does not decode ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
