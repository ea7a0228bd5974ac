"""The exercise cells of a chapter, and the tests that the checks of every chapter have to pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import nbformat
import pytest
import torch
import torch.nn.functional as F

from lasoftmoe.exercises.checking import BLANK
from lasoftmoe.paths import ROOT

SOLUTION = re.compile(r"^ *# BEGIN SOLUTION\n.*?^ *# END SOLUTION$", re.DOTALL | re.MULTILINE)

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Chapter:
    """The exercises of ``book/<notebook>.ipynb``.

    Attributes:
        notebook: its name without ending.
        module: the chapter's checks, such as ``lasoftmoe.exercises.ch06``.
        checks: from the name of each function to be written to its check.
        names: what the chapter has imported by then, besides torch and F.
    """

    notebook: str
    module: ModuleType
    checks: dict[str, Check]
    names: dict[str, Any] = field(default_factory=dict)

    def functions(self, blank: bool = False) -> dict[str, Any]:
        """Run the exercise cells as the book solves them, or ``blank`` as a student finds them."""
        scope = {"torch": torch, "F": F, **self.names}
        for cell in nbformat.read(ROOT / "book" / f"{self.notebook}.ipynb", as_version=4).cells:
            if "exercise" in cell.metadata.get("tags", []):
                stub = SOLUTION.sub("    raise NotImplementedError", cell.source)
                assert stub != cell.source, f"no solution marked in cell {cell.id}"
                exec(stub if blank else cell.source, scope)
        return scope


class ExerciseTests:
    """Solutions pass, blanks fail kindly, mistakes are named: inherited by each chapter's tests.

    Attributes:
        chapter: the exercises.
        other_ways: check and a correct program that looks different from the book's.
        mistakes: check, a wrong program and what the message has to say (a regular expression).
    """

    chapter: Chapter
    other_ways: list[tuple[Check, Any]]
    mistakes: list[tuple[Check, Any, str]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Hand each test the chapter's cases: pytest calls this before it collects a method."""
        cases = {
            ("name",): [(name,) for name in self.chapter.checks],
            ("check", "answer"): self.other_ways,
            ("check", "answer", "message"): self.mistakes,
        }
        places = ("name", "check", "answer", "message")
        wanted = tuple(place for place in places if place in metafunc.fixturenames)
        if wanted:
            metafunc.parametrize(wanted, cases[wanted])

    def test_notebook_has_an_exercise_for_every_check(self):
        assert self.chapter.checks.keys() <= self.chapter.functions().keys()
        written = vars(self.chapter.module).items()
        checks = {value for name, value in written if name.startswith("check_")}
        assert checks == set(self.chapter.checks.values())

    def test_solution_passes(self, name, capsys):
        self.chapter.checks[name](self.chapter.functions()[name])
        assert capsys.readouterr().out.startswith("Right")

    def test_blank_fails_kindly(self, name):
        with pytest.raises(AssertionError) as failure:
            self.chapter.checks[name](self.chapter.functions(blank=True)[name])
        assert str(failure.value) == BLANK

    def test_any_correct_program_passes(self, check, answer):
        check(answer)

    def test_mistake_is_named(self, check, answer, message):
        with pytest.raises(AssertionError, match=message):
            check(answer)
