"""What goes with an assignment: the students' page, the rubric, and Gradescope's archive."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lasoftmoe import __version__
from lasoftmoe.exercises.exercise import Chapter, Exercise, Mistake, NotYet
from lasoftmoe.exercises.trials import attempt
from tools import notebooks
from tools.notebooks import Notebook
from tools.plain_markdown import plain

MARKS = re.compile(r"^ *# (?:BEGIN|END) SOLUTION\n?", re.MULTILINE)
WHEEL = f"lasoftmoe-{__version__}-py3-none-any.whl"
SECRET = "course_secret"
README = """# Assignment of chapter {number}

You need Python 3.11 or 3.12 and about 1.5 GB of disk. In this folder, with the file that your
teacher gives you, `{wheel}`:

```
python3 -m venv .venv
.venv/bin/pip install uv
.venv/bin/uv pip install --torch-backend cpu -r requirements.txt
.venv/bin/uv pip install --no-deps {wheel}
.venv/bin/jupyter lab ch{number}.ipynb
```

On Windows, write `.venv\\Scripts` in place of `.venv/bin`. On Linux, pip without `uv` would install
PyTorch for NVIDIA's GPUs, several gigabytes that no exercise uses.

1. Write each function in place of `raise NotImplementedError`, and run the check below it. A check
   says "Right", or in one line what to look at. Open one hint at a time.
2. Restart the kernel, run all cells, save, and hand in `ch{number}.ipynb`.

Keep the names of the functions and the order of their arguments. Grading calls your functions with
other inputs than the checks do, each within ten seconds, without network and without files.
An answer may use names that other cells of yours define. No other cell is run.
"""

SETUP = """#!/usr/bin/env bash
set -e
root="${AUTOGRADER:-/autograder}"
python3 -m venv "$root/venv" || { apt-get update && apt-get install -y python3 python3-venv; }
python3 -m venv "$root/venv"
"$root/venv/bin/python" -m pip install uv
install() { "$root/venv/bin/uv" pip install --python "$root/venv/bin/python" "$@"; }
install --torch-backend cpu -r "$root/source/requirements.txt"
install --no-deps "$root"/source/*.whl
chmod -R go= "$root/source"
"""

RUN = """#!/usr/bin/env bash
root="${{AUTOGRADER:-/autograder}}"
cd /
exec "$root/venv/bin/python" -m lasoftmoe.exercises.grading --gradescope \\
    --chapter {number} --secret "$root/source/course_secret" \\
    --submissions "$root/submission" --out "$root/results"
"""

NOTE = """Gradescope's autograder of one chapter. Choose an image with Python 3.11 or 3.12, such as
Ubuntu 24.04. `course_secret`, 32 random bytes, must be in this archive: `make assignments` puts it
there if it is given SECRET=FILE, and `make grade` makes one.

As root, the grader runs answers as the user "nobody" and without network. They cannot read this
folder.
"""


def build_wheel(out: Path) -> Path:
    """Build the package's wheel into ``out``, without network and without traces in the checkout.

    Raises:
        SystemExit: pip could not build it.
    """
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        for package in ("lasoftmoe", "data_prep"):
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(notebooks.ROOT / package, Path(folder) / package, ignore=leave)
        for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
            shutil.copy(notebooks.ROOT / name, folder)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--wheel-dir", str(out), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the wheel for students could not be built:\n{done.stderr}")
    return out / WHEEL


def student_readme(number: str) -> str:
    """Return the page that tells students how to start and what to hand in."""
    return README.format(number=number, wheel=WHEEL)


def slim_packages() -> list[str]:
    """Return the packages of the extra ``exercises``."""
    project = tomllib.loads((notebooks.ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"]["exercises"]
    return [re.match(r"[\w.-]+", line)[0] for line in lines]


def student_requirements() -> str:
    """Return the packages of the small environment, with the versions of the constraints."""
    pinned = {
        line.partition("==")[0].lower(): line
        for line in (notebooks.ROOT / "constraints.txt").read_text().splitlines()
    }
    return "".join(f"{pinned.get(name, name)}\n" for name in slim_packages())


def rubric(chapter: Chapter, book: Notebook) -> str:
    """Return tasks, points, solutions, and the mistakes that have a message of their own."""
    parts = [f"# Rubric of chapter {chapter.number}: {chapter.title}", f"{chapter.points} points."]
    for task in notebooks.tasks(book, chapter):
        exercise = task.exercise
        stars = "★" * exercise.difficulty
        sentences = dict.fromkeys(told(exercise, one) for one in exercise.misconceptions)
        parts += [
            f"## `{exercise.function}` ({notebooks.points(exercise.points)}, {stars})",
            plain(notebooks.source(task.text).partition("\n\n<details")[0]),
            f"```python\n{MARKS.sub('', notebooks.source(task.code)).rstrip()}\n```",
            "All or nothing: a right answer is right in all hidden cases. Named mistakes:",
            "\n".join(f"- {sentence}" for sentence in sentences),
            "Hints: " + " / ".join(exercise.hints),
        ]
    return "\n\n".join(parts) + "\n"


def told(exercise: Exercise, mistake: Mistake) -> str:
    """Return the whole message that students get for a mistake."""
    cases = exercise.cases()
    try:
        with np.errstate(all="ignore"):  # a mistake may divide by zero
            outcomes = [attempt(exercise.trial, mistake.answer, one) for one in cases]
        exercise.judge(cases, outcomes)
    except NotYet as verdict:
        return verdict.message
    raise ValueError(f"{exercise.function}: the mistake {mistake.sentence!r} passes")


def autograder_archive(number: str, path: Path, private: Sequence[Path] = ()) -> None:
    """Write Gradescope's archive.

    Args:
        number: the chapter, two digits.
        path: the archive.
        private: files that go in as they are: the wheel and the course secret.
    """
    files = {
        "setup.sh": SETUP,
        "run_autograder": RUN.format(number=number),
        "requirements.txt": student_requirements(),
        "README.txt": NOTE,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16  # Gradescope starts two of them
            archive.writestr(entry, text)
        for file in private:
            archive.write(file, file.name)
