"""Sixteen submissions get what they earn; a class of thirty is graded in a minute."""

import csv
import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from lasoftmoe.exercises import ch06
from lasoftmoe.exercises.exercise import BLANK
from lasoftmoe.exercises.grading.__main__ import main
from lasoftmoe.exercises.grading.sandbox import Sandbox
from tests.lasoftmoe.exercises.grading import kit
from tools import notebooks
from tools.assignments import assignment


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def without_seconds(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


@pytest.fixture(scope="module")
def secret(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "secret"
    path.write_bytes(kit.SECRET)
    return path


def grade(folder: Path, out: Path, secret: Path, *options: str, chapter: str = "06") -> None:
    arguments = ["--chapter", chapter, "--submissions", str(folder), "--out", str(out)]
    assert main([*arguments, "--secret", str(secret), *options]) == 0


@pytest.fixture(scope="module")
def sixteen(tmp_path_factory, secret):
    """The sixteen submissions and one that imports the package's answers, graded."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, (answers, change, _) in kit.SIXTEEN.items():
        kit.hand_in(folder, name, kit.filled(answers, change))
    kit.hand_in(folder, "package_answers", kit.filled(kit.PACKAGE_ANSWERS))
    (folder / "broken").mkdir()
    (folder / "broken" / "ch06.ipynb").write_text("{")
    out = tmp_path_factory.mktemp("out")
    grade(folder, out, secret, "--seconds", "5")
    return folder, out


@pytest.mark.slow
def test_sixteen_submissions_get_what_they_earn(sixteen):
    _, out = sixteen
    totals = {name: int(row["total"]) for name, row in table(out / "grades.csv").items()}
    assert {name: totals[name] for name in kit.SIXTEEN} == {
        name: points for name, (_, _, points) in kit.SIXTEEN.items()
    }
    assert totals["package_answers"] == 0
    assert table(out / "grades.csv")["broken"]["status"] == "unreadable"


@pytest.mark.slow
def test_feedback_says_why_and_keeps_hidden_inputs_and_answers(sixteen):
    _, out = sixteen
    pages = {path.stem: path.read_text() for path in (out / "feedback").glob("*.html")}
    assert len(pages) == 18
    assert "These are combine weights" in pages["mistake_swap"]
    assert "did not end within 5 seconds" in pages["endless"]
    assert "0 x log(0)" in pages["mistake_nan_syntax"]
    assert "SyntaxError" in pages["mistake_nan_syntax"]
    assert "no cell that defines" in pages["deleted_cells"]
    assert "exit, or a crash" in pages["exit"]
    assert "could not be read" in pages["broken"]
    hidden = [exercise.cases(kit.SECRET, "ch06") for exercise in ch06.CHAPTER.exercises]
    costs = [f"{ch06.COST.answer(*case):,}" for case in ch06.COST.cases(kit.SECRET, "ch06")]
    for page in pages.values():
        assert len(page) < 50_000
        page = re.sub("<pre>.*?</pre>", "", page, flags=re.DOTALL)  # what the student wrote
        assert "http" not in page and "<script" not in page
        assert not any(cost in page or cost.replace(",", "") in page for cost in costs)
        assert not any(str(case) in page for cases in hidden for case in cases)
        for mark in ('<html lang="en">', "<title>", "<main>", "<h1>", "prefers-color-scheme"):
            assert mark in page


@pytest.mark.slow
def test_nothing_of_the_teacher_was_read(sixteen):
    _, out = sixteen
    printed = {
        record["student_id"]: question["printed"]
        for record in map(json.loads, (out / "log.jsonl").read_text().splitlines())
        for question in record["questions"]
        if question["function"] == "combine_weights"
    }
    if not sys.platform.startswith("linux"):
        pytest.skip("files are limited on Linux only")
    assert "CAN READ: []" in printed["files"]


@pytest.mark.slow
def test_summary_names_what_to_discuss_and_who_mentions_the_answers(sixteen):
    page = (sixteen[1] / "summary.html").read_text()
    assert "18 of 18 students handed in" in page
    assert "hard_coded" in page and "package_answers" in page
    assert '<th scope="col">' in page and '<th scope="row">' in page


@pytest.mark.slow
def test_regrading_gives_the_same_and_resuming_grades_only_what_changed(
    sixteen, secret, tmp_path, capsys
):
    folder, _ = sixteen
    few = tmp_path / "few"
    for name in ("correct", "mistake_half", "blank"):
        kit.hand_in(few, name, notebooks.read(folder / name / "ch06.ipynb"))
    first, second = tmp_path / "first", tmp_path / "second"
    grade(few, first, secret)
    grade(few, second, secret)
    assert without_seconds(first / "grades.csv") == without_seconds(second / "grades.csv")
    for name in ("canvas.csv", "moodle.csv", "similar.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    kit.hand_in(few, "blank", kit.filled(kit.RIGHT))
    before = (first / "grades.csv").read_text()
    grade(few, first, secret, "--resume")
    rows = table(first / "grades.csv")
    assert rows["blank"]["total"] == "10"
    kept = [line for line in before.splitlines() if line.startswith(("correct", "mistake_half"))]
    after = (first / "grades.csv").read_text().splitlines()
    assert all(line in after for line in kept)  # with the seconds of the first run


def test_per_student_inputs_differ():
    one, other = (ch06.DISPATCH.cases(kit.SECRET, "ch06", name)[0][0] for name in ("ann", "bob"))
    assert one.shape != other.shape or not one.equal(other)


@pytest.mark.slow
@pytest.mark.parametrize("number", notebooks.chapter_numbers())
def test_every_chapter_gives_full_points_to_its_solutions_and_none_to_blanks(
    number, secret, tmp_path
):
    for name, solved in (("solved", True), ("blank", False)):
        path = tmp_path / "in" / name / f"ch{number}.ipynb"
        notebooks.write(assignment(number, solved=solved), path)
    grade(tmp_path / "in", tmp_path / "out", secret, chapter=number)
    rows = table(tmp_path / "out" / "grades.csv")
    assert float(rows["solved"]["total"]) == notebooks.chapter(number).points
    assert float(rows["blank"]["total"]) == 0
    log = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    states = {q["state"] for q in json.loads(log[0])["questions"]}
    assert json.loads(log[0])["student_id"] == "blank" and states == {"blank"}
    assert BLANK not in (tmp_path / "out" / "feedback" / "blank.html").read_text()


class Memory(threading.Thread):
    """Watches the memory of a process and of all below it: proportional set size, bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            self.most = max(self.most, sum(map(self._of, self._family(self.pid))))

    def _family(self, pid: int) -> list[int]:
        try:
            inside = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            inside = []
        return [pid, *(below for child in inside for below in self._family(int(child)))]

    def _of(self, pid: int) -> int:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0
        return 1024 * int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_class_of_thirty_takes_a_minute_and_a_gigabyte(secret, tmp_path, record_property):
    kinds = ["correct"] * 15 + ["blank"] * 3
    kinds += ["mistake_swap"] * 3 + ["mistake_half"] * 3 + ["mistake_nan_syntax"] * 2
    kinds += ["deleted_cells", "overwrite_check", "endless", "exit"]
    for number, kind in enumerate(kinds):
        answers, change, _ = kit.SIXTEEN[kind]
        kit.hand_in(tmp_path / "in", f"s{number:02d}_{kind}", kit.filled(answers, change))
    command = [sys.executable, "-m", "lasoftmoe.exercises.grading", "--chapter", "06"]
    command += ["--submissions", tmp_path / "in", "--out", tmp_path / "out", "--secret", secret]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=notebooks.ROOT, stdout=subprocess.DEVNULL)
    memory = Memory(process.pid)
    memory.start()
    assert process.wait() == 0
    seconds = time.perf_counter() - start
    memory.ended.set()
    memory.join()
    record_property("seconds", seconds)
    record_property("bytes", memory.most)
    print(f"class of thirty: {seconds:.1f} s, {memory.most / 1e6:.0f} MB")
    rows = table(tmp_path / "out" / "grades.csv")
    assert len(rows) == 30 == len(list((tmp_path / "out" / "feedback").glob("*.html")))
    for name, row in rows.items():
        assert int(row["total"]) == kit.SIXTEEN[name.partition("_")[2]][2], name
    assert seconds <= 60
    assert memory.most <= 1e9


@pytest.mark.slow
def test_gradescope_gets_its_results(secret, tmp_path):
    path = kit.hand_in(tmp_path, "submission", kit.filled(kit.RIGHT | kit.SWAPPED))
    grade(path, tmp_path / "results", secret, "--gradescope")
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["score"] == 6
    assert [test["max_score"] for test in results["tests"]] == [2, 2, 1, 2, 3]
    assert all(test["visibility"] == "visible" for test in results["tests"])
    assert list((tmp_path / "results").iterdir()) == [tmp_path / "results" / "results.json"]


ROSTER = (
    "id,first_name,last_name,email,lms_user_id\n"
    "ada,Ada,Lovelace,ada@x.org,123\n"
    "al,Alan,Turing,al@x.org,456\n"
    "kurt,Kurt,Gödel,kurt@x.org,789\n"
)


@pytest.mark.slow
def test_canvas_and_moodle_archives_round_trip(secret, tmp_path):
    right, blank = (json.dumps(kit.filled(answers)) for answers in (kit.RIGHT, {}))
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER)
    canvas, moodle = tmp_path / "canvas.zip", tmp_path / "moodle.zip"
    with zipfile.ZipFile(canvas, "w") as archive:
        late = zipfile.ZipInfo("lovelaceada_LATE_123_999_ch06.ipynb", (2026, 12, 3, 1, 0, 0))
        archive.writestr(late, right)
        early = zipfile.ZipInfo("turingalan_456_998_ch06-1.ipynb", (2026, 12, 1, 1, 0, 0))
        archive.writestr(early, blank)
        archive.writestr("../../evil_1_2_ch06.txt", "no notebook")
    with zipfile.ZipFile(moodle, "w") as archive:
        archive.writestr("Ada Lovelace_77_assignsubmission_file_/ch06.ipynb", right)
        archive.writestr("Kurt Gödel_78_assignsubmission_file_/ch06.ipynb", blank)
    options = ["--roster", str(roster)]
    late_rule = ["--due", "2026-12-01T23:59", "--penalty", "10"]
    grade(canvas, tmp_path / "c", secret, *options, *late_rule)
    rows = table(tmp_path / "c" / "grades.csv")
    assert {name: row["total"] for name, row in rows.items()} == {
        "ada": "8",
        "al": "0",
        "kurt": "0",
    }
    assert rows["ada"]["points"] == "10" and rows["ada"]["late_days"] == "2"
    assert rows["kurt"]["status"] == "not handed in"
    text = (tmp_path / "c" / "canvas.csv").read_text()
    assert text.splitlines()[0] == "Student,ID,SIS User ID,SIS Login ID,Section,ch06"
    assert '"Lovelace, Ada",123,ada,ada@x.org,,8' in text
    grade(moodle, tmp_path / "m", secret, *options)
    assert "ada@x.org,10," in (tmp_path / "m" / "moodle.csv").read_text()
    with zipfile.ZipFile(tmp_path / "m" / "feedback_moodle.zip") as archive:
        assert archive.namelist() == [
            "Ada Lovelace_77_assignsubmission_file_/feedback.html",
            "Kurt Gödel_78_assignsubmission_file_/feedback.html",
        ]
        assert "Ada Lovelace" in archive.read(archive.namelist()[0]).decode()


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(seconds=3) as made:
        yield made


HEAD = "def dispatch_weights(logits):\n    "


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these limits are Linux's")
@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
        f"open({str(notebooks.BOOK / '06_soft_moe.ipynb')!r})",
        "open('/etc/passwd')",
        "open('/proc/1/cmdline')",
        "import os; os.listdir('/')",
        "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
        "import subprocess; subprocess.run(['/bin/ls'], check=True)",
        "open('large', 'wb').write(bytes(10**7))",
        "return bytearray(10**11)",
        "import sys; sys.modules.pop('lasoftmoe.exercises.ch06'); import lasoftmoe.exercises.ch06",
    ],
)
def test_child_is_refused(sandbox, body):
    cases = ch06.DISPATCH.cases(kit.SECRET)
    result = sandbox.run(ch06.DISPATCH, cases, HEAD + body, ch06.CHAPTER.setup)
    if not sandbox.limits.get("files"):
        pytest.skip("this system limits no files")
    assert {one["state"] for one in result["outcomes"]} == {"error"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("while True: pass", "time limit"),
        ("import time; time.sleep(60)", "time limit"),
        ("while True: print('x' * 1000)", "output limit"),
        ("import os; os.kill(os.getpid(), 9)", "process ended"),
        ("raise SystemExit", "SystemExit, which ended the program"),
        ("import os\n    while True: os.fork()", "time limit"),
    ],
)
def test_limit_that_was_broken_is_named_and_the_next_question_runs(sandbox, body, state):
    cases = ch06.DISPATCH.cases(kit.SECRET)
    result = sandbox.run(ch06.DISPATCH, cases, HEAD + body, ch06.CHAPTER.setup)
    assert result["failed"] == state or (state == "time limit" and "fork" in body)
    right = HEAD + kit.RIGHT["dispatch_weights"]
    assert "outcomes" in sandbox.run(ch06.DISPATCH, cases, right, ch06.CHAPTER.setup)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chapter", "77"], "chapter '77' has no exercises; those that have: 01, 02"),
        (["--submissions", "/nowhere"], "/nowhere does not exist"),
        (["--secret", "short"], "expected 32"),
        (["--roster", "bad.csv"], "expected the columns id, first_name"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "long").write_bytes(bytes(32))
    (tmp_path / "bad.csv").write_text("name\nAda\n")
    given = {"--chapter": "06", "--submissions": "in", "--out": "out", "--secret": "long"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    assert main([part for pair in given.items() for part in pair]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_empty_folder_says_where_a_notebook_was_expected(tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(32))
    folder = tmp_path / "in"
    folder.mkdir()
    arguments = ["--chapter", "06", "--submissions", str(folder), "--secret", str(secret)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert f"expected {folder}/<student_id>/ch06.ipynb" in capsys.readouterr().err


def test_secret_is_made_once_and_for_its_owner_only(tmp_path):
    from lasoftmoe.exercises.grading.__main__ import read_secret

    path = tmp_path / "deep" / "secret"
    made = read_secret(path)
    assert len(made) == 32 and read_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
