"""What a folder was made by, and whether a command may put its own work there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.building.journal import WORK, read_journal
from data_prep.errors import DatasetError, ReadError
from data_prep.reading import read_json


def refuse_nested(out: str | Path, sources: Iterable[str | Path]) -> None:
    """Check that the folder to write and the folders to read are apart; links are followed.

    Call it before anything is touched.

    Raises:
        DatasetError: one of them is inside another.
    """
    real_out = Path(os.path.realpath(out))
    for source in sources:
        real = Path(os.path.realpath(source))
        if real_out.is_relative_to(real):
            raise DatasetError(
                f"{out} is inside {source}, a folder to be read; write the dataset somewhere else"
            )
        if real.is_relative_to(real_out):
            raise DatasetError(
                f"{source}, which is to be read, is inside {out}, the folder to write; nothing was "
                "touched. Write the dataset somewhere else"
            )


def refuse_other(
    folder: Path, recipe: dict[str, Any], overwrite: bool = False, late: Iterable[str] = ()
) -> dict[str, Any] | None:
    """Check that a dataset of ``recipe`` may be written to ``folder``; touches nothing.

    ``recipe["generator"]`` names the command that writes; a number after the name is the version.
    A dataset of another recipe of that command may be replaced only with ``overwrite``, anything
    else never. An unfinished one may always get other values of the keys in ``late``, which no
    finished work depends on.

    Returns:
        The recipe of what is there, finished or not; None where nothing is.

    Raises:
        DatasetError: it must not.
    """
    if folder.is_symlink() and not folder.exists():
        raise DatasetError(f"{folder} is a link to {folder.readlink()}, which is not there")
    if not folder.exists():
        return None
    _refuse_links(folder)
    begun = (folder / WORK / "recipe.json").is_file()
    if folder.is_dir() and not begun and {entry.name for entry in os.scandir(folder)} <= {WORK}:
        return None
    found = _recipe_in(folder)
    if found is None:
        raise DatasetError(
            f"{folder} exists and is not a dataset of this command; choose a new or empty folder"
        )
    if _command(found) != _command(recipe):
        raise DatasetError(
            f"{folder} holds a dataset of another command ({_command(found) or 'unknown'}); choose "
            "another folder"
        )
    changed = sorted(key for key in {*recipe, *found} if found.get(key) != recipe.get(key))
    if begun and set(changed) <= set(late):
        return found
    if changed and not overwrite:
        raise DatasetError(
            f"{folder} holds a dataset made by another recipe (different: {', '.join(changed)}); "
            "choose another folder, or replace it with --overwrite"
        )
    return found


def _recipe_in(folder: Path) -> dict[str, Any] | None:
    """The recipe of the dataset in ``folder``, finished or not; None for anything foreign."""
    work, finished = folder / WORK / "recipe.json", folder / "dataset.json"
    for path in (work, finished):
        try:
            found = read_json(path)["recipe"]
        except (ReadError, KeyError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    journal = read_journal(folder) if folder.is_dir() else None
    return journal.recipe if journal else None


def _refuse_links(folder: Path) -> None:
    for name in (WORK, "protocols"):
        if (folder / name).is_symlink():
            raise DatasetError(f"{folder / name} is a link; nothing is written through it")


def _command(recipe: dict[str, Any]) -> str:
    return str(recipe.get("generator", "")).split(" ")[0]
