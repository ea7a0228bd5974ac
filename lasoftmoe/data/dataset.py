"""A prepared dataset (see ``data_prep.manifest``) as torch datasets, one per split.

Images are decoded once into an array of bytes that later processes map into memory, so opening a
dataset a second time takes milliseconds and several notebooks share one copy.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from data_prep.manifest import (
    SPLITS,
    DatasetError,
    PreparedDataset,
    check_files,
    read_and_digest,
    read_dataset,
)
from lasoftmoe.data.sampling import EpochBatches
from lasoftmoe.paths import EMBEDDED_DATA, runs_folder
from lasoftmoe.progress import progress_bar

Batch = dict[str, Any]
BLOCK_BYTES = 1 << 20


class FaceDataset(Dataset):
    """One split of one protocol.

    An item is a dictionary: ``image`` uint8 (3, height, width), ``is_attack`` bool scalar,
    ``attack_type`` and ``id`` words. ``table`` holds the same facts, and everything else the
    manifest says, one row an item; ``is_attack`` (items,) those labels as a tensor.
    """

    def __init__(
        self, images: np.ndarray, table: pd.DataFrame, split: str, protocol: str, checksum: str
    ) -> None:
        """``table.row`` says where in ``images``, uint8 (n, 3, height, width), an item lies."""
        self.images = images
        self.table = table.reset_index(drop=True)
        self.split = split
        self.protocol = protocol
        self.checksum = checksum
        self._rows = self.table["row"].to_numpy()
        self.is_attack = torch.tensor(self.table["is_attack"].to_numpy(dtype=bool))
        self._types = self.table["attack_type"].tolist()
        self._ids = self.table["id"].tolist()

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Batch:
        return {
            "image": torch.from_numpy(np.array(self.images[self._rows[index]])),
            "is_attack": self.is_attack[index],
            "attack_type": self._types[index],
            "id": self._ids[index],
        }

    def batch(self, indices: list[int]) -> Batch:
        """Several items at once: ``image`` (batch, 3, height, width), ``is_attack`` (batch,)."""
        return {
            "image": torch.from_numpy(np.asarray(self.images[self._rows[indices]])),
            "is_attack": self.is_attack[indices],
            "attack_type": [self._types[i] for i in indices],
            "id": [self._ids[i] for i in indices],
        }

    # The data loader asks for whole batches through this name, which spares it stacking items.
    __getitems__ = batch

    def __getstate__(self) -> dict[str, Any]:
        # A worker process that is started afresh maps the file too, instead of getting a copy.
        images = self.images.filename if isinstance(self.images, np.memmap) else self.images
        return {**self.__dict__, "images": images}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not isinstance(state["images"], np.ndarray):
            state["images"] = np.load(state["images"], mmap_mode="r")
        self.__dict__.update(state)

    def __repr__(self) -> str:
        attacks = int(self.is_attack.sum())
        live = len(self) - attacks
        return f"FaceDataset({self.protocol}/{self.split}: {live} live, {attacks} attacks)"


def open_dataset(
    folder: str | Path, protocol: str = "p1", image_size: int | None = None
) -> dict[str, FaceDataset]:
    """The splits train, dev and test of a prepared dataset.

    Args:
        folder: a prepared dataset.
        protocol: name of one of its ``protocols/*.parquet``.
        image_size: side in pixels that images are delivered in; ``None``: as ``dataset.json``
            says. Another size than the files' is resampled once, while decoding.

    Raises:
        DatasetError: no such folder or protocol, a split without images, an image that does not
            decode, has another size than ``dataset.json`` says or changed after it was written,
            or no room for the decoded images.
    """
    dataset = _read(Path(folder))
    if protocol not in dataset.protocols:
        known = ", ".join(sorted(dataset.protocols)) or "none"
        raise DatasetError(f"no protocol {protocol!r} in {folder}; it has: {known}")
    images = _decoded(dataset, image_size)
    table = dataset.manifest.rename(columns={"type": "attack_type"})
    table = table.assign(is_attack=table["label"] == "fake", row=np.arange(len(table)))
    table = table.merge(dataset.protocols[protocol], on="id")
    checksum = dataset.info["checksums"]["dataset"]
    splits = {}
    for split in SPLITS:
        rows = table[table["split"] == split].drop(columns="split")
        if rows.empty:
            raise DatasetError(f"protocol {protocol!r} of {folder} has no image in split {split!r}")
        splits[split] = FaceDataset(images, rows, split, protocol, checksum)
    return splits


def batches(
    dataset: FaceDataset,
    batch_size: int,
    shuffle: bool = False,
    generator: torch.Generator | None = None,
    drop_last: bool = False,
    num_workers: int = 0,
) -> DataLoader[Batch]:
    """Iterate over a dataset in batches; the order of a shuffle is fixed by ``generator``'s seed.

    The last, smaller batch is kept unless ``drop_last``. Evaluation keeps it, since every image
    counts; training drops it, since the contrastive losses depend on the size of a batch.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        generator=generator,
        drop_last=drop_last,
        num_workers=num_workers,
        collate_fn=_already_collated,
    )


def epoch_loader(
    dataset: FaceDataset, order: EpochBatches, num_workers: int = 0
) -> DataLoader[Batch]:
    """The batches that ``order`` names, alike for any number of worker processes."""
    return DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        collate_fn=_already_collated,
    )


def _already_collated(batch: Batch) -> Batch:
    return batch


def _read(folder: Path) -> PreparedDataset:
    if not folder.is_dir():
        how = (
            "`make data` writes the embedded one"
            if folder.resolve() == EMBEDDED_DATA.resolve()
            else "`python -m data_prep --help` lists the commands that write one"
        )
        raise DatasetError(f"no prepared dataset at {folder}: {how}")
    return read_dataset(folder)


def _decoded(dataset: PreparedDataset, image_size: int | None) -> np.ndarray:
    """All images in the manifest's order, uint8 (n, 3, size, size), mapped from a cached file."""
    declared = dataset.info["image_size"]
    size = image_size or declared
    if size is None:
        raise DatasetError(
            f"{dataset.folder}/dataset.json leaves image_size open (its images differ in size); "
            "say which size to deliver them in: open_dataset(..., image_size=224)"
        )
    # Beside the runs, not in the dataset's folder, which may be read-only or shared.
    cache = runs_folder() / ".decoded" / f"{dataset.info['checksums']['dataset'][:16]}-{size}.npy"
    checked = cache.with_suffix(f".{_files_stamp(dataset)}.checked")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_suffix(".lock")):
        if not cache.exists():
            _decode_into(cache, dataset, size)
        elif not checked.exists():  # a file was touched, or this is a copy of the dataset
            _check_files(dataset)
        checked.touch()
    return np.load(cache, mmap_mode="r")


def _files_stamp(dataset: PreparedDataset) -> str:
    """A digest of all files' sizes and times of change: cheap, unlike one of their bytes."""
    digest = hashlib.sha256()
    for path in dataset.image_files():
        try:
            status = os.stat(f"{dataset.folder}/{path}")  # noqa: PTH116 (pathlib: 3 x the time)
        except OSError:
            continue  # reading it will say what is wrong
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _check_files(dataset: PreparedDataset, digests: Mapping[str, bytes] | None = None) -> None:
    """Refuse other images than those that ``dataset.json``, and so each run's hash, stands for.

    ``digests``: of files that have just been read, by path.
    """
    # A dataset that is checked by its files' sizes has no digests to compare with.
    known = digests if dataset.info.get("images_checked_by") != "size" else None
    try:
        check_files(dataset, known)
    except DatasetError as error:
        written = (dataset.folder / "dataset.json").stat().st_mtime_ns
        paths = (dataset.folder / path for path in dataset.image_files())
        newer = [str(path) for path in paths if path.exists() and path.stat().st_mtime_ns > written]
        changed = f" Newer than dataset.json: {', '.join(newer[:3])}" if newer else ""
        raise DatasetError(f"{error}.{changed}") from error


def _decode_into(cache: Path, dataset: PreparedDataset, size: int) -> None:
    partial = cache.with_name(f"{cache.stem}.{os.getpid()}.partial")
    shape = (len(dataset.manifest), 3, size, size)
    try:
        with partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            _reserve(file, file.tell() + int(np.prod(shape)))
            digests = _decode_all(file, dataset, size)
            _check_files(dataset, digests)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(cache)
    except OSError as error:
        raise DatasetError(
            f"the decoded images cannot be written to {cache} "
            f"({np.prod(shape) / 2**20:.0f} MiB): {error}; make room, or set LASOFTMOE_RUNS to a "
            "folder on another disk"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _decode_all(file: BinaryIO, dataset: PreparedDataset, size: int) -> dict[str, bytes]:
    """Write all images from the file's place on; returns their files' digests by path."""
    read, paths = image_reader(dataset, size), dataset.manifest["path"].tolist()
    digests: dict[str, bytes] = {}
    start, image_bytes, lock = file.tell(), 3 * size * size, threading.Lock()

    def decode(rows: range) -> int:
        # Into memory first: threads that write to a map wait for each other's pages.
        images = np.empty((len(rows), 3, size, size), np.uint8)
        for image, row in zip(images, rows, strict=True):
            pixels, digests[paths[row]] = read(row)
            image[:] = pixels.transpose(2, 0, 1)
        with lock:
            file.seek(start + rows.start * image_bytes)
            file.write(images)
        return len(rows)

    # Several images a task: handing out a task costs a good part of decoding a small image.
    step = max(1, BLOCK_BYTES // image_bytes)
    blocks = [range(len(paths))[at : at + step] for at in range(0, len(paths), step)]
    bar = progress_bar(total=len(paths), desc="decode images", unit="image")
    with bar, ThreadPoolExecutor() as pool:
        for done in pool.map(decode, blocks):
            bar.update(done)
    return digests


def _reserve(file: BinaryIO, size: int) -> None:
    """Take the file's room on the disk now, lest the disk prove too small an hour later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)


def image_reader(dataset: PreparedDataset, size: int) -> Callable[[int], tuple[np.ndarray, bytes]]:
    """How to get an image, (size, size, 3) uint8, and its file's digest, by row of the manifest.

    The one place that knows how a dataset stores its images.
    """
    files = list(zip(dataset.manifest["path"], dataset.manifest["id"], strict=True))
    declared = dataset.info["image_size"]

    def read(row: int) -> tuple[np.ndarray, bytes]:
        name, image_id = files[row]
        path = dataset.locate(name)
        image, digest = read_and_digest(path, image_id)
        return _at_size(image, path, declared, size), digest

    return read


def _at_size(image: Image.Image, path: Path, declared: int | None, size: int) -> np.ndarray:
    width, height = image.size
    if declared is not None and (height, width) != (declared, declared):
        raise DatasetError(
            f"{path} is {width} x {height} pixels, but dataset.json says {declared} x {declared}"
        )
    if (height, width) != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)
