"""Grade the submissions of a chapter.

python -m lasoftmoe.exercises.grading --chapter 06 --submissions DIR --out OUT
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lasoftmoe.exercises import grading
from lasoftmoe.exercises.exercise import Chapter
from lasoftmoe.exercises.grading import feedback, gradebook
from lasoftmoe.exercises.grading.grade import Grade, Grader, Late
from lasoftmoe.exercises.grading.roster import Student, assign, read_roster
from lasoftmoe.exercises.grading.sandbox import SECONDS, Sandbox
from lasoftmoe.exercises.grading.similarity import find_alike
from lasoftmoe.exercises.grading.submissions import Submission, find_submissions
from lasoftmoe.exercises.hidden import DEFAULT_SECRET

EXAMPLE = "example: python -m lasoftmoe.exercises.grading --chapter 06 --submissions in --out out"


class UsageError(Exception):
    """A wrong argument, told in one line."""


def chapter_of(number: str) -> Chapter:
    """Return the exercises of a chapter.

    Raises:
        UsageError: There is no such chapter.
    """
    try:
        return importlib.import_module(f"lasoftmoe.exercises.ch{number}").CHAPTER
    except ModuleNotFoundError:
        known = sorted(path.stem[2:] for path in Path(grading.__file__).parents[1].glob("ch*.py"))
        raise UsageError(
            f"chapter {number!r} has no exercises; those that have: {', '.join(known)}"
        ) from None


def read_secret(path: Path) -> bytes:
    """Return the course secret; make one of 32 random bytes where there is none.

    Raises:
        UsageError: The file cannot be read or written, or is too short.
    """
    path = path.expanduser()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            print(f"made a course secret: keep {path}, and show it to nobody", file=sys.stderr)
        secret = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the course secret {path}: {error}; name a file by --secret") from None
    if len(secret) < 16:
        raise UsageError(f"the course secret {path} has {len(secret)} bytes; expected 32")
    return secret


def grade_all(
    grader: Grader, submissions: Sequence[Submission], earlier: dict[tuple[str, str], Grade]
) -> list[Grade]:
    """Grade submissions, or take over what an earlier run says of the same file."""
    grades = []
    for number, submission in enumerate(submissions, 1):
        grade = earlier.get((submission.student_id, submission.sha256))
        grade = grade or grader.grade(submission)
        grades.append(grade)
        told = f"{grade.total:g} of {grader.chapter.points}, {grade.seconds} s"
        print(f"  {number}/{len(submissions)} {submission.student_id}: {told}", flush=True)
    return grades


def with_absent(grades: list[Grade], students: Sequence[Student]) -> list[Grade]:
    """Add a row for everybody on the roster who handed nothing in; sort by student."""
    present = {grade.student_id for grade in grades}
    absent = [Grade(one.id, "", [], 0.0) for one in students if one.id not in present]
    return sorted([*grades, *absent], key=lambda grade: grade.student_id)


def write_all(
    out: Path,
    grader: Grader,
    grades: Sequence[Grade],
    submissions: Sequence[Submission],
    students: Sequence[Student],
    mark: str,
) -> None:
    """Write gradebook, files for the platforms, pages, similarity and log."""
    by_id, chapter = {student.id: student for student in students}, grader.chapter
    handed_in = [grade for grade in grades if grade.sha256]
    gradebook.write_grades(out / "grades.csv", chapter, grades, by_id)
    gradebook.write_canvas(out / "canvas.csv", chapter, grades, by_id)
    gradebook.write_moodle(out / "moodle.csv", grades, by_id)
    pairs = find_alike({grade.student_id: grade.sources for grade in handed_in})
    gradebook.write_similar(out / "similar.csv", pairs)
    gradebook.write_log(out / "log.jsonl", mark, handed_in)
    names = {
        grade.student_id: by_id[grade.student_id].name
        for grade in grades
        if grade.student_id in by_id
    }
    pages = {
        grade.student_id: feedback.feedback_page(chapter, grade, names.get(grade.student_id, ""))
        for grade in handed_in
    }
    for folder in ("feedback", "gradescope"):
        (out / folder).mkdir(exist_ok=True)
    for grade in handed_in:
        name = file_name(grade.student_id)
        (out / "feedback" / f"{name}.html").write_text(pages[grade.student_id], encoding="utf-8")
        results = json.dumps(gradebook.gradescope_results(grade), indent=1)
        (out / "gradescope" / f"{name}.json").write_text(results + "\n", encoding="utf-8")
    folders = {submission.student_id: submission.folder for submission in submissions}
    feedback.write_moodle_feedback(out / "feedback_moodle.zip", pages, folders)
    summary = feedback.summary_page(chapter, grades, grader.sandbox.limits, len(pairs))
    (out / "summary.html").write_text(summary, encoding="utf-8")


def file_name(student_id: str) -> str:
    """Return a student's id as a file name that stays in its folder."""
    name = re.sub(r"[^\w.@+-]", "_", student_id).lstrip(".")
    return name or "student"


def mark_of(chapter: Chapter, secret: bytes, arguments: argparse.Namespace) -> str:
    """Return a digest of all that decides a grade but the submission."""
    digest = hashlib.sha256(secret)
    for path in sorted(Path(grading.__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    late = (str(arguments.due), arguments.penalty, arguments.per_student, arguments.seconds)
    digest.update(repr((chapter.number, late)).encode())
    return digest.hexdigest()


def grade_for_gradescope(grader: Grader, submission: Path, out: Path) -> None:
    """Grade what a student gave to Gradescope and write ``results.json``.

    Of several notebooks, the one named after the chapter counts. Without any, the student is told
    so: a grader that stops would show only that something went wrong.
    """
    name = f"ch{grader.chapter.number}.ipynb"
    try:
        found = find_submissions(submission, grader.chapter.number)
    except FileNotFoundError:
        results: dict[str, object] = {"score": 0, "output": f"No notebook found: hand in {name}."}
    else:
        chosen = next((one for one in found if f"{one.student_id}.ipynb" == name), found[0])
        results = gradebook.gradescope_results(grader.grade(chosen))
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def run(arguments: argparse.Namespace) -> None:
    """Grade and write everything.

    Raises:
        UsageError, ValueError, OSError: An argument or a file is not as expected.
    """
    chapter, secret = chapter_of(arguments.chapter), read_secret(arguments.secret)
    late, out = Late(arguments.due, arguments.penalty), Path(arguments.out)
    with Sandbox(arguments.seconds) as sandbox:
        grader = Grader(chapter, sandbox, secret, arguments.per_student, late)
        if arguments.gradescope:
            grade_for_gradescope(grader, arguments.submissions, out)
            return
        students = read_roster(arguments.roster) if arguments.roster else []
        submissions = assign(find_submissions(arguments.submissions, chapter.number), students)
        out.mkdir(parents=True, exist_ok=True)
        out.chmod(0o700)
        mark = mark_of(chapter, secret, arguments)
        earlier = gradebook.read_log(out / "log.jsonl", mark) if arguments.resume else {}
        grades = with_absent(grade_all(grader, submissions, earlier), students)
        write_all(out, grader, grades, submissions, students, mark)
    print(f"{out / 'grades.csv'}: {len(grades)} students")


def a_date(text: str) -> datetime:
    """Read a date and time; without a zone it is meant in UTC."""
    date = datetime.fromisoformat(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m lasoftmoe.exercises.grading",
        description="Grade the submissions of a chapter.",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    made.add_argument("--chapter", required=True, help="two digits, such as 06")
    made.add_argument(
        "--submissions",
        required=True,
        type=Path,
        help="a folder DIR/<student_id>/chNN.ipynb, an archive of Canvas or Moodle, a notebook",
    )
    made.add_argument("--out", required=True, type=Path, help="a folder for grades and feedback")
    made.add_argument("--roster", type=Path, help="CSV: id,first_name,last_name,email,lms_user_id")
    made.add_argument("--secret", type=Path, default=DEFAULT_SECRET, help="file of 32 random bytes")
    made.add_argument("--per-student", action="store_true", help="other hidden inputs for each")
    made.add_argument("--due", type=a_date, help="such as 2026-12-01T23:59, in UTC")
    made.add_argument("--penalty", type=float, default=0, help="percent lost per started day")
    made.add_argument("--resume", action="store_true", help="keep grades of unchanged files")
    made.add_argument("--seconds", type=int, default=SECONDS, help="time limit of a question")
    made.add_argument("--gradescope", action="store_true", help="write OUT/results.json only")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 2 after a wrong argument, told in one line."""
    try:
        run(parser().parse_args(arguments))
    except (UsageError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
