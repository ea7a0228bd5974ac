"""Assignments in the forms of nbgrader (0.9) and otter-grader (7)."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lasoftmoe.exercises.exercise import Exercise
from lasoftmoe.exercises.hidden import DEFAULT_SECRET
from tools import notebooks
from tools.notebooks import Cell, Notebook
from tools.teacher import SECRET, WHEEL, student_requirements

NBGRADER_CONFIG = """# nbgrader 0.9: run `nbgrader generate_assignment ch{number}` in this folder.

import sys
from pathlib import Path

secret = Path("{secret}").expanduser()
if "autograde" in sys.argv and not secret.exists():  # else every hidden test fails: zero points
    raise SystemExit(f"{{secret}} is missing: `make grade` makes a course secret, or copy yours")
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "lasoftmoe"
c.ClearSolutions.code_stub = {{"python": "{stub}"}}
c.ClearHiddenTests.begin_test_delimeter = "BEGIN HIDDEN TESTS"
c.ClearHiddenTests.end_test_delimeter = "END HIDDEN TESTS"
c.Execute.timeout = 60
"""
OTTER_CONFIG = """# ASSIGNMENT CONFIG
name: ch{number}
init_cell: true
export_cell:
  pdf: false
run_tests: true
requirements: requirements.txt
python_version: '3.11'
autograder_files:
  - course_secret
  - {wheel}
tests:
  ok_format: false
generate:
  show_stdout: true
  show_hidden: false
  pdf: false
"""
NOTE = f"""`{SECRET}` and `{WHEEL}` must be in this folder before you run `otter assign`. `make
assignments FORMAT=otter SECRET=FILE` puts them there; `make grade` makes a secret. Both go into the
autograder's archive and not to students.

otter runs a student's whole notebook in one process with the tests and has no time limit of its
own: a loop without an end takes the rest with it, and a determined student can read what the tests
read. The image downloads the packages in requirements.txt, PyTorch for NVIDIA's GPUs among them.
"""
IMPORTS = """from pathlib import Path as _Path

from lasoftmoe.exercises.hidden import check_hidden as _check_hidden
"""


def _with_metadata(cell: Cell, **values: Any) -> Cell:
    result = copy.deepcopy(cell)
    result["metadata"] = {
        "nbgrader": {
            "cell_type": cell["cell_type"],
            "grade": False,
            "grade_id": cell["id"],
            "locked": False,
            "schema_version": 3,
            "solution": False,
            "task": False,
            **values,
        }
    }
    return result


def hidden_test(number: str, exercise: Exercise, secret: str = "") -> str:
    """Return the code of a hidden test: it reads the secret, and holds no input or answer.

    Args:
        secret: name of the file of the secret, or "" for the one in the teacher's home. nbgrader
            hands out all files beside its source notebook, so none may lie there.
    """
    path = f', _Path("{secret}")' if secret else ""
    return f'{IMPORTS}\n_check_hidden("{number}", {exercise.function}{path})'


def to_nbgrader(number: str, solved: Notebook) -> Notebook:
    """Return nbgrader's source notebook: locked texts, solutions, checks with hidden tests."""
    by_name = {exercise.function: exercise for exercise in notebooks.chapter(number).exercises}
    cells = []
    for cell in solved["cells"]:
        kind, _, name = cell["id"].partition("-")
        if kind == "answer":
            cell = _with_metadata(cell, solution=True)
        elif kind == "check":
            cell = _with_metadata(cell, grade=True, locked=True, points=by_name[name].points)
            hidden = hidden_test(number, by_name[name])
            text = (
                f"{notebooks.source(cell)}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
            )
            notebooks.set_source(cell, text)
        else:
            cell = _with_metadata(cell, locked=True)
        cells.append(cell)
    return {**solved, "cells": cells}


def write_nbgrader(number: str, solved: Notebook, folder: Path) -> None:
    """Write nbgrader's source folder and configuration."""
    name = f"ch{number}"
    notebooks.write(to_nbgrader(number, solved), folder / "source" / name / f"{name}.ipynb")
    config = NBGRADER_CONFIG.format(number=number, stub=notebooks.STUB, secret=DEFAULT_SECRET)
    (folder / "nbgrader_config.py").write_text(config)


def _raw(cell_id: str, text: str) -> Cell:
    cell: Cell = {"cell_type": "raw", "id": cell_id, "metadata": {}}
    notebooks.set_source(cell, text)
    return cell


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def with_prompt(code: str) -> str:
    """Return a solved cell for which otter leaves our stub, not its own dots, in its place."""
    prompt = rf'\1""" # BEGIN PROMPT\n\1{notebooks.STUB}\n\1"""; # END PROMPT'
    code = notebooks.SOLUTION.sub(rf"\g<0>\n{prompt}", code)
    return code.replace("# BEGIN SOLUTION", "# BEGIN SOLUTION NO PROMPT")


def _test(cell: Cell, name: str, function: str, body: str, hidden: bool) -> Cell:
    head = '""" # BEGIN TEST CONFIG\nhidden: true\n""" # END TEST CONFIG\n' if hidden else ""
    result = {**copy.deepcopy(cell), "id": f"{cell['id']}-{name}"}
    notebooks.set_source(result, f"{head}def {name}({function}):\n{_indented(body)}")
    return result


def to_otter(number: str, solved: Notebook) -> Notebook:
    """Return otter's master notebook: one question per exercise, a visible and a hidden test."""
    by_name = {exercise.function: exercise for exercise in notebooks.chapter(number).exercises}
    cells = [_raw("config", OTTER_CONFIG.format(number=number, wheel=WHEEL))]
    for cell in solved["cells"]:
        kind, _, name = cell["id"].partition("-")
        if kind == "task":
            question = f"name: {name}\npoints: {by_name[name].points}\nall_or_nothing: true"
            cells += [_raw(f"question-{name}", f"# BEGIN QUESTION\n{question}"), cell]
        elif kind == "answer":
            cells.append(_raw(f"solution-{name}", "# BEGIN SOLUTION"))
            cell = copy.deepcopy(cell)
            notebooks.set_source(cell, with_prompt(notebooks.source(cell)))
            cells += [cell, _raw(f"solution-end-{name}", "# END SOLUTION")]
        elif kind == "check":
            visible = notebooks.source(cell)
            hidden = hidden_test(number, by_name[name], SECRET)
            cells += [
                _raw(f"tests-{name}", "# BEGIN TESTS"),
                _test(cell, "visible", name, visible, hidden=False),
                _test(cell, "hidden", name, hidden, hidden=True),
                _raw(f"tests-end-{name}", "# END TESTS"),
                _raw(f"question-end-{name}", "# END QUESTION"),
            ]
        else:
            cells.append(cell)
    return {**solved, "cells": cells}


def write_otter(number: str, solved: Notebook, folder: Path, private: Sequence[Path] = ()) -> None:
    """Write otter's master notebook, its requirements, and the files that its archive needs."""
    notebooks.write(to_otter(number, solved), folder / f"ch{number}.ipynb")
    wheel = f"lasoftmoe @ file:///autograder/source/files/{WHEEL}"
    (folder / "requirements.txt").write_text(f"{student_requirements()}{wheel}\n")
    (folder / "README.txt").write_text(NOTE)
    for file in private:
        shutil.copy(file, folder)
