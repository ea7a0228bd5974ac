"""What the tables of a prepared dataset must look like, and errors that name file and row."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypedDict

import numpy as np
import pandas as pd
import pandera.pandas as pa

from data_prep.contract.shape import check_shape
from data_prep.errors import DatasetError, shown
from data_prep.taxonomy import ATTACK_TYPES, FAMILIES, LABELS, LIVE, family_of

SPLITS = ("train", "dev", "test")
UNKNOWN = "unknown"  # the family and the type of an attack whose release says only that it is one
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Required(TypedDict):
    name: str
    version: str
    license: str
    seed: int
    generator: str
    image_size: int | None
    counts: dict[str, Any]
    checksums: dict[str, str]


class Info(_Required, total=False):
    """What ``dataset.json`` holds; a command may add more."""

    root: str | None
    attack_types: dict[str, Any]
    subjects_cross_splits: bool
    images_checked_by: Literal["sha256", "size"]
    shards: str
    recipe: dict[str, Any]
    subset: dict[str, Any]


class _Counts(TypedDict):
    images: int
    subjects: int
    label: dict[str, int]
    family: dict[str, int]
    type: dict[str, int]
    protocols: dict[str, dict[str, dict[str, int]]]


class _Sums(TypedDict):
    dataset: str
    images: str


class _Written(TypedDict):
    counts: _Counts
    checksums: _Sums


LARGEST_SIDE = 8_192
"""Largest ``image_size`` that a dataset may declare, in pixels."""


def _stays_inside(path: str, root: str | None) -> bool:
    """Whether a path keeps to the dataset's folder or, written as ``root/...``, to its root."""
    if root is not None and path.startswith(f"{root}/"):
        path = path[len(root) + 1 :]
    if "\0" in path:
        return False
    drive = len(path) > 1 and path[0].isalpha() and path[1] == ":"
    return not (path.startswith("/") or ".." in path.split("/") or "\\" in path or drive)


def _column(allowed: tuple[str, ...], **options: Any) -> pa.Column:
    check = pa.Check.isin(allowed, error="one of: " + ", ".join(allowed))
    return pa.Column(str, check, **options)


def _path_column(root: str | None, **options: Any) -> pa.Column:
    or_root = f", or in the root {root!r} that dataset.json declares" if root else ""
    inside = pa.Check(
        lambda path: _stays_inside(path, root),
        element_wise=True,
        error=f"a path relative to the dataset's folder, with '/' and without '..'{or_root}",
    )
    return pa.Column(str, inside, **options)


def manifest_schema(types: tuple[str, ...] = (), root: str | None = None) -> pa.DataFrameSchema:
    """Return the manifest's columns; ``types`` are attacks in addition to the taxonomy's."""
    return pa.DataFrameSchema(
        {
            "id": pa.Column(str, unique=True),
            "path": _path_column(root),
            "label": _column(LABELS),
            "family": _column((LIVE, *FAMILIES, UNKNOWN)),
            "type": _column((LIVE, *ATTACK_TYPES, *types)),
            # The person; no person may stand in two splits of a protocol.
            "subject": pa.Column(str),
            # The recording an image comes from (a video, a capture); attacks name the one attacked.
            "source": pa.Column(str),
            "frame": pa.Column(int, pa.Check.ge(0, error="a frame number, 0 or more")),
            # Where a release holds videos: the one this image is a frame of.
            "video": pa.Column(str, required=False),
            "mask": _path_column(root, required=False, nullable=True),
            "depth": _path_column(root, required=False, nullable=True),
        },
        strict=False,
        coerce=False,
    )


MANIFEST_SCHEMA = manifest_schema()
PATH_COLUMNS = ("path", "mask", "depth")

_TABLE_SCHEMA = pa.DataFrameSchema({"id": pa.Column(str)})
PROTOCOL_SCHEMA = pa.DataFrameSchema({"id": pa.Column(str), "split": _column(SPLITS)})


def check_manifest(manifest: pd.DataFrame, path: Path, info: dict[str, Any] | None = None) -> None:
    """Check the manifest's rows; ``path`` is only what an error calls the table.

    ``info`` is what ``dataset.json`` says: it may declare ``attack_types`` that the taxonomy lacks
    and the ``root`` of a release whose images are used where they lie.

    Raises:
        DatasetError: names the file, the row and what was expected.
    """
    info = info or {}
    declared = info.get("attack_types", {})
    _check_schema(manifest_schema(tuple(declared), info.get("root")), manifest, path)
    families = family_table(declared)
    expected_family = manifest["type"].map(families)
    wrong = manifest[manifest["family"] != expected_family]
    if len(wrong):
        row = wrong.iloc[0]
        raise DatasetError(
            f"{path}: row {row['id']!r} has family {row['family']!r} and type {row['type']!r}; "
            f"that type belongs to {families[row['type']]!r}"
        )
    wrong = manifest[(manifest["label"] == LIVE) != (manifest["family"] == LIVE)]
    if len(wrong):
        row = wrong.iloc[0]
        raise DatasetError(
            f"{path}: row {row['id']!r} is labeled {row['label']!r} and has the type "
            f"{row['type']!r}; live images have the type 'live' and no others do"
        )


def family_table(declared: dict[str, dict[str, str]]) -> dict[str, str]:
    """Family of every type: live, the taxonomy's and those that a dataset declares itself."""
    known = {LIVE: LIVE} | {name: family_of(name) for name in ATTACK_TYPES}
    return known | {name: facts["family"] for name, facts in declared.items()}


def check_protocol(
    protocol: pd.DataFrame, manifest: pd.DataFrame, path: Path, subjects_may_cross: bool = False
) -> None:
    """Check that a protocol splits known images, and that no subject is in two splits.

    Raises:
        DatasetError: names the file and the id or the subject.
    """
    _check_schema(PROTOCOL_SCHEMA, protocol, path)
    rows = pd.Index(manifest["id"]).get_indexer(protocol["id"])
    unknown = protocol.loc[rows == -1, "id"]
    if len(unknown):
        raise DatasetError(f"{path}: the id {unknown.min()!r} is not in manifest.parquet")
    repeated = protocol[protocol["id"].duplicated(keep=False)]
    if len(repeated):
        first = repeated.iloc[0]["id"]
        splits = ", ".join(repeated.loc[repeated["id"] == first, "split"])
        raise DatasetError(f"{path}: the id {first!r} is listed twice (splits: {splits})")
    if subjects_may_cross:
        return
    subjects = protocol[["split"]].assign(subject=manifest["subject"].array[rows])
    places = subjects.drop_duplicates()
    crossing = places[places["subject"].duplicated(keep=False)]
    if len(crossing):
        subject = crossing["subject"].min()
        splits = sorted(crossing.loc[crossing["subject"] == subject, "split"])
        raise DatasetError(
            f"{path}: the subject {subject!r} stands in two splits "
            f"({', '.join(splits)}); split by subject, not by image"
        )


def check_info(info: dict[str, Any], path: Path) -> None:
    """Check that ``dataset.json`` has all its keys, and what it says about root and types.

    Raises:
        DatasetError: If a key is missing or a value is wrong; the message names it.
    """
    check_shape(info, Info, str(path))
    size = info["image_size"]
    if size is not None and not 1 <= size <= LARGEST_SIDE:
        raise DatasetError(
            f"{path}: image_size is {shown(size)}; expected the side of its images in pixels, 1 to "
            f"{LARGEST_SIDE:,}, or null where they differ"
        )
    for name, checksum in info["checksums"].items():
        if not _SHA256.fullmatch(checksum):
            raise DatasetError(
                f"{path}: the checksum of {shown(name)} is {shown(checksum)}; expected 64 "
                "hexadecimal digits"
            )
    root = info.get("root")
    if root is not None and (not root or PurePosixPath(root).is_absolute() or "\0" in root):
        raise DatasetError(
            f"{path}: root is {shown(root)}; expected the release's folder, relative to the "
            "dataset's"
        )
    check_types(info.get("attack_types", {}), path)


def check_written_info(info: dict[str, Any], path: Path) -> None:
    """Check ``dataset.json`` as it is read: also the counts and checksums that writing adds.

    Raises:
        DatasetError: If a key is missing or a value is wrong; the message names it.
    """
    check_info(info, path)
    check_shape(info, _Written, str(path))


def check_table(table: pd.DataFrame, path: Path) -> None:
    """Check that a further table has an ``id`` column.

    Raises:
        DatasetError: If the column is missing or a value is no text; the message names it.
    """
    _check_schema(_TABLE_SCHEMA, table, path)


def check_types(declared: dict[str, dict[str, str]], path: Path) -> None:
    """Check the attack types that a dataset declares in addition to the taxonomy's.

    Raises:
        DatasetError: a type has no known family, or another one than the taxonomy gives it.
    """
    for name, facts in declared.items():
        family = facts.get("family") if isinstance(facts, dict) else None
        if family not in (*FAMILIES, UNKNOWN):
            raise DatasetError(
                f"{path}: the attack type {shown(name)} has the family {shown(family)}; "
                f"expected one of: {', '.join((*FAMILIES, UNKNOWN))}"
            )
        if name == LIVE or (name in ATTACK_TYPES and family_of(name) != family):
            raise DatasetError(
                f"{path}: declares the attack type {shown(name)} as {shown(family)}, but "
                "data_prep.taxonomy has that name for something else; choose another name"
            )


def _check_schema(schema: pa.DataFrameSchema, table: pd.DataFrame, path: Path) -> None:
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DatasetError(f"{path}: two columns are named {shown(twice[0])}; keep the right one")
    absent = [name for name, column in schema.columns.items() if column.required]
    absent = [name for name in absent if name not in table.columns]
    if absent:
        raise DatasetError(
            f"{path}: column {absent[0]!r} is missing; columns: {shown(list(table), 400)}"
        )
    table = table.reset_index(drop=True)
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DatasetError(_first_failure(error.failure_cases, table, path)) from error
    except TypeError as error:
        raise DatasetError(
            f"{path}: a column holds lists or tables ({error}); expected plain values"
        ) from error


def _first_failure(failures: pd.DataFrame, table: pd.DataFrame, path: Path) -> str:
    failure = failures.iloc[0]
    check, value = str(failure["check"]), failure["failure_case"]
    if check.startswith("dtype"):
        return f"{path}: column {failure['column']!r} holds {shown(value)}; expected {check}"
    expected = {"field_uniqueness": "no id twice", "not_nullable": "a value"}.get(check, check)
    if pd.isna(failure["index"]):  # a value on which the check itself fails
        told = f"holds values that cannot be checked ({shown(value)})"
        return f"{path}: column {failure['column']!r} {told}; expected {expected}"
    # By position: a table from elsewhere may have an index of words, or one that repeats.
    row = table["id"].iloc[int(failure["index"])]
    value = value.item() if isinstance(value, np.generic) else value
    return f"{path}: row {shown(row)}, {failure['column']} is {shown(value)}; expected {expected}"
