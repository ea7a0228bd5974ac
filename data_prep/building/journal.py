"""The journal of a build: which files it wrote, from which sources, and the rows they became.

While a build runs, ``.work`` in its folder holds the recipe, a marker for each finished unit of
work, and a log for each unit that is being made. The log names a file before it is written. When
the dataset is finished, ``journal.jsonl`` next to ``dataset.json`` takes all of it over: recipe and
tables in its first line, then one line per unit. So a build knows its own files even after a kill,
and it never has to touch any other file.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep.atomic import TEMPORARY_PREFIX, announce_to, announced, write_atomically
from data_prep.errors import DatasetError, MissingFile, ReadError
from data_prep.reading import read_json, read_json_lines, read_text

WORK = ".work"
JOURNAL = "journal.jsonl"
LARGEST_CHEAP_SOURCE = 32 * 2**20
"""Sources of up to this many bytes are known by content, larger ones by size and times alone."""

Row = dict[str, Any]
Files = dict[str, tuple[int, str]]
"""Files of a build by their path in its folder, with "/": size in bytes and SHA-256."""
Source = tuple[int, int, int, str]
"""Size, ``st_mtime_ns``, ``st_ctime_ns`` (-1 if unknown), and SHA-256 of a file.

The size is -1 for files that cannot be read; the SHA-256 is empty for these and for large files.
"""


@dataclass(frozen=True)
class Entry:
    """What is known of one unit of work.

    Attributes:
        rows: what making it returned; None where it has to be made again.
        files: what it wrote.
        sources: facts about each file that it was made from, in order.
        written: when all of its files were there (ns).
    """

    rows: list[Row] | None = None
    files: Files = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    written: int = 0


@dataclass(frozen=True)
class Journal:
    """What a finished dataset says of its build.

    ``late`` names the keys of the recipe that decide the tables alone, not the units.
    """

    recipe: dict[str, Any]
    late: tuple[str, ...]
    units: dict[str, Entry]
    tables: Entry


def read_journal(folder: Path) -> Journal | None:
    """The journal of a finished dataset; None where there is none.

    Raises:
        DatasetError: it is damaged, so that the dataset's own files cannot be told from others.
    """
    path, number = folder / JOURNAL, 1
    if not _is_file(path):
        return None
    try:
        written = path.stat().st_mtime_ns
        lines, units = read_json_lines(path, float), {}
        _, head = next(lines, (1, {}))
        tables = _entry({"rows": [], "sources": [], **head}, written)
        for line in lines:
            number, value = line
            units[str(value["unit"])] = _entry(value, written)
        if len(units) != head["units"]:
            raise ValueError(f"{len(units)} of {head['units']} units")
        return Journal(dict(head["recipe"]), tuple(head["late"]), units, tables)
    except ReadError as error:
        told, cause = f"{error}", error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told, cause = f"{path}, line {number}: damaged ({str(error)[:100]})", error
    raise DatasetError(
        f"{told}. So the dataset's own files cannot be told from others. Nothing was touched: "
        f"delete {folder} yourself, then run the command again"
    ) from cause


def write_journal(
    folder: Path,
    recipe: dict[str, Any],
    late: Sequence[str],
    units: Mapping[str, Entry],
    tables: Iterable[str],
) -> None:
    """Write ``journal.jsonl``; ``tables`` are the files in the folder that belong to no unit."""
    files = {name: fingerprint(folder / name) for name in sorted(tables)}
    head = {"recipe": recipe, "late": list(late), "files": files, "units": len(units)}
    lines = [head, *({"unit": name, **_plain(units[name])} for name in sorted(units))]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_atomically(folder / JOURNAL, lambda path: path.write_text(text, "utf-8"))


def read_work(folder: Path) -> dict[str, Entry]:
    """The units that ``.work`` has a marker of."""
    names = {path.stem for path in (folder / WORK).glob("*.json")} - {"recipe"}
    # A kill leaves unfinished files here, too.
    names = {name for name in names if not name.startswith(TEMPORARY_PREFIX)}
    return {name: read_marker(folder, name) for name in names}


def read_marker(folder: Path, unit: str) -> Entry:
    """What ``.work`` says of one unit; no rows and no files where it has no marker.

    Raises:
        DatasetError: the marker is damaged.
    """
    path = folder / WORK / f"{unit}.json"
    try:
        return _entry(read_json(path, float), path.stat().st_mtime_ns)
    except MissingFile:
        return Entry()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path}: damaged ({str(error)[:100]}); remove this file, then run the command again"
        ) from error


def write_marker(folder: Path, unit: str, entry: Entry) -> None:
    """Keep what is known of a unit; from here on, a unit with rows counts as finished."""
    write_json(folder / WORK / f"{unit}.json", _plain(entry))
    (folder / WORK / f"{unit}.log").unlink(missing_ok=True)


def logged_files(folder: Path, unit: str | None = None) -> set[str]:
    """The files that the log of a unit (None: of all units) names; some may not be there yet."""
    paths = (folder / WORK).glob("*.log") if unit is None else [folder / WORK / f"{unit}.log"]
    names = set()
    for path in paths:
        if path.is_file():
            # A kill may have cut the last line off, before its file was written.
            names |= {line for line in read_text(path).split("\n")[:-1] if line}
    return names


def own_files(folder: Path) -> set[str]:
    """All files in a folder that its builds wrote, apart from those in ``.work``.

    Raises:
        DatasetError: see ``read_journal``.
    """
    journal = read_journal(folder)
    entries = [*read_work(folder).values()]
    names = logged_files(folder)
    if journal is not None:
        entries += [*journal.units.values(), journal.tables]
        names.add("dataset.json")
    return names.union(*(entry.files for entry in entries))


@contextmanager
def logging_files(folder: Path, unit: str, own: Collection[str]) -> Iterator[list[str]]:
    """Within the block, log each file that is written; yields them, as paths in the folder.

    ``own`` are files that earlier attempts at this unit wrote.

    Raises:
        DatasetError: (in the block) a file would come to lie outside the folder, or in the place
            of a file that is not the build's own.
    """
    real, written = os.path.realpath(folder), []

    def announce(path: Path) -> None:
        name = os.path.relpath(Path(os.path.realpath(path.parent), path.name), real)
        name = PurePosixPath(Path(name)).as_posix()
        if name.startswith("../"):
            raise DatasetError(
                f"{path} leads out of {folder} through a link; nothing is written there"
            )
        _log(folder, unit, name, {*own, *written})
        written.append(name)

    with announced(announce):
        yield written


def log_tables(folder: Path) -> None:
    """Log each file that this process writes outside of units, as long as ``.work`` is there.

    Raises:
        DatasetError: (when a file is written) it would replace one that is not the build's own.
    """
    real, own = Path(os.path.realpath(folder)), own_files(folder)

    def announce(path: Path) -> None:
        place = Path(os.path.realpath(path.parent), path.name)
        if place.is_relative_to(real) and place.parent != real / WORK and (real / WORK).is_dir():
            name = place.relative_to(real).as_posix()
            _log(folder, "tables", name, own)
            own.add(name)

    announce_to(announce)


def _log(folder: Path, unit: str, name: str, own: Collection[str]) -> None:
    if name not in own and os.path.lexists(folder / name):
        raise DatasetError(
            f"{folder / name} is not a file of this build; move it away, then run the command again"
        )
    (folder / WORK).mkdir(parents=True, exist_ok=True)
    with (folder / WORK / f"{unit}.log").open("a", encoding="utf-8") as log:
        log.write(f"{name}\n")


def is_whole(folder: Path, entry: Entry, thorough: bool = False) -> bool:
    """Whether all files of a unit are there as they were written.

    Compared are sizes, and the contents of files that changed since (``thorough``: of all files).
    """
    for name, (size, digest) in entry.files.items():
        path = folder / name
        try:
            found = path.lstat()
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        if (thorough or found.st_mtime_ns >= entry.written) and fingerprint(path)[1] != digest:
            return False
    return True


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a build and the folders that are empty then; nothing outside, no links."""
    real, parents = Path(os.path.realpath(folder)), set()
    for name in names:
        path = Path(os.path.realpath((real / name).parent)) / PurePosixPath(name).name
        if path.is_relative_to(real) and path != real and _is_file(path):
            path.unlink()
        parents |= {parent for parent in path.parents if parent.is_relative_to(real)} - {real}
    for parent in sorted(parents, key=lambda parent: -len(parent.parts)):
        try:
            parent.rmdir()
        except OSError:
            continue  # it holds something else, or is gone already


def fingerprint(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def source_facts(path: Path) -> Source:
    """Return what a source is known by."""
    try:
        found = path.stat()
        cheap = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_CHEAP_SOURCE
        digest = fingerprint(path)[1] if cheap else ""
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns, digest
    except OSError:
        return -1, 0, 0, ""


def has_changed(entry: Entry, sources: Sequence[Path], thorough: bool = False) -> bool:
    """Whether the sources of a unit are others than those that it was made from.

    Contents are compared where a time differs, which copies with their old time cannot hide from
    ``st_ctime_ns`` (``thorough``: the contents of all but large sources).
    """
    if len(sources) != len(entry.sources):
        return True
    for path, (size, modified, changed, digest) in zip(sources, entry.sources, strict=True):
        try:
            found = path.stat()
        except OSError:
            if size != -1:
                return True
            continue
        if found.st_size != size:
            return True
        same_times = (found.st_mtime_ns, found.st_ctime_ns) == (modified, changed)
        if same_times and not (thorough and digest):
            continue
        if not digest or source_facts(path)[3] != digest:
            return True
    return False


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file."""
    text = json.dumps(value, ensure_ascii=False)
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))


def _entry(value: dict[str, Any], written: int) -> Entry:
    files = {str(name): (int(size), str(digest)) for name, (size, digest) in value["files"].items()}
    sources = []
    for size, modified, *changed, digest in value["sources"]:  # older journals lack ``changed``
        (changed,) = changed or [-1]
        sources.append((int(size), int(modified), int(changed), str(digest)))
    rows = value["rows"]
    if rows is not None and not isinstance(rows, list):
        raise TypeError(f"rows are {type(rows).__name__}; expected a list")
    return Entry(rows, files, sources, written)


def _plain(entry: Entry) -> dict[str, Any]:
    return {"rows": entry.rows, "files": entry.files, "sources": entry.sources}


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
