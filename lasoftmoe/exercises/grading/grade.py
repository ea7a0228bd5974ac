"""Grades of one submission: the trusted side, which judges values and runs no student's code."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, NotYet
from lasoftmoe.exercises.grading.answers import (
    Answer,
    NotebookError,
    find_answer,
    read_cells,
    reads_package_answers,
)
from lasoftmoe.exercises.grading.sandbox import Sandbox
from lasoftmoe.exercises.grading.submissions import Submission
from lasoftmoe.exercises.trials import Outcome
from lasoftmoe.exercises.values import decode

RIGHT, BLANK, WRONG, ERROR = "right", "blank", "wrong", "error"
TIME_LIMIT, OUTPUT_LIMIT, ENDED = "time limit", "output limit", "process ended"
MISSING, UNREADABLE = "cell missing", "unreadable"
SAID = {
    RIGHT: "Right: {praise}",
    BLANK: "Nothing is written here.",
    TIME_LIMIT: "Your function did not end within {seconds} seconds. Look for a loop without end.",
    OUTPUT_LIMIT: "Your function printed or returned far too much, so it was stopped.",
    ENDED: "Your code ended the program before it returned an answer (exit, or a crash).",
    MISSING: "There is no cell that defines `{function}`. It may have been deleted or renamed.",
    UNREADABLE: "The file could not be read as a notebook.",
}


@dataclass(frozen=True)
class Question:
    """How one question went.

    Attributes:
        function: the function that was asked for.
        state: one of the constants above.
        points: earned.
        possible: to be earned.
        message: one or two sentences for the student, without hidden inputs or answers.
        printed: the first characters that the code printed.
        suspicious: whether the answer mentions the package's own exercises.
    """

    function: str
    state: str
    points: float
    possible: float
    message: str
    printed: str = ""
    suspicious: bool = False


@dataclass(frozen=True)
class Grade:
    """A graded submission.

    Attributes:
        late_days: started days after the due date.
        total: points after the penalty.
    """

    student_id: str
    sha256: str
    questions: Sequence[Question]
    total: float
    late_days: int = 0
    seconds: float = 0.0
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The points before the penalty."""
        return sum(question.points for question in self.questions)

    @property
    def status(self) -> str:
        """ "graded", or "unreadable" if the file is no notebook."""
        states = {question.state for question in self.questions}
        return UNREADABLE if states == {UNREADABLE} else "graded"


@dataclass(frozen=True)
class Late:
    """The rule for late work: percent of the total lost per started day after a date."""

    due: datetime | None = None
    penalty: float = 0.0

    def days(self, handed_in: datetime) -> int:
        """Return the started days after the due date."""
        if self.due is None or handed_in <= self.due:
            return 0
        return math.ceil((handed_in - self.due).total_seconds() / 86_400)

    def total(self, points: float, days: int) -> float:
        """Return what is left of the points."""
        return round(points * max(0.0, 1 - self.penalty / 100 * days), 2)


@dataclass
class Grader:
    """Grades submissions of a chapter under a secret.

    Attributes:
        chapter: its exercises.
        sandbox: where answers run.
        secret: decides the hidden inputs. The same secret gives the same inputs.
        per_student: other inputs for every student.
        late: the rule for late work.
    """

    chapter: Chapter
    sandbox: Sandbox
    secret: bytes
    per_student: bool = False
    late: Late = field(default_factory=Late)

    def cases(self, exercise: Exercise, student_id: str) -> list[Case]:
        """Return the hidden cases of a question."""
        labels = [f"ch{self.chapter.number}", *([student_id] if self.per_student else [])]
        return exercise.cases(self.secret, *labels)

    def grade(self, submission: Submission) -> Grade:
        """Grade one submission."""
        start = time.perf_counter()
        exercises = self.chapter.exercises
        sources: dict[str, str] = {}
        try:
            cells = read_cells(submission.data)
        except NotebookError:
            questions = [self._question(exercise, UNREADABLE) for exercise in exercises]
        else:
            questions = []
            for exercise in exercises:
                answer = find_answer(cells, exercise.function, f"answer-{exercise.function}")
                if answer is not None:
                    sources[exercise.function] = answer.source
                questions.append(self._grade_answer(exercise, answer, submission.student_id))
        days = self.late.days(submission.handed_in)
        total = self.late.total(sum(question.points for question in questions), days)
        return Grade(
            submission.student_id,
            submission.sha256,
            questions,
            total,
            days,
            round(time.perf_counter() - start, 2),
            sources,
        )

    def _grade_answer(self, exercise: Exercise, answer: Answer | None, student_id: str) -> Question:
        if answer is None:
            return self._question(exercise, MISSING)
        cases = self.cases(exercise, student_id)
        result = self.sandbox.run(exercise, cases, answer.source, self.chapter.setup, answer.needs)
        printed, suspicious = result.get("printed", ""), reads_package_answers(answer.source)
        state, message = self._judge(exercise, cases, result)
        return self._question(exercise, state, message, printed, suspicious)

    def _judge(
        self, exercise: Exercise, cases: Sequence[Case], result: dict[str, object]
    ) -> tuple[str, str]:
        failed = result.get("failed")
        if failed in (BLANK, TIME_LIMIT, OUTPUT_LIMIT, ENDED):
            return str(failed), ""
        if failed:
            return ERROR, f"Your cell stopped with {failed}."
        try:
            outcomes = _outcomes(result["outcomes"], len(cases))
        except (KeyError, TypeError, ValueError):
            return ENDED, ""
        try:
            exercise.judge(cases, outcomes)
        except NotYet as verdict:
            return (verdict.state, "" if verdict.state == BLANK else verdict.message)
        return RIGHT, ""

    def _question(
        self,
        exercise: Exercise,
        state: str,
        message: str = "",
        printed: str = "",
        suspicious: bool = False,
    ) -> Question:
        said = message or SAID[state].format(
            praise=exercise.praise, seconds=self.sandbox.seconds, function=exercise.function
        )
        points = exercise.points if state == RIGHT else 0
        return Question(
            exercise.function, state, points, exercise.points, said, printed, suspicious
        )


def _outcomes(values: object, count: int) -> list[Outcome]:
    """The outcomes that a child wrote.

    Raises:
        TypeError, KeyError, ValueError: They are not what a child of ours writes.
    """
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"expected {count} outcomes")
    return [
        Outcome(str(one["state"]), decode(one["value"]), str(one["error"])[:300], str(one["said"]))
        for one in values
    ]
