"""Hidden tests for graders that run everything in one process (nbgrader, otter).

They are weaker than `lasoftmoe.exercises.grading`: a student's code can read and change whatever
the test can. They hold no inputs and no answers themselves; both come from the secret.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lasoftmoe.exercises.exercise import NotYet
from lasoftmoe.exercises.trials import attempt

DEFAULT_SECRET = Path("~/.config/lasoftmoe/course_secret")


def check_hidden(chapter: str, function: Callable[..., Any], secret: Path = DEFAULT_SECRET) -> None:
    """Check a student's function on the cases of a course secret.

    Args:
        chapter: two digits.
        function: named as in the task.
        secret: file of the course secret.

    Raises:
        NotYet: The answer is blank or wrong. The message holds no hidden input.
        FileNotFoundError: The secret is not there, as on a student's machine.
    """
    exercises = importlib.import_module(f"lasoftmoe.exercises.ch{chapter}").CHAPTER.exercises
    exercise = next(one for one in exercises if one.function == function.__name__)
    cases = exercise.cases(secret.expanduser().read_bytes(), f"ch{chapter}")
    try:
        exercise.judge(cases, [attempt(exercise.trial, function, case) for case in cases])
    except NotYet as verdict:
        raise NotYet(verdict.message, state=verdict.state) from None
