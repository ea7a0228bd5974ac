"""What a folder was made by, and whether a command may put its own work in that place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.contract.checks import DatasetError

WORK = ".work"  # what an unfinished build keeps in the folder, see data_prep.building.resume


def refuse_other(
    folder: Path, recipe: dict[str, Any], overwrite: bool = False
) -> dict[str, Any] | None:
    """Check that a dataset of ``recipe`` may be written to ``folder``.

    ``recipe["generator"]`` names the command that writes; a number behind the name is the version.
    A dataset of another recipe of that command may be replaced only with ``overwrite``, anything
    else never.

    Returns:
        The recipe of what lies there, finished or not; None where nothing does.

    Raises:
        DatasetError: it must not.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
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
    if changed and not overwrite:
        raise DatasetError(
            f"{folder} holds a dataset made by another recipe (different: {', '.join(changed)}); "
            "choose another folder, or replace it with --overwrite"
        )
    return found


def _recipe_in(folder: Path) -> dict[str, Any] | None:
    """The recipe of the dataset in ``folder``, finished or not; None for anything foreign."""
    finished = folder / "dataset.json"
    try:
        if finished.is_file():
            found = json.loads(finished.read_text("utf-8"))["recipe"]
        else:
            found = json.loads((folder / WORK / "recipe.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _command(recipe: dict[str, Any]) -> str:
    return str(recipe.get("generator", "")).split(" ")[0]
