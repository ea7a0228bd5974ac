"""The one door through which data preparation reads a user's files.

Only regular files are opened, without waiting: a named pipe, a socket, or a device in place of a
file is an error, not a standstill. Every read has a limit (``data_prep.limits``), and every error
names the file and the place in it. Where a path must stay inside given folders,
``data_prep.contract.inside`` says so before it is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml

from data_prep.errors import MissingFile, ReadError, shown
from data_prep.limits import limit, too_large

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LONGEST_INTEGER = 40  # digits
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; never waits for another program.

    Raises:
        MissingFile: If nothing is there.
        ReadError: If something else than a regular file is there, or it cannot be opened.
    """
    try:
        _refuse_other(path, Path(path).stat().st_mode)  # first, because opening can start a device
        handle = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"{path}: no such file") from None
    except ReadError:
        raise
    except (OSError, ValueError) as error:  # a ValueError for a null in the path
        raise ReadError(f"{path}: cannot be opened ({_told(error)})") from error
    try:
        _refuse_other(path, os.fstat(handle).st_mode)
    except ReadError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _refuse_other(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
        raise ReadError(f"{path}: expected a regular file, found {kind}; put the file itself there")


def read_bytes(path: str | Path, limit_name: str = "image_bytes") -> bytes:
    """Read a whole file, at most as many bytes as the limit says.

    Raises:
        ReadError: If it cannot be read or is larger (``MissingFile`` if it is not there).
    """
    most = limit(limit_name)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise ReadError(f"{path} {too_large(limit_name, size)}")
            data = file.read(size + 1)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({_told(error)})") from error
    if len(data) > size:
        raise ReadError(f"{path}: grew while it was read; run again when it is complete")
    return data


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a file of any size as hexadecimal digits.

    Raises:
        ReadError: If it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({_told(error)})") from error


def read_text(path: str | Path, limit_name: str = "text_bytes") -> str:
    """Read UTF-8 text; a byte order mark at its start is left out.

    Raises:
        ReadError: If it cannot be read or is not UTF-8; the message names the line.
    """
    data = read_bytes(path, limit_name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ReadError(
            f"{path}, line {line}: not UTF-8 text ({error.reason}); convert the file to UTF-8"
        ) from error


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a list that hold something, stripped, with their numbers from 1.

    Lines end at line feeds alone, because other line ends of Unicode may be part of a name.

    Raises:
        ReadError: As ``read_text``, or if there are more lines than the limit ``text_items`` or
            one is longer than the limit ``line_characters``.
    """
    for number, line in _lines(path, "line_characters", "text_bytes"):
        if number > limit("text_items"):
            raise ReadError(f"{path} {too_large('text_items', _more('text_items'))}")
        if stripped := line.strip():
            yield number, stripped


def read_json(path: str | Path, constant: Callable[[str], Any] | None = None) -> Any:
    """Read a JSON file. Keys that occur twice are errors, and so is what may fill the memory.

    NaN and infinity are errors, too, unless ``constant`` turns their names into values.

    Raises:
        ReadError: If it is missing, not JSON, too deeply nested, or has more commas and brackets
            than the limit ``text_items``.
    """
    return _parse_json(read_text(path), f"{path}", constant)


def read_json_lines(
    path: str | Path, constant: Callable[[str], Any] | None = None
) -> Iterator[tuple[int, Any]]:
    """Give the values of a file with one JSON value in each line, and the lines' numbers from 1.

    The file may have any size; limits hold for each line.

    Raises:
        ReadError: As ``read_json``; the message names the line.
    """
    for number, line in _lines(path, "record_characters"):
        yield number, _parse_json(line, f"{path}, line {number}", constant)


def _lines(
    path: str | Path, limit_name: str, file_limit: str | None = None
) -> Iterator[tuple[int, str]]:
    most, number = limit(limit_name), 0
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if file_limit and size > limit(file_limit):
                raise ReadError(f"{path} {too_large(file_limit, size)}")
            while data := file.readline(4 * most + 4):  # a character has up to four bytes
                number += 1
                too_long = f"{path}, line {number}: {too_large(limit_name, _more(limit_name))}"
                if len(data) == 4 * most + 4:
                    raise ReadError(too_long)
                line = data.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n")
                if len(line) > most:
                    raise ReadError(too_long)
                yield number, line
    except UnicodeDecodeError as error:
        raise ReadError(
            f"{path}, line {number}: not UTF-8 text ({error.reason}); convert the file to UTF-8"
        ) from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({_told(error)})") from error


def _more(limit_name: str) -> str:
    return f"more than {limit(limit_name):,}"


def _parse_json(text: str, place: str, constant: Callable[[str], Any] | None) -> Any:
    # Each item of a list or table has a comma or a bracket, and up to 30 times its size in memory.
    items = sum(map(text.count, "[{,"))
    if items > limit("text_items"):
        raise ReadError(f"{place} {too_large('text_items', items)}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_int=_integer,
            parse_constant=constant or _refuse,
        )
    except (ValueError, RecursionError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ReadError(f"{place} is not readable JSON ({told})") from error
    _check_nesting(value, place)
    return value


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file of plain values. Anchors, tags, and keys that occur twice are errors.

    Raises:
        ReadError: If it is missing, not YAML, or too deeply nested; the message names the line.
    """
    text = read_text(path, "yaml_bytes")
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        told = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise ReadError(f"{path}{place}: cannot be read as YAML ({told})") from error


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table, or some of its columns, whose size in memory was estimated first.

    Raises:
        ReadError: If it is missing, is no Parquet table, has lists or other nested values in a
            column, or is larger than the limits ``table_rows`` and ``table_bytes``.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        with open_regular(path) as file:
            rows, size = _table_size(file, columns)
            for name, found in (("table_rows", rows), ("table_bytes", size)):
                if found > limit(name):
                    raise ReadError(f"{path} {too_large(name, found)}")
            file.seek(0)
            return pd.read_parquet(file, columns=columns)
    except _Nested as error:
        raise ReadError(
            f"{path}: the column {shown(error.args[0])} holds {error.args[1][:80]}; expected one "
            "number, text, time, or yes or no in each row. Write lists as text or as more rows"
        ) from None
    except ReadError:
        raise
    except (OSError, ValueError, TypeError, KeyError, MemoryError, pa.ArrowException) as error:
        raise ReadError(f"{path} is not a readable parquet table ({_told(error)})") from error


def _table_size(file: BinaryIO, columns: list[str] | None) -> tuple[int, int]:
    """Rows of a Parquet table, and an estimate of its bytes in memory.

    A repeated value takes next to no space in the file. So texts are read as references to their
    distinct values, and only their lengths are added up; for others the width of the type tells.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    facts = table.metadata
    fields = [field for field in table.schema_arrow if columns is None or field.name in columns]
    if len({field.name for field in fields}) < len(fields):
        raise ValueError("two columns have the same name")
    texts = {field.name for field in fields if _is_text(field)}
    width = sum(8 if field.name in texts else _width(field.type) for field in fields)
    size = facts.num_rows * width
    for group in map(facts.row_group, range(facts.num_row_groups)):
        parts = map(group.column, range(group.num_columns))
        size += sum(
            part.total_uncompressed_size
            for part in parts
            if columns is None or part.path_in_schema in columns
        )
    if facts.num_rows > limit("table_rows") or size > limit("table_bytes"):
        return facts.num_rows, size
    file.seek(0)
    table = pq.ParquetFile(file, read_dictionary=list(texts))
    for group in range(facts.num_row_groups):
        for name in texts:
            for chunk in table.read_row_group(group, columns=[name]).column(0).chunks:
                chunk.dictionary.validate(full=True)  # text that is UTF-8
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
                size += pc.sum(lengths).as_py() or 0
    return facts.num_rows, size


class _Nested(Exception):
    """A column (its name, its type) whose values could be of any size."""


def _is_text(field: pa.Field) -> bool:
    """Whether a column holds text or bytes of any length; raises for nested values."""
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    of_any_length = (
        *(types.is_string, types.is_large_string, types.is_string_view),
        *(types.is_binary, types.is_large_binary, types.is_binary_view),
    )
    of_one_length = (
        *(types.is_primitive, types.is_decimal, types.is_null, types.is_fixed_size_binary),
    )
    if any(check(kind) for check in of_any_length):
        return True
    if not any(check(kind) for check in of_one_length):
        raise _Nested(field.name, str(field.type))
    return False


def _width(kind: pa.DataType) -> int:
    """Bytes of one value in memory, where pandas may make a Python object of it."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _width(kind.value_type)
    return 8 if types.is_null(kind) else max(8, kind.bit_width // 8)


class _PlainLoader(yaml.SafeLoader):
    """Plain values only; an anchor could stand for a million copies."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _problem("anchors and aliases are not read; write the value out", event)
        self.depth += 1
        if self.depth > limit("nesting"):
            raise _problem(f"nested deeper than the limit nesting, {limit('nesting')}", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _problem(f"the key {shown(key.value)} occurs twice", key)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _problem(text: str, place: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, text, place.start_mark)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {shown(twice)} occurs twice in one table; keep the right one")
    return table


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(digits):,} digits; at most {_LONGEST_INTEGER} fit")
    return int(digits)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def _check_nesting(value: Any, path: str | Path) -> None:
    level, depth, most = [value] if isinstance(value, dict | list) else [], 0, limit("nesting")
    while level:
        depth += 1
        if depth > most + 1:
            raise ReadError(f"{path}: nested deeper than the limit nesting, {most}")
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__
