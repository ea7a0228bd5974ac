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

    A dataset made by the same ``recipe`` is replaced, since its release may have changed; one of
    another recipe only with ``overwrite``; anything else never. After an error nothing is left.

    Raises:
        DatasetError: ``folder`` holds something that must not be replaced.
    """
    place = Path(os.path.realpath(folder))
    _refuse_foreign(place, recipe, overwrite)
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


def _refuse_foreign(place: Path, recipe: dict[str, Any], overwrite: bool) -> None:
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        found = json.loads((place / "dataset.json").read_text("utf-8")).get("recipe")
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise DatasetError(
            f"{place} exists and is not a dataset of this command; choose a new or empty folder"
        )
    changed = sorted(key for key in {*recipe, *found} if found.get(key) != recipe.get(key))
    if changed and not overwrite:
        raise DatasetError(
            f"{place} holds a dataset made by another recipe (different: {', '.join(changed)}); "
            "choose another folder, or replace it with --overwrite"
        )
