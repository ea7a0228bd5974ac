"""The contract of a prepared dataset: one folder of images and tables.

- ``manifest.parquet``: one row an image (columns in ``checks.MANIFEST_SCHEMA``; more are allowed);
- ``protocols/<name>.parquet``: which image ids are train, dev and test;
- further tables ``<name>.parquet`` with an ``id`` column, where a dataset has them (captions);
- ``dataset.json``: name, version, licence, seed, generator, image_size, counts, checksums.

``dataset.json`` is written last: a folder without it is not a dataset yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from data_prep.atomic import write_atomically
from data_prep.checks import (
    SPLITS,
    DatasetError,
    check_info,
    check_manifest,
    check_protocol,
)

__all__ = [
    "SPLITS",
    "DatasetError",
    "PreparedDataset",
    "read_dataset",
    "read_image",
    "validate",
    "write_dataset",
]


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset as it lies on disk; images stay there until somebody decodes them."""

    folder: Path
    manifest: pd.DataFrame
    protocols: dict[str, pd.DataFrame]
    info: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


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
    info = _read_info(folder / "dataset.json")
    manifest = _read_table(folder / "manifest.parquet")
    check_manifest(manifest, folder / "manifest.parquet")
    protocols = {}
    for path in sorted((folder / "protocols").glob("*.parquet")):
        protocols[path.stem] = _read_table(path)
        check_protocol(protocols[path.stem], manifest, path, _subjects_may_cross(info))
    paths = [path for path in sorted(folder.glob("*.parquet")) if path.stem != "manifest"]
    tables = {path.stem: _read_table(path) for path in paths}
    # Results are kept under the dataset's checksum, which must not outlive what it stands for.
    everything = _named_tables(manifest, protocols, tables)
    expected = {k: v for k, v in info["checksums"].items() if k not in ("dataset", "images")}
    found = {name: _digest_table(everything[name]) for name in expected if name in everything}
    _compare(folder, expected, found)
    return PreparedDataset(folder, manifest, protocols, info, tables)


def write_dataset(
    folder: str | Path,
    manifest: pd.DataFrame,
    protocols: dict[str, pd.DataFrame],
    info: dict[str, Any],
    tables: dict[str, pd.DataFrame] | None = None,
) -> PreparedDataset:
    """Check and write the tables of a dataset whose images already lie where the rows say.

    ``tables`` are further ones by name; each has an ``id`` column.

    Adds ``counts`` (label, family and type, and the splits of each protocol) and ``checksums``
    to ``info``. The checksums depend on what the tables say and on the images' bytes, not on how
    a version of parquet stores them; ``checksums["dataset"]`` covers everything.

    Raises:
        DatasetError: a table breaks the contract, or an image is missing.
    """
    folder = Path(folder)
    check_manifest(manifest, folder / "manifest.parquet")
    for name, table in protocols.items():
        path = folder / "protocols" / f"{name}.parquet"
        check_protocol(table, manifest, path, _subjects_may_cross(info))
    everything = _named_tables(manifest, protocols, tables or {})
    counts = _counts(manifest, protocols)
    info = {**info, "counts": counts, "checksums": _checksums(folder, everything)}
    check_info(info, folder / "dataset.json")
    for name, table in everything.items():
        write_atomically(folder / f"{name}.parquet", table.to_parquet)
    text = json.dumps(info, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "dataset.json", lambda path: path.write_text(text, "utf-8"))
    return PreparedDataset(folder, manifest, protocols, info, tables or {})


def validate(folder: str | Path) -> PreparedDataset:
    """Check everything: the tables, every image file, and the checksums.

    Raises:
        DatasetError: the first thing found wrong, with its file and row.
    """
    dataset = read_dataset(folder)
    columns = [name for name in ("path", "mask", "depth") if name in dataset.manifest]
    for row in tqdm(dataset.manifest.to_dict("records"), desc="check", unit="image"):
        for path in (row[name] for name in columns):
            if not pd.isna(path):
                read_image(dataset.folder / path, row["id"])
    tables = _named_tables(dataset.manifest, dataset.protocols, dataset.tables)
    _compare(dataset.folder, dataset.info["checksums"], _checksums(dataset.folder, tables))
    return dataset


def read_image(path: Path, image_id: str) -> np.ndarray:
    """Decode one image of a dataset to uint8 of shape (height, width, 3).

    Raises:
        DatasetError: the file is missing or is not an image that can be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise DatasetError(f"image {image_id!r}: the file {path} is missing") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"image {image_id!r}: {path} does not decode ({error})") from error


def _subjects_may_cross(info: dict[str, Any]) -> bool:
    # Some releases reuse their subjects in all splits; such a dataset has to say so.
    return bool(info.get("subjects_cross_splits", False))


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not a readable parquet table ({error})") from error
    return table


def _read_info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not readable JSON ({error})") from error
    check_info(info, path)
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
    manifest: pd.DataFrame, protocols: dict[str, pd.DataFrame], tables: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """All tables by their path without the ending, as the checksums call them."""
    named = {f"protocols/{name}": table for name, table in protocols.items()}
    return {"manifest": manifest, **named, **tables}


def _checksums(folder: Path, tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    images = hashlib.sha256()
    manifest = tables["manifest"]
    columns = [name for name in ("path", "mask", "depth") if name in manifest]
    for row in manifest.sort_values("id").to_dict("records"):
        for path in (row[name] for name in columns):
            if not pd.isna(path):
                images.update(path.encode() + b"\0" + _digest_file(folder / path, row["id"]))
    sums = {name: _digest_table(table) for name, table in tables.items()}
    sums["images"] = images.hexdigest()
    everything = json.dumps(sums, sort_keys=True).encode()
    return {"dataset": hashlib.sha256(everything).hexdigest(), **sums}


def _compare(folder: Path, expected: dict[str, str], found: dict[str, str]) -> None:
    """Refuse what has other checksums than ``dataset.json`` says."""
    for name, checksum in expected.items():
        if name not in found:
            raise DatasetError(
                f"{folder / name}.parquet is missing, though dataset.json has its checksum: write "
                "the dataset again"
            )
        if found[name] != checksum:
            raise DatasetError(
                f"{folder}: the checksum of {name!r} is {found[name]}, dataset.json says "
                f"{checksum}; a file changed after the dataset was written: write it again"
            )


def _digest_file(path: Path, image_id: str) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        raise DatasetError(f"image {image_id!r}: the file {path} is missing") from None


def _digest_table(table: pd.DataFrame) -> str:
    rows = table.sort_values("id")[sorted(table.columns)]
    text = rows.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()
