"""Building a folder unit by unit, so that an interrupted build goes on where it stopped.

``data_prep.building.journal`` says what a build keeps in its folder. The caller writes
``dataset.json`` last and then calls ``clean_up``. Nothing is ever removed or replaced that no build
of this folder wrote.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.atomic import announce_to, remove_temporaries
from data_prep.building.journal import (
    JOURNAL,
    WORK,
    Entry,
    Row,
    fingerprint,
    has_changed,
    is_whole,
    log_tables,
    logged_files,
    logging_files,
    own_files,
    read_journal,
    read_marker,
    read_work,
    remove_files,
    source_facts,
    write_journal,
    write_json,
    write_marker,
)
from data_prep.building.lock import lock_folder, unlock_folder
from data_prep.building.parallel import run_units
from data_prep.building.recipes import refuse_other
from data_prep.errors import DatasetError, ReadError
from data_prep.reading import read_json

_LOCK = f"{WORK}/lock"


def prepare_folder(
    folder: Path,
    recipe: dict[str, Any],
    overwrite: bool = False,
    late: Sequence[str] = (),
    again: bool = False,
) -> bool:
    """Make ``folder`` ready for a build by ``recipe`` (JSON values).

    Of a finished dataset of the same recipe, units whose files are missing or damaged are to be
    made again. Sizes and times tell; with ``overwrite``, all contents are compared.

    Args:
        folder: what to build in.
        recipe: what decides the result.
        overwrite: replace a dataset of another recipe.
        late: keys of the recipe that decide the tables alone; units outlive a change of them.
        again: write the tables of a finished dataset again.

    Returns:
        True when a finished and whole dataset of the very same recipe is there already.

    Raises:
        DatasetError: the folder holds something else, or another command is building in it.
    """
    found = refuse_other(folder, recipe, overwrite, late)
    if found == recipe and not again and not _left_to_do(folder, overwrite):
        return True
    lock_folder(folder, _LOCK)
    found = refuse_other(folder, recipe, overwrite, late)  # another command may have just ended
    if found is not None and _units_of(found, late) != _units_of(recipe, late):
        _remove_own(folder)
    elif not (folder / WORK / "recipe.json").is_file():
        redo(folder, _damaged(folder, overwrite))
    write_json(folder / WORK / "recipe.json", {"recipe": recipe, "late": list(late)})
    journal = read_journal(folder)
    if journal and _units_of(journal.recipe, journal.late) != _units_of(recipe, late):
        (folder / JOURNAL).unlink()
    log_tables(folder)
    return False


def build_units(
    folder: Path,
    units: dict[str, Any],
    make: Callable[[Any], list[Row]],
    workers: int | None,
    description: str,
    backend: str | None = None,
    sources: Callable[[Any], Sequence[Path]] | None = None,
    thorough: bool = False,
) -> list[Row]:
    """Make every unit that is not finished yet; returns the rows of all, in the units' order.

    Args:
        folder: where; ``prepare_folder`` made it ready.
        units: what to make, by names that can be names of files.
        make: writes a unit's files with ``write_atomically`` and returns its rows of the manifest.
            It runs in other processes, so it has to be importable, and so has ``sources``.
        workers: processes; None: one per core.
        description: what the progress bar says.
        backend: where they run (see ``run_units``).
        sources: the files that a unit is made from. A unit whose sources changed is made again.
        thorough: compare the contents of sources even where sizes and times are the same.
    """
    rows = finished_units(folder, units, sources, thorough)
    left = [(name, unit) for name, unit in units.items() if name not in rows]
    where = {} if backend is None else {"backend": backend}
    build = functools.partial(_build_one, folder, make, sources)
    made = run_units(build, left, workers, description, **where)
    rows |= zip((name for name, _ in left), made, strict=True)
    return [row for name in units for row in rows[name]]


def finished_units(
    folder: Path,
    units: Mapping[str, Any],
    sources: Callable[[Any], Sequence[Path]] | None = None,
    thorough: bool = False,
) -> dict[str, list[Row]]:
    """The rows of the units that are finished, whole, and made from the sources of today."""
    entries = _entries(folder)
    return {
        name: entries[name].rows
        for name, unit in units.items()
        if name in entries
        and entries[name].rows is not None
        and is_whole(folder, entries[name])
        and not (sources and has_changed(entries[name], sources(unit), thorough))
    }


def changed_units(
    folder: Path,
    units: Mapping[str, Any],
    sources: Callable[[Any], Sequence[Path]],
    thorough: bool = False,
) -> dict[str, list[Row]]:
    """The units made from sources that have been replaced since, with the rows they had."""
    entries = _entries(folder)
    return {
        name: entries[name].rows
        for name, unit in units.items()
        if name in entries
        and entries[name].rows is not None
        and has_changed(entries[name], sources(unit), thorough)
    }


def reopen(folder: Path, units: Sequence[str]) -> None:
    """Take a finished dataset as a build in which these units have to be made again.

    It stays a finished one until ``dataset.json`` is written again or removed.
    """
    journal = read_journal(folder)
    if journal is None:
        raise DatasetError(_no_journal(folder))
    lock_folder(folder, _LOCK)
    log_tables(folder)
    redo(folder, units)
    head = {"recipe": _info(folder).get("recipe", journal.recipe), "late": list(journal.late)}
    write_json(folder / WORK / "recipe.json", head)


def redo(folder: Path, units: Sequence[str]) -> None:
    """Let the next build make these units again; their files stay known as its own."""
    entries = _entries(folder) if units else {}
    for name in units:
        write_marker(folder, name, replace(entries.get(name, Entry()), rows=None))


def clean_up(folder: Path, more: Iterable[str] = ()) -> None:
    """Write the journal of a dataset that has just been finished, and remove ``.work``.

    ``more`` are files that the caller wrote next to the tables.
    """
    work = folder / WORK
    if not work.is_dir():
        return
    lock_folder(folder, _LOCK)
    announce_to(None)
    if (work / "recipe.json").is_file():
        before, units = own_files(folder), _entries(folder)
        head = read_json(work / "recipe.json")
        sums = (name for name in _info(folder)["checksums"] if name not in ("dataset", "images"))
        tables = [f"{name}.parquet" for name in sums]
        tables += more
        write_journal(folder, head["recipe"], head["late"], units, tables)
        (work / "recipe.json").unlink()
        after = {"dataset.json", JOURNAL, *tables}.union(*(entry.files for entry in units.values()))
        remove_files(folder, before - after)
        _remove_temporaries(folder, before | after)
    _remove_work(folder)


def _build_one(
    folder: Path,
    make: Callable[[Any], list[Row]],
    sources: Callable[[Any], Sequence[Path]] | None,
    named_unit: tuple[str, Any],
) -> list[Row]:
    name, unit = named_unit
    own = {*read_marker(folder, name).files, *logged_files(folder, name)}
    facts = [source_facts(path) for path in sources(unit)] if sources else []
    with logging_files(folder, name, own) as written:
        rows = make(unit)
    # Some may be gone again, such as frames of a video that turned out to be damaged.
    files = {path: fingerprint(folder / path) for path in written if (folder / path).is_file()}
    remove_files(folder, own - set(files))
    write_marker(folder, name, Entry(rows, files, facts))
    return rows


def _left_to_do(folder: Path, thorough: bool) -> bool:
    """Whether a build is unfinished, or a finished one is not whole any more."""
    if (folder / WORK / "recipe.json").is_file() or not _info(folder):
        return True
    journal = read_journal(folder)
    if journal is None:
        if thorough:
            raise DatasetError(_no_journal(folder))
        return False
    return not is_whole(folder, journal.tables, thorough) or bool(_damaged(folder, thorough))


def _damaged(folder: Path, thorough: bool) -> list[str]:
    journal = read_journal(folder)
    entries = journal.units if journal else {}
    return [name for name, entry in entries.items() if not is_whole(folder, entry, thorough)]


def _entries(folder: Path) -> dict[str, Entry]:
    """What is known of all units: the journal's entries, and the newer ones of ``.work``."""
    journal = read_journal(folder)
    return {**(journal.units if journal else {}), **read_work(folder)}


def _remove_own(folder: Path) -> None:
    """Remove all that earlier builds wrote; ``.work`` and the journal name it until it is gone."""
    own = own_files(folder)
    if "dataset.json" not in own and (folder / "dataset.json").exists():
        raise DatasetError(_no_journal(folder))
    (folder / "dataset.json").unlink(missing_ok=True)
    remove_files(folder, own)
    _remove_temporaries(folder, own)
    for path in (folder / WORK).iterdir():
        if path.suffix in (".json", ".log") and path.name != "recipe.json":
            path.unlink()


def _remove_temporaries(folder: Path, names: Iterable[str]) -> None:
    for parent in {folder, folder / "protocols", *((folder / name).parent for name in names)}:
        remove_temporaries(parent)


def _remove_work(folder: Path) -> None:
    work = folder / WORK
    remove_temporaries(work)
    for path in work.iterdir():
        if path.suffix in (".json", ".log"):
            path.unlink()
    unlock_folder(folder, _LOCK)
    try:
        work.rmdir()
    except OSError:
        return  # another command has just begun there, or it holds something of somebody's


def _info(folder: Path) -> dict[str, Any]:
    try:
        info = read_json(folder / "dataset.json")
    except ReadError:
        return {}
    return info if isinstance(info, dict) else {}


def _units_of(recipe: dict[str, Any], late: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in set(late)}


def _no_journal(folder: Path) -> str:
    return (
        f"{folder} has no {JOURNAL}, so the files of its dataset cannot be told from others. "
        "Nothing was touched: delete the folder yourself, then run the command again"
    )
