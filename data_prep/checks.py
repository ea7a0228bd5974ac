"""What the tables of a prepared dataset have to look like, and errors that name file and row."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

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


def check_info(info: dict[str, Any], path: Path) -> None:
    """Check that ``dataset.json`` says all it has to.

    Raises:
        DatasetError: names the missing keys.
    """
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
