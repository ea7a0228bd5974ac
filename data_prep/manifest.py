"""The contract of a prepared dataset: one folder of images and tables.

- ``manifest.parquet``: one row an image (columns in ``checks.MANIFEST_SCHEMA``; more are allowed);
- ``protocols/<name>.parquet``: which image ids are train, dev and test;
- further tables ``<name>.parquet`` with an ``id`` column, where a dataset has them (captions);
- ``dataset.json``: name, version, license, seed, generator, image_size, counts, checksums.

Only tables with a checksum in ``dataset.json`` are read, so other files may be in the folder.

``data_prep.building.journal`` adds ``journal.jsonl``, by which the command that wrote a dataset
knows its own files; no checksum covers it.

A dataset made from a release uses the images where they lie. ``dataset.json`` then declares the
release's folder as ``root``, relative to the dataset's folder, and the paths of such images start
with it. It may also declare ``attack_types`` that the taxonomy does not know: ``{name: {"family":
..., "description": ..., "source": ...}}``. Nothing outside the folder and its root is ever read.

``dataset.json`` is written last: a folder without it is not a dataset yet.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from data_prep.atomic import write_atomically
from data_prep.contract.checks import (
    PATH_COLUMNS,
    SPLITS,
    DatasetError,
    check_info,
    check_manifest,
    check_protocol,
    check_table,
    check_written_info,
)
from data_prep.contract.inside import Inside
from data_prep.contract.packed import PackedFile, Shards, image_bytes
from data_prep.contract.repeats import refuse_equal_files
from data_prep.decoding import ImageError, decode_image
from data_prep.errors import MissingFile, ReadError, shown
from data_prep.media.kinds import what_it_is
from data_prep.reading import read_json, read_table

__all__ = [
    "SPLITS",
    "DatasetError",
    "PreparedDataset",
    "check_files",
    "read_dataset",
    "read_image",
    "relative_root",
    "validate",
    "write_dataset",
]


_REPAIR = (
    "Run the command that wrote the dataset again with --overwrite; only what is missing or "
    "damaged is made again"
)


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset as it lies on disk; images stay there until somebody decodes them."""

    folder: Path
    manifest: pd.DataFrame
    protocols: dict[str, pd.DataFrame]
    info: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def checksum(self) -> str:
        """What stands for everything in the dataset: its tables and its images."""
        return self.info["checksums"]["dataset"]

    def locate(self, path: str) -> Path | PackedFile:
        """The file that a path of the manifest names, proven to lie in the folder or its root.

        Of a dataset in shards (``data_prep.building.shards``) it is the image in its shard.

        Raises:
            DatasetError: the path leads out of both, or the declared root is not there.
        """
        return self._inside.locate(Path(os.path.normpath(self._real_folder / path)))

    def image_files(self) -> list[str]:
        """The files that hold the images, relative to the folder: shards, or one an image."""
        if isinstance(self._inside, Shards):
            return self._inside.names()
        return self.manifest["path"].tolist()

    @cached_property
    def _real_folder(self) -> Path:
        return Path(os.path.realpath(self.folder))

    @cached_property
    def _inside(self) -> Inside | Shards:
        return _inside(self.folder, self.info)


def relative_root(root: str | Path, folder: str | Path) -> str:
    """What ``dataset.json`` of ``folder`` declares as its ``root``; links are followed first."""
    return Path(os.path.relpath(os.path.realpath(root), os.path.realpath(folder))).as_posix()


def read_dataset(folder: str | Path) -> PreparedDataset:
    """Read a prepared dataset and check its tables (images are not opened; see ``validate``).

    Raises:
        DatasetError: the folder or one of its files is missing, a row breaks the contract, or a
            table is not the one that ``dataset.json`` has the checksum of.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(
            f"no dataset folder at {folder}; write one with "
            f"`python -m data_prep synthetic --preset laptop --out {folder}`"
        )
    for name in ("manifest.parquet", "dataset.json"):
        if not (folder / name).is_file():
            raise DatasetError(
                f"{folder} has no {name}: it is not a prepared dataset, or one whose writing was "
                "interrupted (run the command that writes it again)"
            )
    inside = Inside([folder])
    info = _read_info(inside.locate(folder / "dataset.json"))
    manifest = read_table(inside.locate(folder / "manifest.parquet"))
    check_manifest(manifest, folder / "manifest.parquet", info)
    protocols, tables = {}, {}
    for name in sorted(set(info["checksums"]) - {"dataset", "images", "manifest"}):
        path = folder / f"{name}.parquet"
        table = _read_named(path, inside)
        if path.parent.name == "protocols":
            check_protocol(table, manifest, path, _subjects_may_cross(info))
            protocols[path.stem] = table
        else:
            check_table(table, path)
            tables[name] = table
    # Results are kept under the dataset's checksum, which must not outlive what it stands for.
    everything = _named_tables(manifest, protocols, tables, info)
    found = {name: _digest_table(table) for name, table in everything.items()}
    expected = info["checksums"]
    _compare(folder, {name: expected[name] for name in found if name in expected}, found)
    return PreparedDataset(folder, manifest, protocols, info, tables)


def _read_named(path: Path, inside: Inside) -> pd.DataFrame:
    try:
        return read_table(inside.locate(path))
    except MissingFile:
        raise DatasetError(
            f"{path} is missing, though dataset.json has its checksum: write the dataset again"
        ) from None


def write_dataset(
    folder: str | Path,
    manifest: pd.DataFrame,
    protocols: dict[str, pd.DataFrame],
    info: dict[str, Any],
    tables: dict[str, pd.DataFrame] | None = None,
    digests: Mapping[str, bytes] | None = None,
) -> PreparedDataset:
    """Check and write the tables of a dataset whose images already lie where the rows say.

    ``tables`` are further ones by name; each has an ``id`` column. ``digests`` gives the SHA-256
    of files that the caller has read already, by their path in the manifest.

    Adds ``counts`` (label, family and type, and the splits of each protocol) and ``checksums``
    to ``info``. The checksums depend on what the tables say and on the images' bytes, not on how
    a version of parquet stores them nor on where a root lies; ``checksums["dataset"]`` covers
    everything. With ``info["images_checked_by"] = "size"`` the sizes of images stand for their
    bytes, so that a large release need not be read whole.

    Raises:
        DatasetError: a table breaks the contract, or an image is missing.
    """
    folder = Path(folder)
    check_info({"counts": {}, "checksums": {}, **info}, folder / "dataset.json")
    check_manifest(manifest, folder / "manifest.parquet", info)
    for name, table in protocols.items():
        path = folder / "protocols" / f"{name}.parquet"
        check_protocol(table, manifest, path, _subjects_may_cross(info))
    counts = _counts(manifest, protocols)
    sums = _checksums(folder, info, manifest, protocols, tables or {}, digests or {})
    info = {**info, "counts": counts, "checksums": sums}
    named = {f"protocols/{name}": table for name, table in protocols.items()}
    for name, table in {"manifest": manifest, **named, **(tables or {})}.items():
        write_atomically(folder / f"{name}.parquet", table.to_parquet)
    text = json.dumps(info, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "dataset.json", lambda path: path.write_text(text, "utf-8"))
    return PreparedDataset(folder, manifest, protocols, info, tables or {})


def validate(folder: str | Path) -> PreparedDataset:
    """Check everything: the tables, every image file, the checksums, and repeated images.

    Raises:
        DatasetError: the first thing found wrong, with its file and row. Images of equal bytes are
            wrong if their labels differ or if they are in two splits of a protocol.
    """
    dataset = read_dataset(folder)
    files = _files(dataset.manifest)
    side, images = dataset.info["image_size"], set(dataset.manifest["path"])

    def decode(file: tuple[str, str]) -> bytes:
        path, image_id = file
        try:
            image, digest = read_and_digest(dataset.locate(path), image_id)
        except DatasetError as error:
            raise DatasetError(f"{error}. {_REPAIR}") from error
        if side is not None and path in images and image.size != (side, side):
            width, height = image.size
            raise DatasetError(
                f"image {shown(image_id)}: {path} is {width} x {height} pixels, but dataset.json "
                f"says {side} x {side}"
            )
        return digest

    with ThreadPoolExecutor() as pool:
        read = tqdm(pool.map(decode, files), total=len(files), desc="check", unit="image")
        digests = dict(zip((path for path, _ in files), read, strict=True))
    by_size = dataset.info.get("images_checked_by") == "size"
    check_files(dataset, None if by_size else digests)
    rows = dataset.manifest.assign(sha256=dataset.manifest["path"].map(digests))
    refuse_equal_files(rows, dataset.protocols)
    return dataset


def check_files(dataset: PreparedDataset, digests: Mapping[str, bytes] | None = None) -> None:
    """Check that all files are those that ``dataset.json`` has the checksum of; decodes nothing.

    ``digests`` as for ``write_dataset``.

    Raises:
        DatasetError: a file is missing, or changed after the dataset was written.
    """
    expected = dataset.info["checksums"]
    tables = _named_tables(dataset.manifest, dataset.protocols, dataset.tables, dataset.info)
    # Whoever made ``dataset`` has compared its tables already, or has just written them.
    sums = {name: expected.get(name) or _digest_table(table) for name, table in tables.items()}
    sums["images"] = _digest_images(dataset.folder, dataset.info, dataset.manifest, digests or {})
    _compare(dataset.folder, expected, _with_sum_of_all(sums))


def read_image(path: Path | PackedFile, image_id: str) -> np.ndarray:
    """Decode one image of a dataset to uint8 of shape (height, width, 3), turned as EXIF says.

    Raises:
        DatasetError: the file is missing or is not an image that can be decoded.
    """
    return np.asarray(_decode(_read_file(path, image_id), path, image_id))


def read_and_digest(path: Path | PackedFile, image_id: str) -> tuple[Image.Image, bytes]:
    """As ``read_image``, but as a Pillow image, and what ``check_files`` takes as the digest."""
    data = _read_file(path, image_id)
    return _decode(data, path, image_id), hashlib.sha256(data).digest()


def _decode(data: bytes, path: Path | PackedFile, image_id: str) -> Image.Image:
    try:
        return decode_image(data)
    except ImageError as error:
        raise DatasetError(
            f"image {shown(image_id)}: {path} does not decode ({error}){what_it_is(data)}"
        ) from error


def _read_file(path: Path | PackedFile, image_id: str) -> bytes:
    try:
        return image_bytes(path)
    except MissingFile:
        raise DatasetError(f"image {shown(image_id)}: the file {path} is missing") from None
    except ReadError as error:
        raise DatasetError(f"image {shown(image_id)}: {error}") from error


def _subjects_may_cross(info: dict[str, Any]) -> bool:
    # Some releases reuse their subjects in all splits; such a dataset has to say so.
    return bool(info.get("subjects_cross_splits", False))


def _read_info(path: Path) -> dict[str, Any]:
    info = read_json(path)
    check_written_info(info, path)
    return info


def _counts(manifest: pd.DataFrame, protocols: dict[str, pd.DataFrame]) -> dict[str, Any]:
    counts: dict[str, Any] = {"images": len(manifest), "subjects": manifest["subject"].nunique()}
    for name in ("label", "family", "type"):
        counts[name] = _value_counts(manifest[name])
    counts["protocols"] = {}
    for name, protocol in protocols.items():
        merged = protocol.merge(manifest, on="id")
        counts["protocols"][name] = {
            split: _value_counts(merged.loc[merged["split"] == split, "type"]) for split in SPLITS
        }
    return counts


def _value_counts(values: pd.Series) -> dict[str, int]:
    return {str(key): int(count) for key, count in values.value_counts().sort_index().items()}


def _named_tables(
    manifest: pd.DataFrame,
    protocols: dict[str, pd.DataFrame],
    tables: dict[str, pd.DataFrame],
    info: dict[str, Any],
) -> dict[str, pd.DataFrame]:
    """All tables by their path without the ending, as the checksums call them.

    Paths into the root are written without saying where it lies, so that two people with the same
    release get the same checksum.
    """
    named = {f"protocols/{name}": table for name, table in protocols.items()}
    everything = {"manifest": manifest, **named, **tables}
    if info.get("root") is None:
        return everything
    return {name: _without_place(table, info["root"]) for name, table in everything.items()}


def _without_place(table: pd.DataFrame, root: str) -> pd.DataFrame:
    columns = [name for name in PATH_COLUMNS if name in table]
    return table.assign(
        **{name: table[name].map(lambda path: _in_root(path, root)) for name in columns}
    )


def _in_root(path: Any, root: str) -> Any:
    inside = isinstance(path, str) and path.startswith(f"{root}/")
    return f"<root>{path[len(root) :]}" if inside else path


def _files(manifest: pd.DataFrame) -> list[tuple[str, str]]:
    """Path and image id of every file that the manifest names, in the order of the ids."""
    columns = [name for name in PATH_COLUMNS if name in manifest]
    rows = manifest.sort_values("id")[["id", *columns]]
    every = zip(*(rows[name].tolist() for name in rows), strict=True)
    return [(path, row[0]) for row in every for path in row[1:] if isinstance(path, str)]


def _checksums(
    folder: Path,
    info: dict[str, Any],
    manifest: pd.DataFrame,
    protocols: dict[str, pd.DataFrame],
    tables: dict[str, pd.DataFrame],
    digests: Mapping[str, bytes],
) -> dict[str, str]:
    named = _named_tables(manifest, protocols, tables, info)
    sums = {name: _digest_table(table) for name, table in named.items()}
    sums["images"] = _digest_images(folder, info, manifest, digests)
    return _with_sum_of_all(sums)


def _with_sum_of_all(sums: dict[str, str]) -> dict[str, str]:
    everything = json.dumps(sums, sort_keys=True).encode()
    return {"dataset": hashlib.sha256(everything).hexdigest(), **sums}


def _digest_images(
    folder: Path, info: dict[str, Any], manifest: pd.DataFrame, digests: Mapping[str, bytes]
) -> str:
    inside, by_size = _inside(folder, info), info.get("images_checked_by") == "size"

    def digest(file: tuple[str, str]) -> bytes:
        path, image_id = file
        return _digest_file(inside.locate(_place(folder, path)), image_id, by_size)

    files, images = _files(manifest), hashlib.sha256()
    unread = [file for file in files if file[0] not in digests]
    # Threads, because the time goes into waiting for files.
    with ThreadPoolExecutor(16) as pool:
        work = pool.map(digest, unread)
        bar = tqdm(work, total=len(unread), desc="checksum", unit="image", delay=2)
        found = dict(digests) | {path: value for (path, _), value in zip(unread, bar, strict=True)}
    for path, _ in files:
        images.update(_in_root(path, info.get("root")).encode() + b"\0" + found[path])
    return images.hexdigest()


def _inside(folder: Path, info: dict[str, Any]) -> Inside | Shards:
    if "shards" in info:
        return Shards(folder)
    root = info.get("root")
    if root is None:
        return Inside([folder])
    if not _place(folder, root).is_dir():
        raise DatasetError(
            f"{folder} uses images where they lie, in {root!r} beside it, and that folder is not "
            "there: put the release back, or prepare the dataset again from where it lies now"
        )
    real = Path(os.path.realpath(_place(folder, root)))
    if real == Path(real.anchor):
        raise DatasetError(
            f"{folder / 'dataset.json'}: root {shown(root)} is the whole file system; expected the "
            "folder of one release. Prepare the dataset again, or do not use it"
        )
    return Inside([folder, real])


def _place(folder: Path, path: str) -> Path:
    """``folder / path`` without '..', also where the folder is a link or is not there yet."""
    return Path(os.path.normpath(Path(os.path.realpath(folder)) / path))


def _compare(folder: Path, expected: dict[str, str], found: dict[str, str]) -> None:
    """Refuse what has other checksums than ``dataset.json`` says."""
    for name, checksum in expected.items():
        if found[name] != checksum:
            raise DatasetError(
                f"{folder}: the checksum of {name!r} is {found[name]}, dataset.json says "
                f"{checksum}; a file changed after the dataset was written. {_REPAIR}"
            )


def _digest_file(path: Path | PackedFile, image_id: str, by_size: bool) -> bytes:
    try:
        if by_size:
            return str(path.stat().st_size).encode()
    except FileNotFoundError:
        raise DatasetError(f"image {image_id!r}: the file {path} is missing") from None
    return hashlib.sha256(_read_file(path, image_id)).digest()


def _digest_table(table: pd.DataFrame) -> str:
    rows = table.sort_values("id")[sorted(table.columns)]
    text = rows.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()
