"""What goes with an assignment: the students' page, the rubric, and Gradescope's archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from lasoftmoe.exercises.exercise import Chapter, Exercise, Mistake, NotYet
from lasoftmoe.exercises.trials import attempt
from tools import notebooks
from tools.notebooks import Notebook

SLIM = (
    "einops",
    "ipykernel",
    "jaxtyping",
    "jupyterlab",
    "numpy",
    "pandas",
    "pillow",
    "pydantic",
    "torch",
    "tqdm",
)

README = """# Assignment of chapter {number}

1. Make an environment with Python 3.11 or 3.12: `python3 -m venv .venv`.
2. Install PyTorch for the CPU as its website says, then
   `.venv/bin/pip install -r requirements.txt`.
   Your teacher gives you the file `lasoftmoe-*.whl`. Install it with
   `.venv/bin/pip install --no-deps FILE`.
3. Open `ch{number}.ipynb` in JupyterLab or another program for notebooks.
4. Write each function in place of `raise NotImplementedError`, and run the check below it. A check
   says "Right", or in one line what to look at. Open one hint at a time.
5. Restart the kernel, run all cells, save, and hand in `ch{number}.ipynb`.

Keep the names of the functions and the order of their arguments. Grading calls your functions with
other inputs than the checks do, each within ten seconds, without network and without files.
An answer that depends on another cell of yours may use it; anything else is not run.
"""

SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y python3 python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install {packages}
/autograder/venv/bin/pip install --no-deps /autograder/source/*.whl
chmod -R go= /autograder/source
"""

RUN = """#!/usr/bin/env bash
cd /
exec /autograder/venv/bin/python -m lasoftmoe.exercises.grading --gradescope \\
    --chapter {number} --secret /autograder/source/course_secret \\
    --submissions "$(ls -d /autograder/submission/*.ipynb | head -n 1)" --out /autograder/results
"""

NOTE = """Put two files beside this one before you upload the folder as a zip:

- `course_secret`: your course secret, a file of 32 random bytes (`make grade` makes one).
- the wheel of the package: `pip wheel --no-deps --wheel-dir . PROJECT`.

As root, the grader runs answers as the user "nobody" and without network; they cannot read this
folder. Choose an image with Python 3.11 or 3.12.
"""


def student_readme(number: str) -> str:
    """Return the page that tells students how to start and what to hand in."""
    return README.format(number=number)


def student_requirements() -> str:
    """Return the packages of the small environment, with the versions of the constraints."""
    pinned = {
        line.partition("==")[0].lower(): line
        for line in (notebooks.ROOT / "constraints.txt").read_text().splitlines()
    }
    return "".join(f"{pinned.get(name, name)}\n" for name in SLIM)


def rubric(chapter: Chapter, book: Notebook) -> str:
    """Return questions, points, solutions and the mistakes that have a message of their own."""
    parts = [f"# Rubric of chapter {chapter.number}: {chapter.title}", f"{chapter.points} points."]
    for task in notebooks.tasks(book, chapter):
        exercise = task.exercise
        stars = "★" * exercise.difficulty
        sentences = dict.fromkeys(told(exercise, one) for one in exercise.misconceptions)
        parts += [
            f"## `{exercise.function}` ({exercise.points} points, {stars})",
            f"```python\n{notebooks.source(task.code)}\n```",
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


def autograder_archive(number: str, path: Path) -> None:
    """Write Gradescope's archive; the teacher adds the secret and the wheel."""
    files = {
        "setup.sh": SETUP.format(packages=" ".join(SLIM)),
        "run_autograder": RUN.format(number=number),
        "README.txt": NOTE,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16  # Gradescope starts two of them
            archive.writestr(entry, text)
