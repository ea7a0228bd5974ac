"""A folder that is replaced as a whole: the finished one appears, or nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.atomic import TEMPORARY_PREFIX
from data_prep.checks import DatasetError


@contextmanager
def whole_folder(
    folder: str | Path, recipe: dict[str, Any], overwrite: bool = False
) -> Iterator[Path]:
    """Yield an empty folder beside ``folder`` that takes its place when the block succeeds.

    After an error nothing is left. What may be replaced is said by ``refuse_foreign``, which is
    also to be called before any long work.

    Raises:
        DatasetError: ``folder`` holds something that must not be replaced.
    """
    refuse_foreign(folder, recipe, overwrite)
    place = Path(os.path.realpath(folder))
    place.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, so that moving is one step and paths relative to the folder stay true.
    beside = Path(tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY_PREFIX))
    beside.chmod(0o755)
    try:
        yield beside
        _take_place(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _take_place(beside: Path, place: Path) -> None:
    if not place.exists():
        beside.rename(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY_PREFIX))
    place.rename(old / "old")
    beside.rename(place)
    shutil.rmtree(old)


def refuse_foreign(folder: str | Path, recipe: dict[str, Any], overwrite: bool = False) -> None:
    """Check that a dataset of ``recipe`` may be written to ``folder``.

    ``recipe["generator"]`` names the command that writes. A dataset made by the same recipe may be
    replaced, since its release may have changed; one of another recipe of that command only with
    ``overwrite``; anything else never.

    Raises:
        DatasetError: it must not.
    """
    place = Path(os.path.realpath(folder))
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    found = _recipe_in(place)
    if found.get("generator") != recipe["generator"]:
        raise DatasetError(
            f"{place} exists and is not a dataset of this command; choose a new or empty folder"
        )
    changed = sorted(key for key in {*recipe, *found} if found.get(key) != recipe.get(key))
    if changed and not overwrite:
        raise DatasetError(
            f"{place} holds a dataset made by another recipe (different: {', '.join(changed)}); "
            "choose another folder, or replace it with --overwrite"
        )


def _recipe_in(place: Path) -> dict[str, Any]:
    """The recipe of the dataset that lies there; empty for anything foreign."""
    try:
        info = json.loads((place / "dataset.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    found = info.get("recipe") if isinstance(info, dict) else None
    return found if isinstance(found, dict) else {}
