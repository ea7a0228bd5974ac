"""The exercise cells of a chapter, as the book solves them and as a student finds them."""

from __future__ import annotations

import re
from typing import Any

import nbformat

from lasoftmoe.paths import ROOT

SOLUTION = re.compile(r"^ *# BEGIN SOLUTION\n.*?^ *# END SOLUTION$", re.DOTALL | re.MULTILINE)


def exercise_functions(chapter: str, names: dict[str, Any], blank: bool = False) -> dict[str, Any]:
    """Run the exercise cells of ``book/<chapter>.ipynb`` and return what they define.

    Args:
        chapter: the notebook's name without ending.
        names: what the chapter has imported by then; not changed.
        blank: replace the solutions by ``raise NotImplementedError``.
    """
    scope = dict(names)
    for cell in nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells:
        if "exercise" in cell.metadata.get("tags", []):
            stub = SOLUTION.sub("    raise NotImplementedError", cell.source)
            assert stub != cell.source, f"no solution marked in cell {cell.id}"
            exec(stub if blank else cell.source, scope)
    return scope


def checks_of(chapter_checks: Any) -> set[Any]:
    """All check functions of a module such as ``lasoftmoe.exercises.ch06``."""
    return {value for name, value in vars(chapter_checks).items() if name.startswith("check_")}
