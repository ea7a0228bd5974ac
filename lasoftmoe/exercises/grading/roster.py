"""The list of a class: who the submissions belong to."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lasoftmoe.exercises.grading.submissions import Submission

COLUMNS = ("id", "first_name", "last_name", "email", "lms_user_id")


@dataclass(frozen=True)
class Student:
    """One row of the roster, in nbgrader's columns."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


def read_roster(path: Path) -> list[Student]:
    """Read a CSV file with the columns id, first_name, last_name, email, lms_user_id.

    Only ``id`` is required.

    Raises:
        ValueError: There is no column ``id``, or an id stands there twice.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if rows and "id" not in rows[0]:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {list(rows[0])}")
    students = [
        Student(**{name: (row.get(name) or "").strip() for name in COLUMNS}) for row in rows
    ]
    ids = [student.id for student in students]
    if twice := {one for one in ids if ids.count(one) > 1}:
        raise ValueError(f"{path}: these ids stand there twice: {', '.join(sorted(twice))}")
    return students


def assign(submissions: Sequence[Submission], students: Sequence[Student]) -> list[Submission]:
    """Give each submission the roster's id where it can be told; others keep their own."""
    by_lms = {student.lms_user_id: student for student in students if student.lms_user_id}
    by_name = {_letters(student.name): student for student in students if student.name}
    by_name |= {
        _letters(student.last_name + student.first_name): student
        for student in students
        if student.name
    }
    known = {student.id for student in students}
    found = []
    for one in submissions:
        student = by_lms.get(one.lms_user_id) or by_name.get(_letters(one.name))
        same_id = one.student_id in known
        found.append(one if same_id or not student else replace(one, student_id=student.id))
    return found


def _letters(name: str) -> str:
    """A name as Canvas writes it in file names: letters and digits only, in lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
