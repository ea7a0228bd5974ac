"""Short encoded videos for tests, whole and broken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

MATRICES = {  # of a tkhd box (16.16 fixed point), by the degrees a player turns clockwise
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def numbered(frames: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Frames that differ: a bright bar walks to the right, noise keeps the coder busy."""
    pictures = []
    for number in range(frames):
        draw = np.random.default_rng(number)
        picture = draw.integers(0, 60, (height, width, 3)).astype(np.uint8)
        left = number * (width - 8) // max(frames - 1, 1)
        picture[:, left : left + 8] = 230
        pictures.append(picture)
    return pictures


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "libx264",
    gop: int = 12,
    rate: int = 25,
    container: str | None = None,
    **options: str,
) -> Path:
    """Encode RGB uint8 frames; ``options`` go to the container (``movflags="faststart"``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container, options=options) as output:
        stream = None
        for frame in frames:
            if stream is None:
                stream = output.add_stream(codec, rate=rate)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.gop_size = gop
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())
    return path


def tag_rotation(path: Path, clockwise: int) -> None:
    """Write a rotation into the track header of an mp4, as a telephone held upright does."""
    tag_display(path, MATRICES[clockwise])


def tag_display(path: Path, matrix: tuple[float, float, float, float]) -> None:
    """Write a display matrix (a, b, c, d) into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of other fields
    a, b, c, d = (round(value * 65536) for value in matrix)
    data[start : start + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(data))


def cut(path: Path, share: float = 0.6) -> Path:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
