"""A folder that is replaced as a whole: the finished one appears, or nothing changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.atomic import TEMPORARY_PREFIX
from data_prep.building.recipes import refuse_other


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

    One made by the same recipe may be replaced, since its release may have changed; of anything
    else see ``data_prep.building.recipes``.

    Raises:
        DatasetError: it must not.
    """
    refuse_other(Path(os.path.realpath(folder)), recipe, overwrite)
