"""Notebooks to download from the site: with blank exercises, and solved ones where these are shown.

Sphinx puts the notebooks as they are committed behind the download buttons, solutions included.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.notebooks import Notebook, blank, read, write

BLANK, SOLVED, ARCHIVE = "_sources", "_sources/solved", "_sources/notebooks.zip"
FIRST_CELL = """\
# Only in downloaded copies: is everything here that this notebook needs?
import importlib.util

if importlib.util.find_spec("lasoftmoe") is None:
    raise ModuleNotFoundError(
        "This notebook needs the package lasoftmoe, which this environment does not have. "
        "Get the whole project{place}, run `make lab` in its folder, and open the notebook there. "
        "Without make, install the project with `pip install -c constraints.txt -e '.[book]'`."
    )
from lasoftmoe.paths import EMBEDDED_COMMAND, EMBEDDED_DATA

if not (EMBEDDED_DATA / "dataset.json").exists():
    raise FileNotFoundError(
        f"This notebook reads faces from {{EMBEDDED_DATA}}. Render them: {{EMBEDDED_COMMAND}}"
    )"""


def prepare(notebook: Notebook, repository: str, solved: bool) -> Notebook:
    """Return a copy to download: a first cell that says what is missing, solutions or stubs."""
    copy = notebook if solved else blank(notebook)
    place = f" from {repository}" if repository else ""
    first = {
        "cell_type": "code",
        "execution_count": None,
        "id": "needs",
        "metadata": {"tags": ["hide-input"]},
        "outputs": [],
        "source": FIRST_CELL.format(place=place).splitlines(keepends=True),
    }
    title, *rest = copy["cells"]
    return {**copy, "cells": [title, first, *rest]}


def write_all(paths: Iterable[Path], html: Path, repository: str, with_solved: bool) -> None:
    """Write the notebooks at ``paths`` into the built site, and all of them into one archive."""
    folders = {BLANK: False, **({SOLVED: True} if with_solved else {})}
    with zipfile.ZipFile(html / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            notebook = read(path)
            for folder, solved in folders.items():
                target = html / folder / path.name
                write(prepare(notebook, repository, solved), target)
                archive.write(target, target.relative_to(html / BLANK))


def add_solved_button(page: str, path: Path, context: dict[str, Any]) -> None:
    """Offer the solved notebook of ``page``, too, in its download menu."""
    if path.suffix != ".ipynb":
        return
    for menu in context.get("header_buttons", []):
        if menu.get("label") == "download-buttons":
            menu["buttons"].insert(
                1,
                {
                    "type": "link",
                    "url": f"{SOLVED}/{page}.ipynb",
                    "text": ".ipynb, solved",
                    "tooltip": "Download the notebook with its solutions",
                    "icon": "fas fa-file-circle-check",
                    "label": "download-solved-button",
                },
            )
