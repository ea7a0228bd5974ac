"""Decoded images of a dataset, cached as one array on disk that processes map into memory.

The file's name covers everything that its pixels depend on: the dataset's checksum, the size, the
decoding code, and Pillow's version. If one of them changes, the images are decoded again and the
old file is deleted.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from PIL import Image

from data_prep import decoding, provenance
from data_prep.manifest import DatasetError, PreparedDataset, check_files, read_and_digest
from lasoftmoe.paths import runs_folder
from lasoftmoe.progress import progress_bar

BLOCK_BYTES = 1 << 20
DECODING_CODE = (Path(__file__), Path(decoding.__file__))
"""The code that the pixels of a decoded image depend on."""

Reader = Callable[[int], tuple[np.ndarray, bytes | None]]


@cache
def decoder_digest(code: tuple[Path, ...] = DECODING_CODE) -> str:
    """Return a digest of the decoding code and of Pillow's version, in hexadecimal."""
    digest = provenance.code_digest(code, provenance.ROOT)
    return hashlib.sha256(f"{digest} Pillow {version('pillow')}".encode()).hexdigest()


def decoded(
    dataset: PreparedDataset, image_size: int | None = None, column: str = "path"
) -> np.ndarray:
    """Return all images in the manifest's order, mapped from a cached file.

    Args:
        dataset: The prepared dataset.
        image_size: Side in pixels; ``None`` means as in ``dataset.json``.
        column: ``"path"`` for the images; ``"mask"`` or ``"depth"`` for each image's map (0 where
            there is none).

    Returns:
        uint8 (images, 3, size, size), or (images, 1, size, size) for maps.

    Raises:
        DatasetError: If an image does not decode, has a size other than in ``dataset.json``, or
            changed after it was written, or if the disk is too small.
    """
    size = image_size or dataset.info["image_size"]
    if size is None:
        raise DatasetError(
            f"{dataset.folder}/dataset.json leaves image_size open (its images differ in size); "
            "choose a size: open_dataset(..., image_size=224)"
        )
    # Next to the runs, because the dataset's folder may be read-only or shared.
    folder = runs_folder() / ".decoded"
    folder.mkdir(parents=True, exist_ok=True)
    checksum = hashlib.sha256(dataset.checksum.encode()).hexdigest()[:16]
    what = f"{checksum}-{size}-{column}"
    file = folder / f"{what}-{decoder_digest()[:8]}.npy"
    checked = file.with_suffix(f".{_files_stamp(dataset)}.checked")
    with FileLock(folder / f"{what}.lock"):
        if not file.exists():
            _delete(path for path in folder.glob(f"{what}-*") if path.suffix != ".lock")
            _decode_into(file, dataset, size, column)
        elif not checked.exists():  # a file was touched, or this is a copy of the dataset
            _check_files(dataset)
        checked.touch()
    return np.load(file, mmap_mode="r")


def image_reader(dataset: PreparedDataset, size: int, column: str = "path") -> Reader:
    """Return a function from a row of the manifest to its decoded image and the file's digest.

    The image is uint8 (size, size, 3), or (size, size, 1) for maps. A missing map is 0 and has no
    digest.
    """
    files = list(zip(dataset.manifest[column], dataset.manifest["id"], strict=True))
    declared = dataset.info["image_size"]

    def read_picture(row: int) -> tuple[np.ndarray, bytes | None]:
        name, image_id = files[row]
        path = dataset.locate(name)
        image, digest = read_and_digest(path, image_id)
        return at_size(image, path, declared, size), digest

    def read_map(row: int) -> tuple[np.ndarray, bytes | None]:
        name, image_id = files[row]
        if not isinstance(name, str):
            return np.zeros((size, size, 1), np.uint8), None
        image, digest = read_and_digest(dataset.locate(name), image_id)
        # A map may be smaller than its image.
        resized = image.convert("L").resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(resized)[..., None], digest

    return read_picture if column == "path" else read_map


def at_size(image: Image.Image, path: object, declared: int | None, size: int) -> np.ndarray:
    """Return an image's pixels, uint8 (size, size, 3), resized bicubically if need be.

    Raises:
        DatasetError: If the image has another size than ``declared``; ``path`` names it.
    """
    width, height = image.size
    if declared is not None and (height, width) != (declared, declared):
        raise DatasetError(
            f"{path} is {width} x {height} pixels, but dataset.json says {declared} x {declared}"
        )
    if (height, width) != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _files_stamp(dataset: PreparedDataset) -> str:
    """Return a digest of all files' sizes and modification times, cheaper than of their bytes."""
    digest = hashlib.sha256()
    for path in dataset.image_files():
        try:
            status = os.stat(f"{dataset.folder}/{path}")  # noqa: PTH116 (pathlib: 3 x the time)
        except OSError:
            continue  # reading the file reports the error
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _check_files(dataset: PreparedDataset, digests: Mapping[str, bytes] | None = None) -> None:
    """Raise if images differ from those in ``dataset.json``, on which each run's hash depends.

    ``digests`` maps the paths of files that were just read to their digests.
    """
    # A dataset that is checked by file sizes has no digests to compare with.
    known = digests if dataset.info.get("images_checked_by") != "size" else None
    try:
        check_files(dataset, known)
    except DatasetError as error:
        written = (dataset.folder / "dataset.json").stat().st_mtime_ns
        paths = (dataset.folder / path for path in dataset.image_files())
        newer = [str(path) for path in paths if path.exists() and path.stat().st_mtime_ns > written]
        changed = f" Newer than dataset.json: {', '.join(newer[:3])}" if newer else ""
        raise DatasetError(f"{error}.{changed}") from error


def _decode_into(file: Path, dataset: PreparedDataset, size: int, column: str) -> None:
    partial = file.with_name(f"{file.stem}.{os.getpid()}.partial")
    shape = (len(dataset.manifest), 3 if column == "path" else 1, size, size)
    try:
        with partial.open("wb") as output:
            np.lib.format.write_array_header_1_0(
                output, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            _reserve(output, output.tell() + int(np.prod(shape)))
            digests = _decode_all(output, image_reader(dataset, size, column), shape)
            paths = dataset.manifest[column]
            _check_files(dataset, {paths[row]: digest for row, digest in digests.items()})
            output.flush()
            os.fsync(output.fileno())
        partial.replace(file)
    except OSError as error:
        raise DatasetError(
            f"the decoded images cannot be written to {file} "
            f"({np.prod(shape) / 2**20:.0f} MiB): {error}; free disk space, or set LASOFTMOE_RUNS "
            "to a folder on another disk"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _decode_all(output: BinaryIO, read: Reader, shape: tuple[int, ...]) -> dict[int, bytes]:
    """Write all images at the file's position; return their files' digests by row."""
    digests: dict[int, bytes] = {}
    start, image_bytes, lock = output.tell(), int(np.prod(shape[1:])), threading.Lock()

    def decode(rows: range) -> int:
        # Into memory first: threads that write to a map wait for each other's pages.
        images = np.empty((len(rows), *shape[1:]), np.uint8)
        for image, row in zip(images, rows, strict=True):
            pixels, digest = read(row)
            image[:] = pixels.transpose(2, 0, 1)
            if digest is not None:
                digests[row] = digest
        with lock:
            output.seek(start + rows.start * image_bytes)
            output.write(images.data)
        return len(rows)

    # Several images per task: starting a task takes a good part of the time to decode one.
    step = max(1, BLOCK_BYTES // image_bytes)
    blocks = [range(shape[0])[at : at + step] for at in range(0, shape[0], step)]
    bar = progress_bar(total=shape[0], desc="decode images", unit="image")
    with bar, ThreadPoolExecutor() as pool:
        for done in pool.map(decode, blocks):
            bar.update(done)
    return digests


def _reserve(file: BinaryIO, size: int) -> None:
    """Reserve disk space up front, so that a full disk fails now and not an hour in."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
