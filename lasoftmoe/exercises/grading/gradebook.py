"""Files for the teacher and the learning platforms: grades, Canvas, Moodle, Gradescope, log."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lasoftmoe.exercises.exercise import Chapter
from lasoftmoe.exercises.grading.grade import Grade, Question
from lasoftmoe.exercises.grading.roster import Student
from lasoftmoe.exercises.grading.similarity import Pair

# A cell that begins like this is a formula to a spreadsheet program.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet program takes for a formula."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if is_formula else value


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[safe(value) for value in row] for row in rows])


def write_grades(
    path: Path, chapter: Chapter, grades: Sequence[Grade], students: Mapping[str, Student]
) -> None:
    """Write one row per student: points per question, total, status; time in the last column."""
    functions = [exercise.function for exercise in chapter.exercises]
    header = ["student_id", "name", *functions, "points", "late_days", "total", "status", "sha256"]
    rows = []
    for grade in grades:
        points = {question.function: question.points for question in grade.questions}
        student = students.get(grade.student_id)
        rows.append(
            [
                grade.student_id,
                student.name if student else "",
                *(_short(points.get(function, 0)) for function in functions),
                _short(grade.points),
                grade.late_days,
                _short(grade.total),
                grade.status if grade.sha256 else "not handed in",
                grade.sha256,
                grade.seconds,
            ]
        )
    _write(path, [*header, "seconds"], rows)


def _short(points: float) -> float | int:
    return int(points) if points == int(points) else points


def write_canvas(
    path: Path, chapter: Chapter, grades: Sequence[Grade], students: Mapping[str, Student]
) -> None:
    """Write Canvas's import: one column for the assignment."""
    title = f"ch{chapter.number}"
    rows: list[list[Any]] = [["    Points Possible", "", "", "", "", chapter.points]]
    for grade in grades:
        student = students.get(grade.student_id) or Student(grade.student_id)
        name = f"{student.last_name}, {student.first_name}" if student.name else grade.student_id
        row = [name, student.lms_user_id, student.id, student.email, "", _short(grade.total)]
        rows.append(row)
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
    _write(path, header, rows)


def write_moodle(path: Path, grades: Sequence[Grade], students: Mapping[str, Student]) -> None:
    """Write Moodle's grading worksheet, matched by email address."""
    rows = []
    for grade in grades:
        student = students.get(grade.student_id) or Student(grade.student_id)
        feedback = "; ".join(
            f"{question.function}: {_short(question.points)}/{_short(question.possible)}"
            for question in grade.questions
        )
        rows.append([student.email or grade.student_id, _short(grade.total), feedback])
    _write(path, ["Email address", "Grade", "Feedback comments"], rows)


def write_similar(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the answers that look alike. They are a reason to ask, not a verdict."""
    _write(
        path,
        ["question", "first", "second", "same_structure", "overlap"],
        [[p.function, p.first, p.second, p.same_structure, p.overlap] for p in pairs],
    )


def gradescope_results(grade: Grade) -> dict[str, Any]:
    """Return what Gradescope reads from ``results.json``."""
    return {
        "score": grade.total,
        "execution_time": grade.seconds,
        "tests": [
            {
                "name": question.function,
                "score": question.points,
                "max_score": question.possible,
                "output": question.message,
                "visibility": "visible",
            }
            for question in grade.questions
        ],
    }


def write_log(path: Path, mark: str, grades: Sequence[Grade]) -> None:
    """Write one line of JSON per graded submission, under the mark of what decided the grades."""
    lines = [json.dumps({"mark": mark, **asdict(grade)}) for grade in grades]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_log(path: Path, mark: str) -> dict[tuple[str, str], Grade]:
    """Return the grades of an earlier run with the same mark, by student and digest."""
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.pop("mark") == mark:
            questions = [Question(**question) for question in record.pop("questions")]
            grade = Grade(questions=questions, **record)
            found[grade.student_id, grade.sha256] = grade
    return found
