"""Building a folder unit by unit, so that an interrupted build goes on where it stopped.

While a build runs, ``.work`` in the folder holds the recipe and one small file for every finished
unit. A unit counts as finished only when its file is there, and that is written after everything
else of the unit. The caller writes ``dataset.json`` last and then calls ``clean_up``.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from data_prep.atomic import TEMPORARY_PREFIX, write_atomically
from data_prep.building.parallel import run_units
from data_prep.building.recipes import WORK, refuse_other

Row = dict[str, Any]


def prepare_folder(folder: Path, recipe: dict[str, Any], overwrite: bool = False) -> bool:
    """Make ``folder`` ready for a build by ``recipe`` (JSON values).

    Returns:
        True when a finished dataset of the very same recipe already lies there.

    Raises:
        DatasetError: the folder holds something else (with ``overwrite``: something that is not
            a dataset of this command; datasets of another recipe are then deleted).
    """
    found = refuse_other(folder, recipe, overwrite)
    if found == recipe:
        return (folder / "dataset.json").is_file()
    if found is not None:
        shutil.rmtree(folder)
    _write_json(folder / WORK / "recipe.json", recipe)
    return False


def build_units(
    folder: Path,
    units: dict[str, Any],
    make: Callable[[Any], list[Row]],
    workers: int | None,
    description: str,
    backend: str | None = None,
) -> list[Row]:
    """Make every unit that is not finished yet; returns the rows of all, in the units' order.

    ``make(unit)`` writes a unit's files and returns its rows of the manifest. It runs in other
    processes, so it has to be importable. ``backend`` says where they run (see ``run_units``).
    """
    rows = finished_units(folder, units)
    left = [(name, unit) for name, unit in units.items() if name not in rows]
    where = {} if backend is None else {"backend": backend}
    made = run_units(
        functools.partial(_build_one, folder, make), left, workers, description, **where
    )
    rows |= zip((name for name, _ in left), made, strict=True)
    return [row for name in units for row in rows[name]]


def finished_units(folder: Path, units: Iterable[str]) -> dict[str, list[Row]]:
    """The rows of those units that an interrupted build has finished."""
    markers = {name: _marker(folder, name) for name in units}
    return {
        name: json.loads(path.read_text("utf-8"))
        for name, path in markers.items()
        if path.is_file()
    }


def reopen(folder: Path, recipe: dict[str, Any], units: dict[str, list[Row]]) -> None:
    """Take a finished dataset as a build by ``recipe`` with these ``units`` finished.

    It stays a finished one until ``dataset.json`` is written anew or removed.
    """
    shutil.rmtree(folder / WORK, ignore_errors=True)
    for name, rows in units.items():
        _write_json(_marker(folder, name), rows)
    _write_json(folder / WORK / "recipe.json", recipe)


def forget(folder: Path, units: Iterable[str]) -> None:
    """Let the next build make these units again."""
    for name in units:
        _marker(folder, name).unlink(missing_ok=True)


def clean_up(folder: Path) -> None:
    """Remove the traces of building, also those of a build that was killed."""
    shutil.rmtree(folder / WORK, ignore_errors=True)
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


def _build_one(
    folder: Path, make: Callable[[Any], list[Row]], named_unit: tuple[str, Any]
) -> list[Row]:
    name, unit = named_unit
    rows = make(unit)
    _write_json(_marker(folder, name), rows)
    return rows


def _marker(folder: Path, name: str) -> Path:
    return folder / WORK / f"{name}.json"


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
