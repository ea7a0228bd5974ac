"""Assignments and blank notebooks, made from the book's notebooks.

    python -m tools.assignments build [--chapter 06] [--format plain|nbgrader|otter|all]
    python -m tools.assignments notebooks [--out DIR]

`build` (``make assignments``) writes a folder per chapter: what students get, what the teacher
keeps, and the forms of other tools. `notebooks` writes every chapter twice, blank and solved.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tools import notebooks, other_formats
from tools.notebooks import Cell, Notebook, Task
from tools.plain_markdown import plain
from tools.run_notebooks import sockets
from tools.teacher import (
    SECRET,
    autograder_archive,
    build_wheel,
    rubric,
    student_readme,
    student_requirements,
)

OUT = notebooks.ROOT / "_build" / "assignments"
FORMATS = ("plain", "nbgrader", "otter", "all")
INTRODUCTION = """# Chapter {number}: {title}

{count} exercises, {points} points. Write your code in place of each line
`raise NotImplementedError`, run the cell, then run the check below it. ★ is a warm-up, ★★ takes a
step further, ★★★ needs paper and pencil. A check uses a few public examples; grading uses others.
"""


def markdown_cell(cell_id: str, text: str) -> Cell:
    """Return a cell of words."""
    cell: Cell = {"cell_type": "markdown", "id": cell_id, "metadata": {}}
    notebooks.set_source(cell, text)
    return cell


def code_cell(cell_id: str, text: str, **metadata: object) -> Cell:
    """Return a cell of code without outputs."""
    cell: Cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": dict(metadata),
        "outputs": [],
    }
    notebooks.set_source(cell, text)
    return cell


def check_code(task: Task, number: str) -> str:
    """Return a task's check with an import of its own, so that no check needs another one."""
    line = f"from lasoftmoe.exercises import ch{number}"
    code = "\n".join(
        text for text in notebooks.source(task.check).splitlines() if text.strip() != line
    )
    return f"{line}\n\n{code.strip()}"


def task_text(task: Task) -> str:
    """Return a task in plain Markdown, with its points."""
    points = f"*({notebooks.points(task.exercise.points)})*"
    head, _, hints = plain(notebooks.source(task.text)).partition("\n\n<details")
    return f"{head} {points}" + (f"\n\n<details{hints}" if hints else "")


def assignment(number: str, solved: bool = False) -> Notebook:
    """Return the notebook of an assignment: imports, then task, code and check of each exercise.

    Raises:
        ValueError: A trace of a solution is left in a notebook that should have none.
    """
    book, described = notebooks.read(notebooks.notebook_path(number)), notebooks.chapter(number)
    found = notebooks.tasks(book, described)
    introduction = INTRODUCTION.format(
        number=int(number), title=described.title, count=len(found), points=described.points
    )
    cells = [markdown_cell("introduction", introduction), code_cell("imports", described.setup)]
    for task in found:
        code, name = notebooks.source(task.code), task.exercise.function
        cells += [
            markdown_cell(f"task-{name}", task_text(task)),
            code_cell(f"answer-{name}", code if solved else notebooks.without_solution(code)),
            code_cell(f"check-{name}", check_code(task, number)),
        ]
    made = {**book, "cells": cells}
    if not solved:
        notebooks.require_no_solution(made, book)
    return made


def readable(notebook: Notebook) -> Notebook:
    """Return a whole chapter in plain Markdown, for programs that know no MyST."""
    cells = []
    for cell in notebook["cells"]:
        cell = {**cell, "metadata": dict(cell["metadata"])}
        if cell["cell_type"] == "markdown":
            notebooks.set_source(cell, plain(notebooks.source(cell)))
        cells.append(cell)
    return {**notebook, "cells": cells}


def write_notebooks(out: Path) -> None:
    """Write every chapter twice: ``blank/`` without solutions, ``solved/`` with them."""
    for number in notebooks.chapter_numbers():
        path = notebooks.notebook_path(number)
        notebook = notebooks.read(path)
        notebooks.write(readable(notebooks.blank(notebook)), out / "blank" / path.name)
        notebooks.write(readable(notebook), out / "solved" / path.name)


def build(number: str, form: str, out: Path, run: bool, private: Sequence[Path] = ()) -> Path:
    """Write the folder of one chapter and return it.

    Args:
        number: the chapter, two digits.
        form: one of `FORMATS`.
        out: where the folder of the chapter goes.
        run: whether the teacher's notebook is executed.
        private: the wheel and the course secret, for the archives of other graders.
    """
    folder, name = out / f"ch{number}", f"ch{number}.ipynb"
    shutil.rmtree(folder, ignore_errors=True)
    student, teacher = assignment(number), assignment(number, solved=True)
    notebooks.write(student, folder / "student" / name)
    (folder / "student" / "README.md").write_text(student_readme(number))
    (folder / "student" / "requirements.txt").write_text(student_requirements())
    solution = folder / "teacher" / f"ch{number}_solution.ipynb"
    notebooks.write(execute(teacher) if run else teacher, solution)
    book = notebooks.read(notebooks.notebook_path(number))
    (folder / "teacher" / "rubric.md").write_text(rubric(notebooks.chapter(number), book))
    (folder / "teacher").chmod(0o700)
    autograder_archive(number, folder / "gradescope" / "autograder.zip", private)
    if form in ("nbgrader", "all"):
        other_formats.write_nbgrader(number, teacher, folder / "nbgrader")
    if form in ("otter", "all"):
        other_formats.write_otter(number, teacher, folder / "otter", private)
    return folder


def execute(notebook: Notebook, allow_errors: bool = False) -> Notebook:
    """Run a notebook in an empty folder and return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell fails, unless errors are allowed.
    """
    node = nbformat.reads(json.dumps(notebook), as_version=4)
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        NotebookClient(
            node,
            timeout=300,
            kernel_name="python3",
            allow_errors=allow_errors,
            config=sockets(folder),
            resources={"metadata": {"path": folder}},
        ).execute()
    return node


def course_secret(name: str) -> Path:
    """Return the path of a course secret.

    Raises:
        argparse.ArgumentTypeError: There is no such file, or it has another name.
    """
    path = Path(name).expanduser()
    if not path.is_file() or path.name != SECRET:
        raise argparse.ArgumentTypeError(f"{path}: expected a file named {SECRET}")
    return path


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    program = "python -m tools.assignments"
    made = argparse.ArgumentParser(
        prog=program,
        description=__doc__.splitlines()[0],
        epilog=f"example: {program} build --chapter 06",
        allow_abbrev=False,
    )
    commands = made.add_subparsers(dest="command", required=True)
    help_text, example = "write a folder per chapter", "build --chapter 06 --format nbgrader"
    folder = commands.add_parser(
        "build", help=help_text, epilog=f"example: {program} {example}", allow_abbrev=False
    )
    folder.add_argument("--chapter", default="", help="two digits; all chapters if left out")
    folder.add_argument("--format", default="plain", choices=FORMATS)
    folder.add_argument(
        "--secret", type=course_secret, help="put this course secret into the archives of graders"
    )
    folder.add_argument("--out", type=Path, default=OUT)
    folder.add_argument("--no-run", action="store_true", help="do not run the teacher's notebook")
    help_text, example = "write all chapters, blank and solved", "notebooks --out my_notebooks"
    pair = commands.add_parser(
        "notebooks", help=help_text, epilog=f"example: {program} {example}", allow_abbrev=False
    )
    pair.add_argument("--out", type=Path, default=OUT.parent / "notebooks")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write what it asks for."""
    options = parser().parse_args(arguments)
    if options.command == "notebooks":
        write_notebooks(options.out)
        print(options.out)
        return
    numbers = [options.chapter] if options.chapter else notebooks.chapter_numbers()
    for number in numbers:
        notebooks.chapter(number)  # refuses an unknown one before anything is written
    private = [build_wheel(options.out), *([options.secret] if options.secret else [])]
    print(private[0], flush=True)
    for number in numbers:
        made = build(number, options.format, options.out, not options.no_run, private)
        print(made, flush=True)


if __name__ == "__main__":
    sys.exit(main())
