"""Images in Parquet shards, read one at a time as if they were files."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.contract.inside import Inside
from data_prep.contract.shape import check_shape
from data_prep.errors import DatasetError, MissingFile, shown
from data_prep.reading import read_bytes, read_json, read_table

INDEX = "shards/index.json"
ROWS_IN_GROUP = 100
"""Images read together: few enough for one at random, enough to stream."""
_BYTES_KEPT = 256 * 2**20
_SHARD_NAME = re.compile(r"(train|dev|test)-\d{5}-of-\d{5}\.parquet")


class _Entry(TypedDict):
    file: str
    rows: int
    bytes: int
    sha256: str


class _Index(TypedDict):
    protocol: str
    shards: list[_Entry]


@dataclass(frozen=True)
class PackedFile:
    """An image in a shard, with the parts of a path that reading an image needs."""

    shards: Shards
    path: str

    def read_bytes(self) -> bytes:
        """Return the image file, byte for byte as it was packed."""
        try:
            return self.shards.read(self.path)
        except FileNotFoundError:
            raise MissingFile(f"{self}: no such file") from None

    @property
    def suffix(self) -> str:
        """Return the ending of the packed file's name."""
        return Path(self.path).suffix

    def exists(self) -> bool:
        """Return whether a shard holds it."""
        return self.shards.holds(self.path)

    def stat(self) -> SimpleNamespace:
        """Return its size as ``st_size``, like ``Path.stat``."""
        return SimpleNamespace(st_size=len(self.read_bytes()))

    def __str__(self) -> str:
        return f"{self.shards.folder / 'shards'}: {self.path}"


def image_bytes(path: Path | PackedFile) -> bytes:
    """Read an image, from its file or its shard.

    Raises:
        ReadError: If it cannot be read (``MissingFile`` if it is not there).
        DatasetError: If its shard is damaged.
    """
    return path.read_bytes() if isinstance(path, PackedFile) else read_bytes(path)


class Shards:
    """All shards of a packed dataset; safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        """Read the index alone.

        Raises:
            DatasetError: If the index or a shard is missing, or a shard has another size.
        """
        self.folder = Path(os.path.realpath(folder))
        self._inside = Inside([self.folder])
        self.index = _read_index(self._inside.locate(self.folder / INDEX))
        self._files = [self._checked(entry) for entry in self.index["shards"]]
        self._open: dict[int, pq.ParquetFile] = {}
        self._groups: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the shards' own paths, relative to the dataset's folder."""
        return [path.relative_to(self.folder).as_posix() for path in self._files]

    def locate(self, path: Path) -> PackedFile:
        """Return the image that a path in the dataset's folder names."""
        return PackedFile(self, path.relative_to(self.folder).as_posix())

    def holds(self, path: str) -> bool:
        """Return whether an image of that path is packed."""
        with self._lock:
            return path in self._places

    def read(self, path: str) -> bytes:
        """Return the bytes of one image.

        Raises:
            FileNotFoundError: If no shard holds it.
            DatasetError: If its shard is damaged.
        """
        with self._lock:
            if path not in self._places:
                raise FileNotFoundError(path)
            shard, row = self._places[path]
            return self._group(shard, row // ROWS_IN_GROUP)[row % ROWS_IN_GROUP].as_py()

    def read_group(self, shard: int, group: int, columns: list[str] | None = None) -> pa.Table:
        """Return up to ``ROWS_IN_GROUP`` rows of a shard; only this group is read.

        Args:
            shard: Number of the shard in ``index["shards"]``.
            group: Number of the group in the shard.
            columns: Columns to read; None means all.

        Raises:
            DatasetError: If the shard is damaged.
        """
        with self._lock:
            opened = self._shard(shard)
        with _named(self._files[shard]):
            return opened.read_row_group(group, columns=columns)

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Shard and row of every image, by its path in the manifest."""
        places = {}
        for number in range(len(self._files)):
            self._shard(number)
            paths = read_table(self._files[number], ["path"])["path"]
            places.update({path: (number, row) for row, path in enumerate(paths)})
        return places

    def _group(self, shard: int, group: int) -> pa.Array:
        key = shard, group
        if key not in self._groups:
            with _named(self._files[shard]):
                table = self._shard(shard).read_row_group(group, columns=["image"])
                self._groups[key] = table["image"].combine_chunks().field("bytes")
            # Images of many megabytes come in large groups; the one asked for is always kept.
            kept = sum(group.nbytes for group in self._groups.values())
            while kept > _BYTES_KEPT and len(self._groups) > 1:
                kept -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key]

    def _shard(self, number: int) -> pq.ParquetFile:
        if number not in self._open:
            with _named(self._files[number]):
                shard = pq.ParquetFile(self._files[number], memory_map=True)
                _check_layout(shard, self._files[number])
            self._open[number] = shard
        return self._open[number]

    def _checked(self, entry: _Entry) -> Path:
        # A link to a shard elsewhere is refused: the folder has to hold all that it needs.
        path = self._inside.locate(self.folder / "shards" / entry["file"])
        size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DatasetError(
                f"{path} {found}; {INDEX} says {entry['bytes']} bytes: copy it again, or pack again"
            )
        return path


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the shard in errors of Arrow; damaged metadata can make any of these."""
    try:
        yield
    except DatasetError:
        raise
    except (OSError, ValueError, TypeError, LookupError, MemoryError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is damaged: {str(error)[:200]}") from error


def _check_layout(shard: pq.ParquetFile, path: Path) -> None:
    """Refuse what ``data_prep shards`` does not write, so that rows are where they are looked for.

    Images must be stored as they are: packed ones could unpack to any size.
    """
    facts = shard.metadata
    rows = [facts.row_group(number).num_rows for number in range(facts.num_row_groups)]
    columns = {facts.schema.column(number).path: number for number in range(facts.num_columns)}
    image = columns.get("image.bytes")
    stored = image is not None and all(
        (column := facts.row_group(number).column(image)).compression == "UNCOMPRESSED"
        and not column.has_dictionary_page
        for number in range(facts.num_row_groups)
    )
    grouped = all(count == ROWS_IN_GROUP for count in rows[:-1]) and max(rows, default=0) <= (
        ROWS_IN_GROUP
    )
    schema = shard.schema_arrow
    typed = "image" in schema.names and pa.types.is_struct(schema.field("image").type)
    typed = typed and schema.field("image").type.field("bytes").type == pa.binary()
    if not (stored and grouped and typed and "path" in columns):
        raise DatasetError(
            f"{path} is no shard of this format (columns path and image, {ROWS_IN_GROUP} rows a "
            "group, images stored without compression); pack the dataset again"
        )


def _read_index(index: Path) -> _Index:
    content = read_json(index)
    check_shape(content, _Index, str(index))
    for entry in content["shards"]:
        if not _SHARD_NAME.fullmatch(entry["file"]):
            raise DatasetError(
                f"{index}: {shown(entry['file'])} is no name of a shard (train-00000-of-00001…)"
            )
    return content
