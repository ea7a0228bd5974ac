"""Images that lie in Parquet shards, read one at a time as if they were files."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.contract.checks import DatasetError

INDEX = "shards/index.json"
ROWS_IN_GROUP = 100
"""Images read together: few enough for one at random, enough to stream."""
_BYTES_KEPT = 256 * 2**20
_SHARD_NAME = re.compile(r"(train|dev|test)-\d{5}-of-\d{5}\.parquet")


@dataclass(frozen=True)
class PackedFile:
    """What reading an image needs of a path: its bytes and a name for errors."""

    shards: Shards
    path: str

    def read_bytes(self) -> bytes:
        """The image file, byte for byte as it was packed."""
        return self.shards.read(self.path)

    @property
    def suffix(self) -> str:
        """The ending of the packed file's name."""
        return Path(self.path).suffix

    def exists(self) -> bool:
        """Whether a shard holds it."""
        return self.shards.holds(self.path)

    def stat(self) -> SimpleNamespace:
        """Its size as ``st_size``, like ``Path.stat``."""
        return SimpleNamespace(st_size=len(self.read_bytes()))

    def __str__(self) -> str:
        return f"{self.shards.folder / 'shards'}: {self.path}"


class Shards:
    """All shards of a packed dataset; safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        """Reads the index alone.

        Raises:
            DatasetError: the index or a shard is missing, or a shard has another size.
        """
        self.folder = Path(os.path.realpath(folder))
        self._files = [self._checked(entry) for entry in _entries(folder / INDEX)]
        self._open: dict[int, pq.ParquetFile] = {}
        self._groups: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The shards' own paths, relative to the dataset's folder."""
        return [path.relative_to(self.folder).as_posix() for path in self._files]

    def locate(self, path: Path) -> PackedFile:
        """The image that a path in the dataset's folder names."""
        return PackedFile(self, path.relative_to(self.folder).as_posix())

    def holds(self, path: str) -> bool:
        """Whether an image of that path is packed."""
        with self._lock:
            return path in self._places

    def read(self, path: str) -> bytes:
        """The bytes of one image.

        Raises:
            FileNotFoundError: no shard holds it.
            DatasetError: its shard is damaged.
        """
        with self._lock:
            if path not in self._places:
                raise FileNotFoundError(path)
            shard, row = self._places[path]
            return self._group(shard, row // ROWS_IN_GROUP)[row % ROWS_IN_GROUP].as_py()

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Shard and row of every image, by its path in the manifest."""
        places = {}
        for number in range(len(self._files)):
            paths = self._shard(number).read(columns=["path"])["path"].to_pylist()
            places.update({path: (number, row) for row, path in enumerate(paths)})
        return places

    def _group(self, shard: int, group: int) -> pa.Array:
        key = shard, group
        if key not in self._groups:
            try:
                table = self._shard(shard).read_row_group(group, columns=["image"])
            except (OSError, pa.ArrowException) as error:
                raise DatasetError(f"{self._files[shard]} is damaged: {error}") from error
            self._groups[key] = table["image"].combine_chunks().field("bytes")
            # Images of many megabytes come in large groups; the one asked for is always kept.
            kept = sum(group.nbytes for group in self._groups.values())
            while kept > _BYTES_KEPT and len(self._groups) > 1:
                kept -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key]

    def _shard(self, number: int) -> pq.ParquetFile:
        if number not in self._open:
            try:
                self._open[number] = pq.ParquetFile(self._files[number], memory_map=True)
            except (OSError, pa.ArrowException) as error:
                raise DatasetError(f"{self._files[number]} is damaged: {error}") from error
        return self._open[number]

    def _checked(self, entry: dict[str, Any]) -> Path:
        path = self.folder / "shards" / entry["file"]
        size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DatasetError(
                f"{path} {found}; {INDEX} says {entry['bytes']} bytes: copy it again, or pack again"
            )
        return path


def _entries(index: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(index.read_text("utf-8"))["shards"]
        names = [str(entry["file"]) for entry in entries]
        sizes = [int(entry["bytes"]) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{index} is no index of shards ({error}); pack again") from error
    for name in names:
        if not _SHARD_NAME.fullmatch(name):
            raise DatasetError(f"{index}: {name!r} is no name of a shard (train-00000-of-00001…)")
    return [{"file": name, "bytes": size} for name, size in zip(names, sizes, strict=True)]
