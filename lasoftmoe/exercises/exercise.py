"""One description of a task: its inputs, its answer, and the mistakes that people make.

The check in the book, the hidden tests of an assignment and its rubric are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lasoftmoe.exercises.draw import BOOK_SECRET, Draw, draw
from lasoftmoe.exercises.mismatch import explain_mismatch
from lasoftmoe.exercises.trials import Outcome, attempt
from lasoftmoe.exercises.values import same

Case = tuple[Any, ...]
Function = Callable[..., Any]

BLANK = (
    "Nothing is written here yet: replace the line `raise NotImplementedError` of the cell "
    "above with your own code, run that cell, then run this one again."
)


class NotYet(AssertionError):
    """An answer that is not right yet; a notebook shows one line, without the check's code.

    Attributes:
        message: what is wrong and what to try.
        detail: the same for this input. A grader leaves it out, since its inputs are hidden.
        state: ``"blank"``, ``"error"`` (the function stopped), or ``"wrong"``.
    """

    def __init__(self, message: str, detail: str = "", state: str = "wrong") -> None:
        super().__init__(f"{message} {detail}".strip())
        self.message, self.detail, self.state = message, detail, state

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [f"Not yet: {self}"]


@dataclass(frozen=True)
class Mistake:
    """A likely mistake.

    Attributes:
        answer: the function as somebody writes it who makes the mistake.
        sentence: what they computed, why that is wrong, and what to try.
    """

    answer: Function
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """One task.

    Attributes:
        function: name of the function that the student writes.
        inputs: a draw of random numbers -> the arguments of one case.
        answer: a right function.
        points: what it is worth in an assignment.
        difficulty: 1 (a warm-up), 2 (a step further) or 3 (an investigation).
        misconceptions: mistakes that have a sentence of their own; the first that fits is told.
        edge_cases: arguments that every answer has to get right beside the drawn ones.
        tolerance: absolute and relative.
        hints: steps toward the answer, from a nudge to nearly all of it.
        praise: what the check prints after "Right: ".
        trial: name of what runs next to the function (``lasoftmoe.exercises.trials``).
        rules: trial's value and the arguments -> None, or a sentence on a broken rule, or the
            sentence and a detail of this case. Asked before values are compared.
        also_right: other right functions with other values.
        compared: False where many answers are right and the rules alone decide.
        draws: number of drawn cases.
    """

    function: str
    inputs: Callable[[Draw], Case]
    answer: Function
    points: int = 2
    difficulty: int = 1
    misconceptions: Sequence[Mistake] = ()
    edge_cases: Sequence[Case] = ()
    tolerance: float = 1e-4
    hints: Sequence[str] = ()
    praise: str = "that is it."
    trial: str = "call"
    rules: Callable[..., str | tuple[str, str] | None] | None = None
    also_right: Sequence[Function] = ()
    compared: bool = True
    draws: int = 3

    def cases(self, secret: bytes = BOOK_SECRET, *labels: str) -> list[Case]:
        """Return the drawn cases of a secret, then the edge cases."""
        count = self.draws if secret == BOOK_SECRET else max(3, self.draws)
        drawn = [
            self.inputs(draw(secret, *labels, self.function, str(number)))
            for number in range(count)
        ]
        return [*drawn, *self.edge_cases]

    def check(self, function: Function) -> None:
        """Check a student's function on the book's public cases; print one line if it is right.

        Raises:
            NotYet: The answer is blank or wrong. The message says why.
        """
        cases = self.cases()
        self.judge(cases, [attempt(self.trial, function, case) for case in cases])
        print(f"Right: {self.praise}")

    def judge(self, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
        """Judge how a function did on some cases, without running it.

        Raises:
            NotYet: The answer is blank or wrong.
        """
        self._require_values(outcomes)
        values = [outcome.value for outcome in outcomes]
        for case, value in zip(cases, values, strict=True):
            broken = self.rules(value, *case) if self.rules else None
            if broken:
                raise NotYet(*([broken] if isinstance(broken, str) else broken))
        if not self.compared:
            return
        right = [self._values(self.answer, cases)]
        if self._agree(values, right[0]):
            return
        if any(self._agree(values, self._values(other, cases)) for other in self.also_right):
            return
        self._name_mistake(values, cases)
        raise NotYet(*explain_mismatch(values, right[0], self.tolerance))

    def _require_values(self, outcomes: Sequence[Outcome]) -> None:
        states = {outcome.state for outcome in outcomes}
        if "blank" in states:
            raise NotYet(BLANK, state="blank")
        if "none" in states:
            raise NotYet(f"`{self.function}` returned None: end it with `return` and your result.")
        for outcome in outcomes:
            if outcome.state == "error":
                message = f"`{self.function}` stopped with {outcome.error}."
                said = f"Python says: {outcome.said}" if outcome.said else ""
                raise NotYet(message, said, state="error")

    def _name_mistake(self, values: list[Any], cases: Sequence[Case]) -> None:
        """Tell the mistake that gives the same values in all cases, or at least in the drawn."""
        for count in sorted({len(cases), len(cases) - len(self.edge_cases)}, reverse=True):
            for mistake in self.misconceptions:
                wrong = self._values(mistake.answer, cases[:count])
                if self._agree(values[:count], wrong, nan_is_nan=True) and not self._agree(
                    wrong, self._values(self.answer, cases[:count])
                ):
                    raise NotYet(mistake.sentence)

    def _values(self, function: Function, cases: Sequence[Case]) -> list[Any]:
        with np.errstate(all="ignore"):  # a mistake may divide by zero
            return [attempt(self.trial, function, case).value for case in cases]

    def _agree(self, mine: list[Any], theirs: list[Any], nan_is_nan: bool = False) -> bool:
        return all(
            same(a, b, self.tolerance, nan_is_nan) for a, b in zip(mine, theirs, strict=True)
        )


@dataclass(frozen=True)
class Chapter:
    """The exercises of a chapter.

    Attributes:
        number: two digits, such as ``"06"``.
        title: as in the book.
        setup: the import lines that the answers need.
        exercises: in the order of the notebook.
    """

    number: str
    title: str
    setup: str
    exercises: Sequence[Exercise]

    @property
    def points(self) -> int:
        """The points of all exercises."""
        return sum(exercise.points for exercise in self.exercises)
