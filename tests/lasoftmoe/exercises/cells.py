"""The exercise cells of a chapter, and the tests that the exercises of every chapter must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import nbformat
import pytest

from lasoftmoe.exercises.exercise import BLANK, Exercise, NotYet
from lasoftmoe.exercises.trials import attempt
from lasoftmoe.paths import ROOT
from tools.notebooks import without_solution

SECRETS = (b"one course", b"another course", b"a third course")

Check = Callable[[Any], None]


@cache
def cells_of(name: str) -> list[nbformat.NotebookNode]:
    """The cells of a notebook of the book."""
    return nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4).cells


@dataclass(frozen=True)
class Notebook:
    """The exercises of ``book/<name>.ipynb`` and the module that describes them."""

    name: str
    module: ModuleType

    @property
    def exercises(self) -> dict[str, Exercise]:
        """The descriptions by the name of the function to be written."""
        return {exercise.function: exercise for exercise in self.module.CHAPTER.exercises}

    def functions(self, blank: bool = False) -> dict[str, Any]:
        """Run the exercise cells as the book solves them, or ``blank`` as a student finds them."""
        scope: dict[str, Any] = {}
        exec(self.module.CHAPTER.setup, scope)
        for cell in cells_of(self.name):
            if "exercise" in cell.metadata.get("tags", []):
                stub = without_solution(cell.source)
                assert stub != cell.source, f"no solution marked in cell {cell.id}"
                exec(stub if blank else cell.source, scope)
        return scope


def judge(exercise: Exercise, function: Any, secret: bytes) -> None:
    """Put a function to the hidden test that a secret makes."""
    cases = exercise.cases(secret)
    exercise.judge(cases, [attempt(exercise.trial, function, case) for case in cases])


class ExerciseTests:
    """Solutions pass, blanks fail kindly, mistakes are named: inherited by each chapter's tests.

    Attributes:
        notebook: the exercises.
        other_ways: check and a correct program that looks different from the book's.
        mistakes: check, a wrong program and what the message has to say (a regular expression).
    """

    notebook: Notebook
    other_ways: list[tuple[Check, Any]]
    mistakes: list[tuple[Check, Any, str]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Hand each test the chapter's cases: pytest calls this before it collects a method."""
        exercises = self.notebook.exercises
        cases = {
            ("name",): [(name,) for name in exercises],
            ("name", "number"): [
                (name, number)
                for name, exercise in exercises.items()
                for number in range(len(exercise.misconceptions))
            ],
            ("check", "answer"): self.other_ways,
            ("check", "answer", "message"): self.mistakes,
        }
        places = ("name", "number", "check", "answer", "message")
        wanted = tuple(place for place in places if place in metafunc.fixturenames)
        if wanted:
            metafunc.parametrize(wanted, cases[wanted])

    def test_notebook_and_description_name_the_same_exercises(self):
        assert self.notebook.exercises.keys() <= self.notebook.functions().keys()
        written = vars(self.notebook.module).items()
        checks = {value for name, value in written if name.startswith("check_")}
        assert checks == {exercise.check for exercise in self.notebook.exercises.values()}

    def test_solution_passes(self, name, capsys):
        exercise, solution = self.notebook.exercises[name], self.notebook.functions()[name]
        exercise.check(solution)
        assert capsys.readouterr().out == f"Right: {exercise.praise}\n"
        for secret in SECRETS:
            judge(exercise, solution, secret)

    def test_description_answers_itself(self, name):
        exercise = self.notebook.exercises[name]
        for secret in SECRETS:
            for answer in (exercise.answer, *exercise.also_right):
                judge(exercise, answer, secret)

    def test_blank_fails_kindly(self, name):
        with pytest.raises(NotYet) as failure:
            self.notebook.exercises[name].check(self.notebook.functions(blank=True)[name])
        assert str(failure.value) == BLANK

    def test_none_is_explained(self, name):
        exercise = self.notebook.exercises[name]
        with pytest.raises(NotYet, match="returned None"):
            exercise.check(lambda *args: None)

    def test_an_error_is_one_line_that_says_where(self, name):
        def broken(*args):
            return [][len(args)]

        with pytest.raises(NotYet) as failure:
            self.notebook.exercises[name].check(broken)
        assert str(failure.value) == (
            f"`{name}` stopped with IndexError in line 2, `return [][len(args)]`. "
            "Python says: list index out of range"
        )

    def test_described_mistake_is_named_in_public_and_hidden_tests(self, name, number):
        exercise = self.notebook.exercises[name]
        mistake = exercise.misconceptions[number]
        with pytest.raises(NotYet) as failure:
            exercise.check(mistake.answer)
        assert str(failure.value).startswith(mistake.sentence)
        for secret in SECRETS:
            with pytest.raises(NotYet) as failure:
                judge(exercise, mistake.answer, secret)
            assert failure.value.message.startswith(mistake.sentence)

    def test_any_correct_program_passes(self, check, answer):
        check(answer)
        for secret in SECRETS:
            judge(check.__self__, answer, secret)

    def test_mistake_is_named(self, check, answer, message):
        with pytest.raises(NotYet, match=message):
            check(answer)
        with pytest.raises(NotYet):
            judge(check.__self__, answer, SECRETS[0])
