"""Submissions, rosters, similar answers, and the files for the teacher."""

import csv
import os
from datetime import UTC, datetime, timedelta

import pytest

from lasoftmoe.exercises import ch06
from lasoftmoe.exercises.grading.__main__ import file_name
from lasoftmoe.exercises.grading.feedback import feedback_page, with_code
from lasoftmoe.exercises.grading.grade import Grade, Late, Question
from lasoftmoe.exercises.grading.gradebook import read_log, safe, write_grades, write_log
from lasoftmoe.exercises.grading.limits import except_beneath
from lasoftmoe.exercises.grading.roster import Student, assign, read_roster
from lasoftmoe.exercises.grading.similarity import find_alike
from lasoftmoe.exercises.grading.submissions import Submission, find_submissions

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("path", ["ann/ch06.ipynb", "ann/ch06/ch06.ipynb", "ann/mine.ipynb"])
def test_a_submission_lies_in_the_students_folder(tmp_path, path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("{}")
    (tmp_path / "bob").mkdir()
    assert [one.student_id for one in find_submissions(tmp_path, "06")] == ["ann"]


def test_loose_notebooks_are_named_after_their_students(tmp_path):
    for name in ("bob", "ann"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    assert [one.student_id for one in find_submissions(tmp_path, "06")] == ["ann", "bob"]
    assert find_submissions(tmp_path / "ann.ipynb", "06")[0].student_id == "ann"


def test_the_named_notebook_comes_before_others(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "a.ipynb").write_text("a")
    (tmp_path / "ann" / "ch06.ipynb").write_text("b")
    assert find_submissions(tmp_path, "06")[0].data == b"b"


def test_late_days_follow_the_files_date(tmp_path):
    path = tmp_path / "ann.ipynb"
    path.write_text("{}")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    handed_in = find_submissions(path, "06")[0].handed_in
    assert Late(NOON, 10).days(handed_in) == 0
    assert Late(NOON - timedelta(seconds=1), 10).days(handed_in) == 1
    assert Late(NOON - timedelta(days=1, seconds=1), 10).days(handed_in) == 2
    assert Late(NOON, 10).total(10, 2) == 8
    assert Late(NOON, 60).total(10, 2) == 0
    assert Late().days(handed_in) == 0


def test_roster_matches_ids_platform_numbers_and_names():
    students = [Student("ada", "Ada", "Lovelace", lms_user_id="123"), Student("al")]
    given = [
        Submission("lovelaceada", b"", NOON, lms_user_id="123", name="lovelaceada"),
        Submission("x", b"", NOON, name="Ada Lovelace"),
        Submission("al", b"", NOON),
        Submission("stranger", b"", NOON),
    ]
    assert [one.student_id for one in assign(given, students)] == ["ada", "ada", "al", "stranger"]


def test_roster_with_an_id_twice_is_refused(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("id,email\nann,a\nann,b\n")
    with pytest.raises(ValueError, match="twice: ann"):
        read_roster(path)


LONG = """def f(x):
    # {note}
    {a} = x + 1
    {b} = {a} * 2
    for {c} in range(3):
        {b} = {b} - {c}
    if {b} > 0:
        return {a}
    return {b}
"""
OTHER = """def f(x):
    total = 0
    while total < 10:
        total += 3
        x = x.abs().sum()
    y = [total, x]
    print(y)
    return max(y)
"""


def test_renamed_copies_are_found_and_short_answers_are_not():
    copy = LONG.format(note="mine", a="p", b="q", c="r")
    answers = {
        "ann": {"f": LONG.format(note="my own", a="u", b="v", c="w"), "g": "def g(x): return x"},
        "bob": {"f": copy, "g": "def g(x): return x"},
        "cec": {"f": OTHER},
        "dan": {"f": "def f(x:"},
        "eve": {"f": LONG.format(note="", a="u", b="v", c="w").replace("> 0", "> 1")},
    }
    pairs = {(p.first, p.second): p for p in find_alike(answers)}
    assert pairs["ann", "bob"].same_structure and pairs["ann", "bob"].overlap == 1
    assert not pairs["ann", "eve"].same_structure
    assert not any("cec" in pair or "dan" in pair for pair in pairs)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_cell_is_never_a_formula(text):
    assert safe(text) == f"'{text}"


def a_grade(**values):
    questions = [
        Question("dispatch_weights", "right", 2, 2, "Right: good."),
        Question("combine_weights", "wrong", 0, 2, "Look at <b>`x`</b> & y."),
    ]
    return Grade("=ann", "0" * 64, questions, **{"total": 1.8, "late_days": 1, **values})


def test_gradebook_escapes_and_rounds(tmp_path):
    write_grades(tmp_path / "grades.csv", ch06.CHAPTER, [a_grade()], {})
    with (tmp_path / "grades.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["student_id"] == "'=ann" and row["total"] == "1.8" and row["points"] == "2"
    assert list(row)[-1] == "seconds"


def test_log_comes_back_under_its_mark_only(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, "mark", [a_grade()])
    assert read_log(path, "mark") == {("=ann", "0" * 64): a_grade()}
    assert read_log(path, "other") == {}
    assert read_log(tmp_path / "none", "mark") == {}


def test_page_escapes_what_students_wrote():
    page = feedback_page(ch06.CHAPTER, a_grade(), "<script>")
    assert "<script>" not in page and "&lt;b&gt;<code>x</code>&lt;/b&gt; &amp; y." in page
    assert "1.8 of 10 points (2 before the deduction, days late: 1)" in page
    assert with_code("an odd ` backtick") == "an odd ` backtick"


def test_page_shows_the_code_that_was_graded():
    grade = a_grade(sources={"dispatch_weights": "def dispatch_weights(a):\n    return a < 1"})
    page = feedback_page(ch06.CHAPTER, grade)
    assert page.count("The code that was graded") == 1 and "return a &lt; 1</pre>" in page
    assert "<h2>2. <code>combine_weights</code></h2>" in page


def test_a_students_id_stays_in_its_folder():
    assert file_name("../../x") == "_.._x" and file_name("..") == "student"
    assert file_name("Ada Lovelace") == "Ada_Lovelace"


def test_paths_cover_everything_but_the_hidden(tmp_path):
    for name in ("a/x", "a/hidden/y", "b"):
        (tmp_path / name).mkdir(parents=True)
    covered = except_beneath(tmp_path, tmp_path / "a" / "hidden")
    assert covered == [tmp_path / "a" / "x", tmp_path / "b"]
    assert except_beneath(tmp_path / "b", tmp_path / "a" / "hidden") == [tmp_path / "b"]
