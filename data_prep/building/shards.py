"""A prepared dataset packed into Parquet shards, to be streamed and split by node.

``shards/<split>-00000-of-00003.parquet`` hold the manifest's columns, the split and the image: its
file's bytes as they were, in the layout of Hugging Face's ``datasets.Image``. Tables and
``dataset.json`` lie beside them, so that the folder is a prepared dataset as any other and opens
to the same images in the same order. ``shards/index.json`` has each shard's rows, size and SHA-256.

The same dataset gives the same bytes, whatever the number of workers and however often the work
was interrupted. One shard is one unit of work, and one shard is what a worker holds in memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.atomic import write_atomically
from data_prep.building.lock import locks_released
from data_prep.building.recipes import refuse_nested
from data_prep.building.resume import build_units, clean_up, prepare_folder, redo
from data_prep.contract.checks import PATH_COLUMNS, SPLITS, DatasetError
from data_prep.contract.packed import INDEX, ROWS_IN_GROUP, image_bytes
from data_prep.decoding import UNREADABLE, open_image, reason
from data_prep.errors import MissingFile, ReadError, shown
from data_prep.manifest import PreparedDataset, check_files, read_dataset, write_dataset

GENERATOR = "data_prep.building.shards 1"
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class ShardWork:
    """One shard: rows of the manifest with their split, and where their images lie."""

    folder: Path
    info: dict[str, Any]
    rows: pd.DataFrame
    places: list[str]
    schema: pa.Schema
    out: Path


@locks_released()
def write_shards(
    folder: str | Path,
    out: str | Path,
    protocol: str = "p1",
    shard_size: int = 256 * 10**6,
    workers: int | None = None,
    backend: str = "loky",
    overwrite: bool = False,
) -> PreparedDataset:
    """Pack the images of one protocol; goes on where an interrupted call stopped.

    Called again for packed shards, it makes those again that are missing or damaged.

    Args:
        folder: a prepared dataset.
        out: folder to write.
        protocol: what is packed; other images stay behind, and so do masks and maps of depth.
        shard_size: bytes of images in a shard; the last of a split is smaller.
        workers: processes; ``None``: one a core.
        backend: where they run (see ``run_units``).
        overwrite: replace shards of another recipe.

    Raises:
        DatasetError: no such dataset or protocol, it is packed already, an image is missing or
            changed after the dataset was written, or ``out`` holds something else or has the
            dataset in it.
        ValueError: ``shard_size`` is not positive.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}; expected 1 byte or more")
    refuse_nested(out, [folder])
    dataset, out = read_dataset(folder), Path(out)
    if "shards" in dataset.info:
        raise DatasetError(f"{folder} is packed already; pack the dataset that it was made from")
    if protocol not in dataset.protocols:
        known = ", ".join(sorted(dataset.protocols)) or "none"
        raise DatasetError(f"no protocol {protocol!r} in {folder}; it has: {known}")
    recipe = {
        "generator": GENERATOR,
        "command": "shards",
        "source": dataset.checksum,
        "protocol": protocol,
        "shard_size": shard_size,
    }
    if not prepare_folder(out, recipe, overwrite):
        manifest = _packed_manifest(dataset, protocol)
        units = dict(_units(dataset, manifest, protocol, shard_size, out))
        made = build_units(out, units, pack, workers, "shards", backend)
        try:
            _finish(dataset, manifest, protocol, made, recipe, out)
        except DatasetError:
            redo(out, list(units))  # some shard holds something else than the dataset
            raise
    clean_up(out, [INDEX])
    return read_dataset(out)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``256MB``, ``1.5 GiB`` or ``4096``.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]*)", text.strip().lower())
    if not match or match[2] not in _UNITS or float(match[1]) * _UNITS[match[2]] < 1:
        raise ValueError(f"{shown(text)} is no size; expected one such as 256MB, 1.5GiB or 4096")
    return int(float(match[1]) * _UNITS[match[2]])


def pack(work: ShardWork) -> list[dict[str, Any]]:
    """Write one shard; returns its entry in the index, with the digest of every image."""
    source = PreparedDataset(work.folder, work.rows, {}, work.info)
    images, digests = [], []
    for place, path, key in zip(work.places, work.rows["path"], work.rows["id"], strict=True):
        try:
            data = image_bytes(source.locate(place))
            # A dataset names its files itself; nothing but images goes into shards.
            open_image(data).close()
        except MissingFile:
            raise DatasetError(f"image {shown(key)}: {place} is missing") from None
        except ReadError as error:
            raise DatasetError(f"image {shown(key)}: {error}") from error
        except UNREADABLE as error:
            raise DatasetError(
                f"image {shown(key)}: {place} is no image ({reason(error)}), so it is not packed"
            ) from error
        images.append({"bytes": data, "path": path})
        digests.append(hashlib.sha256(data).hexdigest())
    table = pa.Table.from_pandas(work.rows, work.schema.remove(0), preserve_index=False)
    table = table.add_column(0, work.schema.field(0), [pa.array(images, _IMAGE)])
    table = table.replace_schema_metadata(None)

    def write(path: Path) -> None:
        # Images are compressed already; dictionaries and extremes of them only cost room.
        words = [name for name in table.column_names if name != "image"]
        pq.write_table(
            table,
            path,
            row_group_size=ROWS_IN_GROUP,
            compression="none",
            use_dictionary=words,
            write_statistics=words,
        )

    write_atomically(work.out, write)
    with work.out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = work.out.stat().st_size
    entry = {"file": work.out.name, "rows": len(images), "bytes": size, "sha256": digest}
    return [{**entry, "images": digests}]


def _packed_manifest(dataset: PreparedDataset, protocol: str) -> pd.DataFrame:
    """The manifest's rows of the protocol, in its order; ``place`` is where an image lies now."""
    chosen = dataset.manifest["id"].isin(dataset.protocols[protocol]["id"])
    manifest = dataset.manifest[chosen].reset_index(drop=True)
    root = dataset.info.get("root")
    manifest = manifest.assign(place=manifest["path"])
    if root is not None:  # a packed dataset refers to nothing outside
        within = [
            f"root/{path[len(root) + 1 :]}" if path.startswith(f"{root}/") else path
            for path in manifest["path"]
        ]
        manifest = manifest.assign(path=within)
    return manifest.drop(columns=[name for name in PATH_COLUMNS[1:] if name in manifest])


def _units(
    dataset: PreparedDataset, manifest: pd.DataFrame, protocol: str, shard_size: int, out: Path
) -> Iterator[tuple[str, ShardWork]]:
    rows = manifest.merge(dataset.protocols[protocol][["id", "split"]], on="id")
    # One schema for all: a shard in which a column is empty would else get another type.
    columns = pa.Schema.from_pandas(rows.drop(columns="place"), preserve_index=False)
    schema = pa.schema([("image", _IMAGE), *columns.remove_metadata()])
    for split in SPLITS:
        chosen = rows[rows["split"] == split]
        starts = _starts(dataset, chosen, shard_size)
        for number, start in enumerate(starts):
            stop = starts[number + 1] if number + 1 < len(starts) else len(chosen)
            name = f"{split}-{number:05d}-of-{len(starts):05d}"
            part = chosen.iloc[start:stop]
            places, part = part["place"].tolist(), part.drop(columns="place")
            path = out / "shards" / f"{name}.parquet"
            yield name, ShardWork(dataset.folder, dataset.info, part, places, schema, path)


def _starts(dataset: PreparedDataset, rows: pd.DataFrame, shard_size: int) -> list[int]:
    """The first row of each shard."""
    starts: list[int] = []
    filled = 0
    for number, (place, key) in enumerate(zip(rows["place"], rows["id"], strict=True)):
        try:
            size = dataset.locate(place).stat().st_size
        except OSError as error:
            raise DatasetError(f"image {key!r}: {place} cannot be read ({error})") from error
        if not starts or filled + size > shard_size:
            starts.append(number)
            filled = 0
        filled += size
    return starts


def _finish(
    dataset: PreparedDataset,
    manifest: pd.DataFrame,
    protocol: str,
    made: list[dict[str, Any]],
    recipe: dict[str, Any],
    out: Path,
) -> None:
    """Hold all that was read against the checksum, then write the index and the tables."""
    by_split = manifest.merge(dataset.protocols[protocol][["id", "split"]], on="id")
    order = pd.concat([by_split[by_split["split"] == split] for split in SPLITS])
    found = [digest for entry in made for digest in entry["images"]]
    _check_source(dataset, dict(zip(order["place"], found, strict=True)))
    index = {
        "format": 1,
        "generator": GENERATOR,
        "protocol": protocol,
        "source": recipe["source"],
        "shards": [{k: v for k, v in entry.items() if k != "images"} for entry in made],
    }
    text = json.dumps(index, indent=1) + "\n"
    write_atomically(out / INDEX, lambda path: path.write_text(text, "utf-8"))
    without = ("root", "images_checked_by", "counts", "checksums")
    info = {key: value for key, value in dataset.info.items() if key not in without}
    info |= {"shards": INDEX, "recipe": recipe, "packed_from": dataset.info["checksums"]}
    digests = {path: bytes.fromhex(value) for path, value in zip(order["path"], found, strict=True)}
    protocols = {protocol: dataset.protocols[protocol]}
    tables = dataset.tables
    write_dataset(out, manifest.drop(columns="place"), protocols, info, tables, digests)


def _check_source(dataset: PreparedDataset, found: dict[str, str]) -> None:
    """What was packed has to be what the dataset was written with; only the rest is read again."""
    if dataset.info.get("images_checked_by") == "size":
        check_files(dataset)
    else:
        check_files(dataset, {place: bytes.fromhex(digest) for place, digest in found.items()})
