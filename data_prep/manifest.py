"""The contract of a prepared dataset: one folder of images and tables.

- ``manifest.parquet``: one row an image (columns in ``MANIFEST_SCHEMA``; more are allowed);
- ``protocols/<name>.parquet``: which image ids are train, dev and test;
- further tables ``<name>.parquet`` with an ``id`` column, where a dataset has them (captions);
- ``dataset.json``: name, version, licence, seed, generator, image_size, counts, checksums.

``dataset.json`` is written last: a folder without it is not a dataset yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from PIL import Image
from tqdm import tqdm

from data_prep.atomic import write_atomically
from data_prep.taxonomy import ATTACK_TYPES, FAMILIES, LABELS, LIVE, family_of

SPLITS = ("train", "dev", "test")
INFO_KEYS = (
    "name",
    "version",
    "licence",
    "seed",
    "generator",
    "image_size",
    "counts",
    "checksums",
)


class DatasetError(ValueError):
    """A prepared dataset is missing, unfinished or breaks the contract."""


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset as it lies on disk; images stay there until somebody decodes them."""

    folder: Path
    manifest: pd.DataFrame
    protocols: dict[str, pd.DataFrame]
    info: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not (parts.is_absolute() or ".." in parts.parts or "\\" in path or ":" in path)


def _column(allowed: tuple[str, ...], **options: Any) -> pa.Column:
    check = pa.Check.isin(allowed, error="one of: " + ", ".join(allowed))
    return pa.Column(str, check, **options)


def _path_column(**options: Any) -> pa.Column:
    inside = pa.Check(
        _stays_inside,
        element_wise=True,
        error="a path relative to the dataset's folder, with '/' and without '..'",
    )
    return pa.Column(str, inside, **options)


MANIFEST_SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(str, unique=True),
        "path": _path_column(),
        "label": _column(LABELS),
        "family": _column((LIVE, *FAMILIES)),
        "type": _column((LIVE, *ATTACK_TYPES)),
        # The person; no person may stand in two splits of a protocol.
        "subject": pa.Column(str),
        # The recording an image comes from (a video, a capture); attacks name the one attacked.
        "source": pa.Column(str),
        "frame": pa.Column(int, pa.Check.ge(0, error="a frame number, 0 or more")),
        "mask": _path_column(required=False, nullable=True),
        "depth": _path_column(required=False, nullable=True),
    },
    strict=False,
    coerce=False,
)

PROTOCOL_SCHEMA = pa.DataFrameSchema({"id": pa.Column(str), "split": _column(SPLITS)})


def read_dataset(folder: str | Path) -> PreparedDataset:
    """Read a prepared dataset and check its tables (images are not opened; see ``validate``).

    Raises:
        DatasetError: the folder or one of its files is missing, or a row breaks the contract.
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
    _check_info(info, folder / "dataset.json")
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
    found = _checksums(dataset.folder, tables)
    for name, expected in dataset.info["checksums"].items():
        if found.get(name) != expected:
            raise DatasetError(
                f"{dataset.folder}: the checksum of {name!r} is {found.get(name)}, dataset.json "
                f"says {expected}; a file changed after the dataset was written"
            )
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


def check_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Check the manifest's rows; ``path`` is only what an error calls the table.

    Raises:
        DatasetError: names the file, the row and what was expected.
    """
    _check_schema(MANIFEST_SCHEMA, manifest, path)
    expected_family = manifest["type"].map(family_of)
    wrong = manifest[manifest["family"] != expected_family]
    if len(wrong):
        row = wrong.iloc[0]
        raise DatasetError(
            f"{path}: row {row['id']!r} has family {row['family']!r} and type {row['type']!r}; "
            f"that type belongs to {family_of(row['type'])!r}"
        )
    wrong = manifest[(manifest["label"] == LIVE) != (manifest["family"] == LIVE)]
    if len(wrong):
        row = wrong.iloc[0]
        raise DatasetError(
            f"{path}: row {row['id']!r} is labeled {row['label']!r} and has the type "
            f"{row['type']!r}; live images have the type 'live' and no others do"
        )


def check_protocol(
    protocol: pd.DataFrame, manifest: pd.DataFrame, path: Path, subjects_may_cross: bool = False
) -> None:
    """Check that a protocol splits known images, and that no subject stands in two splits.

    Raises:
        DatasetError: names the file and the id or the subject.
    """
    _check_schema(PROTOCOL_SCHEMA, protocol, path)
    unknown = set(protocol["id"]) - set(manifest["id"])
    if unknown:
        raise DatasetError(f"{path}: the id {min(unknown)!r} is not in manifest.parquet")
    repeated = protocol[protocol["id"].duplicated(keep=False)]
    if len(repeated):
        first = repeated.iloc[0]["id"]
        splits = ", ".join(repeated.loc[repeated["id"] == first, "split"])
        raise DatasetError(f"{path}: the id {first!r} is listed twice (splits: {splits})")
    if subjects_may_cross:
        return
    subjects = protocol.merge(manifest[["id", "subject"]], on="id")
    splits = subjects.groupby("subject")["split"].unique()
    crossing = splits[splits.map(len) > 1]
    if len(crossing):
        raise DatasetError(
            f"{path}: the subject {crossing.index[0]!r} stands in two splits "
            f"({', '.join(sorted(crossing.iloc[0]))}); split by subject, not by image"
        )


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
    _check_info(info, path)
    return info


def _check_info(info: dict[str, Any], path: Path) -> None:
    missing = [key for key in INFO_KEYS if key not in info]
    if missing:
        raise DatasetError(f"{path} lacks {', '.join(missing)}")


def _check_schema(schema: pa.DataFrameSchema, table: pd.DataFrame, path: Path) -> None:
    absent = [name for name, column in schema.columns.items() if column.required]
    absent = [name for name in absent if name not in table.columns]
    if absent:
        raise DatasetError(f"{path}: column {absent[0]!r} is missing; columns: {list(table)}")
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DatasetError(_first_failure(error.failure_cases, table, path)) from error


def _first_failure(failures: pd.DataFrame, table: pd.DataFrame, path: Path) -> str:
    failure = failures.iloc[0]
    check, value = str(failure["check"]), failure["failure_case"]
    if check.startswith("dtype"):
        return f"{path}: column {failure['column']!r} holds {value}; expected {check}"
    expected = {"field_uniqueness": "no id twice", "not_nullable": "a value"}.get(check, check)
    row = table.loc[int(failure["index"]), "id"]
    value = value.item() if isinstance(value, np.generic) else value
    return f"{path}: row {row!r}, {failure['column']} is {value!r}; expected {expected}"


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


def _digest_file(path: Path, image_id: str) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        raise DatasetError(f"image {image_id!r}: the file {path} is missing") from None


def _digest_table(table: pd.DataFrame) -> str:
    rows = table.sort_values("id")[sorted(table.columns)]
    text = rows.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()
