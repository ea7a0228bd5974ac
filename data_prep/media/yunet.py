"""YuNet, a small convolutional face detector, run from an ONNX file that the user brings.

W. Wu, H. Peng and S. Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence
Research 20, 2023. The weights are the OpenCV Zoo's (MIT license); they are not part of this
package. The decoding below follows the published one and is tested on outputs made for the test:
the real weights could not be tried where this was written.
"""

from __future__ import annotations

import math
import re
import urllib.request
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.limits import limit, too_large
from data_prep.media.faces import Detection, FaceBox
from data_prep.reading import digest_file

URL = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    "face_detection_yunet/face_detection_yunet_2023mar.onnx"
)
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
LONGEST_SIDE = 640  # of the image that is searched, in pixels


class DownloadError(OSError):
    """A file that could not be downloaded."""


class YuNetDetector:
    """Faces with scores and eyes by YuNet's weights; see ``data_prep.media.faces.Detector``."""

    name = "yunet"

    def __init__(
        self,
        weights: str | Path,
        sha256: str | None = SHA256,
        score: float = 0.7,
        overlap: float = 0.3,
    ) -> None:
        """Load the weights.

        Args:
            weights: the ONNX file.
            sha256: its checksum; None trusts the file as it is (and takes its checksum down).
            score: detections below are dropped.
            overlap: of two detections that share more of their union than this, one is kept.

        Raises:
            ValueError: the file is missing or another one, or onnxruntime is not installed.
        """
        self.weights = Path(weights)
        self._score, self._overlap = score, overlap
        self._session, self.sha256 = _session(self.weights, sha256)

    @property
    def recipe(self) -> dict[str, Any]:
        """See ``data_prep.media.faces.Detector``; where the weights lie does not matter."""
        chosen = {"score": self._score, "overlap": self._overlap}
        return {"name": self.name, "sha256": self.sha256, **chosen}

    @property
    def reach(self) -> str:
        """See ``data_prep.media.faces.Detector``."""
        return f"YuNet looks for faces that it trusts with {self._score:g} or more"

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot travel to another process; the file's name can.
        return type(self), (self.weights, self.sha256, self._score, self._overlap)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """See ``data_prep.media.faces.Detector``."""
        entry = self._session.get_inputs()[0]
        batch, scale = _prepare(image, entry.shape[2:])
        found = self._session.run(list(OUTPUTS), {entry.name: batch})
        outputs = dict(zip(OUTPUTS, found, strict=True))
        rows = decode(outputs, batch.shape[2:], self._score)
        kept = suppress(rows, self._overlap) / np.r_[np.full(14, scale), 1.0]
        faces = [_detection(row) for row in kept]
        return sorted(faces, key=lambda face: -face.box.height * face.box.width)


def decode(outputs: dict[str, np.ndarray], size: tuple[int, int], score: float) -> np.ndarray:
    """Turn the network's twelve outputs into faces.

    Each cell of each of three grids proposes one face: the box's center as an offset from the
    cell, its sides as logarithms, five landmarks as offsets, all in cells.

    Args:
        outputs: ``cls_s`` and ``obj_s`` (1, cells, 1), ``bbox_s`` (1, cells, 4), ``kps_s``
            (1, cells, 10) for the strides s = 8, 16, 32.
        size: height and width of the network's input in pixels.
        score: smallest geometric mean of class and object score.

    Returns:
        (faces, 15): left, top, width, height; x, y of right eye, left eye, nose, right and left
        corner of the mouth (the person's right and left); score. Pixels of the network's input.
    """
    rows = []
    for stride in STRIDES:
        height, width = size[0] // stride, size[1] // stride
        cells = height * width
        trust = np.sqrt(
            outputs[f"cls_{stride}"].reshape(cells).clip(0, 1)
            * outputs[f"obj_{stride}"].reshape(cells).clip(0, 1)
        )
        chosen = np.flatnonzero(trust >= score)
        cell = np.stack([chosen % width, chosen // width], axis=1)
        box = outputs[f"bbox_{stride}"].reshape(cells, 4)[chosen]
        points = outputs[f"kps_{stride}"].reshape(cells, 5, 2)[chosen]
        sides = np.exp(box[:, 2:])
        corner = cell + box[:, :2] - sides / 2
        points = (points + cell[:, None]).reshape(-1, 10)
        rows.append(np.c_[np.c_[corner, sides, points] * stride, trust[chosen]])
    return np.concatenate(rows)


def suppress(rows: np.ndarray, overlap: float) -> np.ndarray:
    """Of faces whose boxes share more than ``overlap`` of their union keep the most trusted."""
    kept: list[np.ndarray] = []
    for row in rows[np.argsort(-rows[:, 14], kind="stable")]:
        if all(_shared(row, other) <= overlap for other in kept):
            kept.append(row)
    return np.array(kept).reshape(-1, 15)


def fetch(path: Path, url: str = URL, sha256: str = SHA256) -> None:
    """Download the weights to ``path`` and verify them; nothing is kept of a wrong file.

    Raises:
        ValueError: the checksum is another one.
        DownloadError: the download failed; says which host, which proxy, and how to do without.
    """
    data = _download(url, path)

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)
        _verify(temporary, sha256, url)

    write_atomically(path, write)


def _download(url: str, path: Path) -> bytes:
    most = limit("download_bytes")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read(most + 1)
    except (OSError, HTTPException, ValueError) as error:
        # URLError, HTTPError, and time-outs are OSErrors; a damaged proxy setting a ValueError.
        host, scheme = urlsplit(url).hostname, urlsplit(url).scheme
        proxy = urllib.request.getproxies().get(scheme)
        way = f"through the proxy {_without_password(proxy)}" if proxy else "without a proxy"
        raise DownloadError(
            f"{host} did not answer {way}: {getattr(error, 'reason', None) or error}. Check the "
            f"connection and the variable {scheme}_proxy, or download {url} by hand, where there "
            f"is a connection, and put the file at {path}; --weights checks it as well"
        ) from error
    if len(data) > most:
        raise DownloadError(f"{url} {too_large('download_bytes', f'more than {most:,}')}")
    return data


def _without_password(proxy: str) -> str:
    return re.sub(r"//[^/@]*@", "//", proxy)


def _verify(path: Path, sha256: str | None, origin: str | None = None) -> str:
    """The checksum of a file, which is the expected one if one is expected."""
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file; `python -m data_prep fetch-yunet --out {path}` downloads it"
        )
    found = digest_file(path)
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"{origin or path}: the SHA-256 is {found}, expected {sha256} "
            "(face_detection_yunet_2023mar.onnx of the OpenCV Zoo); fetch the file again, or pass "
            "the checksum of the version you mean"
        )
    return found


@cache
def _session(path: Path, sha256: str | None) -> tuple[Any, str]:
    """The verified model and its checksum; once a process, as every unit of work asks for it."""
    found = _verify(path, sha256)
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            "YuNet needs onnxruntime, which is not installed: `pip install onnxruntime`, or use "
            "the embedded detector"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the work is spread over processes
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions have no common class
        raise ValueError(f"{path}: not an ONNX model that can be run ({error})") from error
    missing = set(OUTPUTS) - {output.name for output in session.get_outputs()}
    if missing:
        raise ValueError(f"{path}: not a YuNet model: it has no output {min(missing)!r}")
    return session, found


def _prepare(image: np.ndarray, shape: list[Any]) -> tuple[np.ndarray, float]:
    """The input (1, 3, height, width) in BGR, 0 to 255, and the factor it was scaled by."""
    height, width = image.shape[:2]
    fixed = [side if isinstance(side, int) else None for side in shape]
    room = [side or LONGEST_SIDE for side in fixed]
    scale = min(room[0] / height, room[1] / width)
    scale = scale if all(fixed) else min(1.0, scale)
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    small = np.asarray(Image.fromarray(image).resize((wide, high), Image.Resampling.BILINEAR))
    # Padding below and to the right leaves coordinates as they are.
    high, wide = (s or 32 * math.ceil(n / 32) for s, n in zip(fixed, (high, wide), strict=True))
    canvas = np.zeros((high, wide, 3), np.float32)
    canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1]
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]), scale


def _detection(row: np.ndarray) -> Detection:
    left, top, width, height = (round(float(value)) for value in row[:4])
    eyes = sorted([(float(row[4]), float(row[5])), (float(row[6]), float(row[7]))])
    return Detection(FaceBox(top, left, height, width), float(row[14]), (eyes[0], eyes[1]))


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:4], b[:2] + b[2:4])
    shared = float(np.prod((high - low).clip(min=0)))
    return shared / float(np.prod(a[2:4]) + np.prod(b[2:4]) - shared)
