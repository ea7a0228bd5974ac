"""The exercises in the book's notebooks: where they are, and notebooks without their solutions."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lasoftmoe.exercises.exercise import Chapter, Exercise

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION\n.*?^ *# END SOLUTION$", re.DOTALL | re.MULTILINE)
STUB = "raise NotImplementedError  # your code"

Cell = dict[str, Any]
Notebook = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One exercise and its three cells in a notebook.

    Attributes:
        exercise: its description.
        text: the task in words.
        code: the cell with the solution.
        check: the cell that calls the check.
    """

    exercise: Exercise
    text: Cell
    code: Cell
    check: Cell


def chapter(number: str) -> Chapter:
    """Return the exercises of a chapter.

    Raises:
        SystemExit: There is no such chapter.
    """
    try:
        return importlib.import_module(f"lasoftmoe.exercises.ch{number}").CHAPTER
    except ModuleNotFoundError:
        known = ", ".join(chapter_numbers())
        raise SystemExit(f"chapter {number!r} has no exercises; those that have: {known}") from None


def chapter_numbers() -> list[str]:
    """Return the chapters that have exercises, as two digits."""
    folder = ROOT / "lasoftmoe" / "exercises"
    return sorted(path.stem.removeprefix("ch") for path in folder.glob("ch[0-9][0-9].py"))


def notebook_path(number: str) -> Path:
    """Return the notebook of a chapter."""
    return next(BOOK.glob(f"{number}_*.ipynb"))


def read(path: Path) -> Notebook:
    """Read a notebook as plain JSON, so that writing it back changes no other line."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(notebook: Notebook, path: Path) -> None:
    """Write a notebook as nbstripout leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def source(cell: Cell) -> str:
    """Return the text of a cell."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def set_source(cell: Cell, text: str) -> None:
    """Set the text of a cell in the form that nbformat writes."""
    cell["source"] = text.splitlines(keepends=True)


def tags(cell: Cell) -> list[str]:
    """Return the tags of a cell."""
    return cell["metadata"].get("tags", [])


def points(count: int) -> str:
    """Return a number of points in words, such as "1 point"."""
    return f"{count} point{'s' * (count != 1)}"


def tasks(notebook: Notebook, described: Chapter) -> list[Task]:
    """Return the exercises of a notebook in order.

    Raises:
        ValueError: An exercise has no description, or its cells are not where they belong.
    """
    by_name = {exercise.function: exercise for exercise in described.exercises}
    cells, found = notebook["cells"], []
    for text, code, check in zip(cells, cells[1:], cells[2:], strict=False):
        if "exercise" not in tags(code):
            continue
        name = function_name(source(code))
        if name not in by_name or text["cell_type"] != "markdown" or "check" not in tags(check):
            raise ValueError(
                f"cell {code['id']!r} of chapter {described.number}: expected a task in words, the "
                f"function of a described exercise, and a check; got the function {name!r}"
            )
        found.append(Task(by_name[name], text, code, check))
    return found


def function_name(code: str) -> str | None:
    """Return the name of the first function or class that a cell defines."""
    match = re.search(r"^(?:def|class) (\w+)\(", code, re.MULTILINE)
    return match and match[1]


def signature(code: str) -> str:
    """Return name and arguments of the first function or class that a cell defines."""
    match = re.search(r"^def (\w+\(.*?\)):", code, re.MULTILINE | re.DOTALL)
    if match:
        return match[1]
    match = re.search(r"def __init__\(self, (.*?\)):", code, re.DOTALL)
    if match is None:
        raise ValueError(f"no function in {code[:60]!r}")
    return f"{function_name(code)}({match[1]}"


def without_solution(code: str) -> str:
    """Replace what stands between the solution markers by a stub."""
    return SOLUTION.sub(rf"\1{STUB}", code)


def blank(notebook: Notebook) -> Notebook:
    """Return a notebook with a stub for each solution, and without outputs.

    Raises:
        ValueError: A trace of a solution would be left.
    """
    result = json.loads(json.dumps(notebook))
    for cell in result["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"], cell["execution_count"] = [], None
        if "exercise" in tags(cell):
            set_source(cell, without_solution(source(cell)))
            cell["metadata"] = {"tags": ["exercise"]}
    require_no_solution(result, notebook)
    return result


def solution_lines(notebook: Notebook) -> set[str]:
    """Return the lines of all solutions that are long enough to give something away."""
    found = set()
    for cell in notebook["cells"]:
        for match in SOLUTION.finditer(source(cell)):
            lines = (line.strip() for line in match[0].splitlines()[1:-1])
            found |= {line for line in lines if len(line) > 12}
    return found


def require_no_solution(student: Notebook, solved: Notebook) -> None:
    """Refuse a student's notebook that holds a solution anywhere: cells, outputs, metadata.

    Raises:
        ValueError: With the first line that is left.
    """
    shown = _shown_lines(solved)
    everything = "\n".join(_strings(student))
    for text in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", *solution_lines(solved)):
        if text in everything and text not in shown:
            raise ValueError(f"the student's notebook still holds {text!r}")


def _shown_lines(solved: Notebook) -> set[str]:
    """Lines that the chapter shows before its exercises: they are no secret."""
    cells = solved["cells"]
    of_exercises = {
        place + step
        for place, cell in enumerate(cells)
        if "exercise" in tags(cell)
        for step in (-1, 0, 1)
    }
    shown = [cell for place, cell in enumerate(cells) if place not in of_exercises]
    return {line.strip() for cell in shown for line in source(cell).splitlines()}


def _strings(value: Any) -> list[str]:
    """All strings in a JSON value, the pieces of a cell's source joined."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            return ["".join(value)]
        return [text for item in value for text in _strings(item)]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *_strings(item))]
    return []
