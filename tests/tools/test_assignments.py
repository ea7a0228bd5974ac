"""What students get holds no solution, hidden test or answer, wherever one is planted."""

import ast
import copy
import csv
import json
import os
import stat
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from lasoftmoe.exercises.exercise import BLANK
from tests.lasoftmoe.exercises.grading import kit
from tools import notebooks, other_formats
from tools.assignments import assignment, build, execute, main, readable
from tools.plain_markdown import plain
from tools.teacher import SECRET, WHEEL, build_wheel, slim_packages

NUMBERS = notebooks.chapter_numbers()
LINE = "return logits.softmax(dim=1)"


def text_of(notebook):
    return json.dumps(notebook, ensure_ascii=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_students_notebook_has_every_task_and_no_solution(number):
    student, book = assignment(number), notebooks.read(notebooks.notebook_path(number))
    described = notebooks.chapter(number)
    lines = notebooks.solution_lines(book)
    assert lines
    for mark in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN"):
        assert mark not in text_of(student)
    sources = {cell["id"]: notebooks.source(cell) for cell in student["cells"]}
    code = [source for name, source in sources.items() if not name.startswith("task-")]
    assert not any(line in source for source in code for line in lines)
    for exercise in described.exercises:
        assert notebooks.STUB in sources[f"answer-{exercise.function}"]
        assert f"ch{number}.check_" in sources[f"check-{exercise.function}"]
        assert sources[f"check-{exercise.function}"].startswith("from lasoftmoe.exercises import")
        assert "point" in sources[f"task-{exercise.function}"]
    assert all(not cell.get("outputs") for cell in student["cells"])


@pytest.mark.parametrize("number", NUMBERS)
def test_imports_of_the_assignment_are_those_of_the_book(number):
    book = notebooks.read(notebooks.notebook_path(number))
    imports = next(c for c in book["cells"] if c["id"] == "imports")
    names = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(ast.parse(notebooks.source(imports)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(ast.parse(notebooks.chapter(number).setup)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert {(a.asname or a.name).split(".")[0] for a in node.names} <= names


def planted(place):
    """A book in which the first solution also stands somewhere else."""
    book = copy.deepcopy(notebooks.read(notebooks.notebook_path("06")))
    at = next(i for i, c in enumerate(book["cells"]) if "exercise" in notebooks.tags(c))
    if place == "notebook metadata":
        book["metadata"]["note"] = LINE
    elif place == "check":
        notebooks.set_source(book["cells"][at + 1], f"# {LINE}\nch06.check_dispatch(x)")
    elif place == "task":
        notebooks.set_source(book["cells"][at - 1], f"**1. T.** `{LINE}`")
    elif place == "check metadata":
        book["cells"][at + 1]["metadata"]["hint"] = [LINE]
    elif place == "key of metadata":
        book["cells"][at - 1]["metadata"][LINE] = 1
    elif place == "outside the markers":
        code = notebooks.source(book["cells"][at])
        notebooks.set_source(book["cells"][at], f"{code}\n    {LINE}")
    elif place == "a second solution":
        code = notebooks.source(book["cells"][at]).replace("BEGIN SOLUTION", "BEGIN  SOLUTION")
        book["cells"][at + 3] = copy.deepcopy(book["cells"][at + 3])
        text = notebooks.source(book["cells"][at + 3])
        notebooks.set_source(book["cells"][at + 3], f"{text}\n# END SOLUTION")
        assert code
    return book


@pytest.mark.parametrize(
    "place",
    [
        "notebook metadata",
        "check",
        "task",
        "check metadata",
        "key of metadata",
        "outside the markers",
        "a second solution",
    ],
)
def test_a_planted_solution_is_found_and_refused(place, monkeypatch):
    book = planted(place)
    with pytest.raises(ValueError, match="still holds"):
        notebooks.blank(book)
    monkeypatch.setattr(notebooks, "read", lambda path: copy.deepcopy(book))
    if place in ("check metadata", "key of metadata"):
        assert LINE not in text_of(assignment("06"))  # an assignment takes no metadata over
        return
    with pytest.raises(ValueError, match="still holds"):
        assignment("06")


def test_outputs_are_emptied():
    book = notebooks.read(notebooks.notebook_path("06"))
    code = next(cell for cell in book["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [LINE]}]
    assert LINE not in text_of(notebooks.blank(book))


def test_folder_of_a_chapter(tmp_path):
    folder = build("06", "all", tmp_path, run=False)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "student/ch06.ipynb",
        "student/README.md",
        "student/requirements.txt",
        "teacher/ch06_solution.ipynb",
        "teacher/rubric.md",
        "gradescope/autograder.zip",
        "nbgrader/source/ch06/ch06.ipynb",
        "nbgrader/nbgrader_config.py",
        "otter/ch06.ipynb",
        "otter/requirements.txt",
        "otter/README.txt",
    }
    assert stat.S_IMODE((folder / "teacher").stat().st_mode) == 0o700
    rubric = (folder / "teacher" / "rubric.md").read_text()
    assert (
        "10 points." in rubric
        and "SOLUTION" not in rubric
        and "These are combine weights" in rubric
    )
    assert "(1 point, ★" in rubric and "(1 points" not in rubric
    assert "wanted as many, got another number." in rubric  # the whole message, not its beginning
    lines = notebooks.solution_lines(notebooks.read(notebooks.notebook_path("06")))
    for path in (folder / "student").iterdir():
        text = path.read_text()
        assert not any(line in text for line in lines)
    assert "==" in (folder / "student" / "requirements.txt").read_text()


def test_archive_for_gradescope_holds_no_solution_and_starts(tmp_path):
    (tmp_path / SECRET).write_bytes(bytes(32))
    folder = build("06", "plain", tmp_path, run=False, private=[tmp_path / SECRET])
    with zipfile.ZipFile(folder / "gradescope" / "autograder.zip") as archive:
        names = ["setup.sh", "run_autograder", "requirements.txt", "README.txt"]
        assert archive.namelist() == [*names, SECRET]
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert texts[0].startswith("#!") and 'chmod -R go= "$root/source"' in texts[0]
    assert "torch==" in texts[2] and "torchvision" not in texts[2]
    assert "--chapter 06" in texts[1] and "--gradescope" in texts[1]
    assert LINE not in "".join(texts)


def test_nbgrader_form():
    made = other_formats.to_nbgrader("06", assignment("06", solved=True))
    by_id = {cell["id"]: cell for cell in made["cells"]}
    kinds = {name: cell["metadata"]["nbgrader"] for name, cell in by_id.items()}
    assert len({kind["grade_id"] for kind in kinds.values()}) == len(made["cells"])
    assert kinds["answer-count_tokens"]["solution"] and not kinds["answer-count_tokens"]["grade"]
    assert kinds["check-count_tokens"]["points"] == 3 and kinds["check-count_tokens"]["locked"]
    check = notebooks.source(by_id["check-count_tokens"])
    assert check.index("### BEGIN HIDDEN TESTS") < check.index("check_hidden")
    assert "course_secret" not in check  # nbgrader hands out what lies beside the notebook
    assert sum(kind.get("points", 0) for kind in kinds.values()) == 10


def test_otter_form():
    made = other_formats.to_otter("06", assignment("06", solved=True))
    text = "\n".join(notebooks.source(cell) for cell in made["cells"])
    assert text.startswith("# ASSIGNMENT CONFIG") and "ok_format: false" in text
    for mark in ("# BEGIN QUESTION", "# BEGIN TESTS", "# END TESTS", "# END QUESTION"):
        assert text.count(mark) == 5
    assert text.count("hidden: true") == 5 and text.count("all_or_nothing: true") == 5
    assert "  - course_secret\n" in text and text.count('_Path("course_secret")') == 5
    assert text.count(f'{notebooks.STUB}\n    """; # END PROMPT') == 5
    assert "def visible(count_tokens):" in text and "def hidden(count_tokens):" in text


def test_hidden_test_of_other_forms_needs_the_secret(tmp_path):
    from lasoftmoe.exercises.exercise import NotYet
    from lasoftmoe.exercises.hidden import check_hidden

    def dispatch_weights(logits):
        return logits.softmax(1)

    with pytest.raises(FileNotFoundError):
        check_hidden("06", dispatch_weights, tmp_path / "none")
    (tmp_path / "secret").write_bytes(bytes(32))
    check_hidden("06", dispatch_weights, tmp_path / "secret")

    def wrong(logits):
        return logits.softmax(0)

    wrong.__name__ = "dispatch_weights"
    with pytest.raises(NotYet, match="the batch"):
        check_hidden("06", wrong, tmp_path / "secret")


def test_pair_of_whole_chapters(tmp_path, capsys):
    main(["notebooks", "--out", str(tmp_path)])
    names = sorted(path.name for path in (tmp_path / "blank").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "solved").iterdir())
    assert len(names) == len(NUMBERS)
    for name in names:
        blank = notebooks.read(tmp_path / "blank" / name)
        solved = notebooks.read(tmp_path / "solved" / name)
        assert "BEGIN SOLUTION" in text_of(solved) and "BEGIN SOLUTION" not in text_of(blank)
        words = "\n".join(
            notebooks.source(c) for c in blank["cells"] if c["cell_type"] == "markdown"
        )
        assert "{cite" not in words and "{doc}" not in words and "```{" not in words


def test_unknown_chapter_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(SystemExit, match="chapter '77' has no exercises; those that have: 01, 02"):
        main(["build", "--chapter", "77", "--out", str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see {doc}`06_soft_moe`.", "see chapter 6, *Soft MoE: mixing instead of choosing*."),
        ("see {doc}`here <06_soft_moe>`.", "see here."),
        ("{cite:t}`puigcerver2023softmoe` say", "Puigcerver et al. (2023) say"),
        ("so {cite:p}`unknown2020`.", "so (unknown2020)."),
        ("$$\nx\n$$ (eq-x)\n", "$$\nx\n$$\n"),
        ("(label)=\n## Title", "## Title"),
        (
            "```{admonition} Try it\n:class: try-it\nDo *this*.\n\nThen that.\n```",
            "> **Try it**\n>\n> Do *this*.\n>\n> Then that.",
        ),
        ("```python\nx = 1\n```", "```python\nx = 1\n```"),
    ],
)
def test_myst_becomes_plain_markdown(text, expected):
    assert plain(text) == expected


def test_readable_changes_no_code():
    book = notebooks.read(notebooks.notebook_path("06"))
    for before, after in zip(book["cells"], readable(book)["cells"], strict=True):
        if before["cell_type"] == "code":
            assert before == after


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_blank_notebook_runs_alone_and_every_check_says_so(number):
    for cell in execute(assignment(number), allow_errors=True).cells:
        errors = [out for out in cell.get("outputs", []) if out.output_type == "error"]
        if cell.id.startswith("check-"):
            assert [error.traceback for error in errors] == [[f"Not yet: {BLANK}"]]
        else:
            assert not errors
    solved = execute(assignment(number, solved=True))
    printed = [
        out.text
        for cell in solved["cells"]
        if cell["id"].startswith("check-")
        for out in cell["outputs"]
        if out.get("name") == "stdout"  # a slow machine lets the kernel complain on stderr
    ]
    assert len(printed) == len(notebooks.chapter(number).exercises)
    assert all(text.startswith("Right: ") for text in printed)


def needed(names):
    """Distributions that some packages need, themselves included, in the form of their names."""
    found, left = set(), [name.lower() for name in names]
    while left:
        name = left.pop().replace("_", "-").lower()
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        requirements = [Requirement(line) for line in lines]
        left += [r.name for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.slow
def test_small_environment_checks_all_exercises_and_starts_the_grader():
    small = needed(slim_packages()) | {"lasoftmoe"}
    others = [
        module
        for module, names in metadata.packages_distributions().items()
        if not {name.lower().replace("_", "-") for name in names} & small
    ]
    code = f"import sys\nsys.modules.update(dict.fromkeys({others!r}))\n"
    for number in NUMBERS:
        code += f"from lasoftmoe.exercises.ch{number} import CHAPTER\n"
        code += "for exercise in CHAPTER.exercises: exercise.check(exercise.answer)\n"
    code += "import lasoftmoe.exercises.grading.worker, lasoftmoe.exercises.grading.__main__\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=notebooks.ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Right: ") == sum(
        len(notebooks.chapter(number).exercises) for number in NUMBERS
    )
    assert "scipy" in others and "timm" in others


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_wheel_is_the_one_that_the_readme_names_and_leaves_no_traces(wheel, tmp_path):
    assert wheel.name == WHEEL and zipfile.ZipFile(wheel).testzip() is None
    assert not (notebooks.ROOT / "build").exists()
    build("06", "plain", tmp_path, run=False)
    assert WHEEL in (tmp_path / "ch06" / "student" / "README.md").read_text()


@pytest.mark.slow
def test_unpacked_autograder_grades_in_an_empty_folder(wheel, tmp_path):
    """Its environment is this one; what setup.sh would download, a test cannot."""
    (tmp_path / SECRET).write_bytes(kit.SECRET)
    folder = build("06", "plain", tmp_path / "out", run=False, private=[wheel, tmp_path / SECRET])
    root = tmp_path / "autograder"
    for name in ("source", "submission", "results", "venv/bin"):
        (root / name).mkdir(parents=True)
    with zipfile.ZipFile(folder / "gradescope" / "autograder.zip") as archive:
        archive.extractall(root / "source")
    python = root / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    def results():
        environment = os.environ | {"AUTOGRADER": str(root), "PYTHONPATH": str(notebooks.ROOT)}
        command = ["bash", str(root / "source" / "run_autograder")]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return json.loads((root / "results" / "results.json").read_text())

    assert results() == {"score": 0, "output": "No notebook found: hand in ch06.ipynb."}
    notebooks.write(kit.filled(kit.RIGHT | kit.SWAPPED), root / "submission" / "ch06.ipynb")
    (root / "submission" / "another.ipynb").write_text("{}")
    assert results()["score"] == 6


def filled_release(path, answers):
    """A released notebook with some answers in place of its stubs."""
    notebook = notebooks.read(path)
    for cell in notebook["cells"]:
        name = notebooks.function_name(notebooks.source(cell))
        if name in answers and notebooks.STUB in notebooks.source(cell):
            text = notebooks.source(cell).replace(notebooks.STUB, answers[name])
            notebooks.set_source(cell, text)
    return notebook


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home with a course secret, and the programs of this environment."""
    secret = tmp_path / "home" / ".config" / "lasoftmoe" / SECRET
    secret.parent.mkdir(parents=True)
    secret.write_bytes(kit.SECRET)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(notebooks.ROOT))
    return secret


def run_in(folder, *words):
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_nbgrader_releases_and_grades(tmp_path, home):
    pytest.importorskip("nbgrader")
    folder = build("06", "nbgrader", tmp_path, run=False) / "nbgrader"
    assert run_in(folder, "nbgrader", "generate_assignment", "ch06").returncode == 0
    release = folder / "release" / "ch06" / "ch06.ipynb"
    assert "HIDDEN" not in release.read_text() and "SOLUTION" not in release.read_text()
    for name, answers in {"right": kit.RIGHT, "half": kit.RIGHT | kit.SWAPPED, "blank": {}}.items():
        path = folder / "submitted" / name / "ch06" / "ch06.ipynb"
        notebooks.write(filled_release(release, answers), path)
    moved = home.rename(tmp_path / SECRET)
    refused = run_in(folder, "nbgrader", "autograde", "ch06")
    assert refused.returncode and "is missing: `make grade` makes a course secret" in refused.stderr
    moved.rename(home)
    assert run_in(folder, "nbgrader", "autograde", "ch06").returncode == 0
    assert run_in(folder, "nbgrader", "export", "--to", str(tmp_path / "all.csv")).returncode == 0
    with (tmp_path / "all.csv").open() as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"right": 10, "half": 6, "blank": 0}


@pytest.mark.slow
def test_otter_releases_and_grades(tmp_path, home, wheel):
    pytest.importorskip("otter")
    folder = build("06", "otter", tmp_path, run=False, private=[wheel, home]) / "otter"
    assert run_in(folder, "otter", "assign", "ch06.ipynb", "dist").returncode == 0
    release = folder / "dist" / "student" / "ch06.ipynb"
    assert release.read_text().count(notebooks.STUB) == 5 and "SOLUTION" not in release.read_text()
    assert not list(release.parent.glob(f"{SECRET}*"))
    (archive,) = (folder / "dist" / "autograder").glob("*.zip")
    notebooks.write(filled_release(release, kit.RIGHT | kit.SWAPPED), tmp_path / "half.ipynb")
    done = run_in(tmp_path, "otter", "run", "-a", str(archive), str(tmp_path / "half.ipynb"))
    assert "Total Score: 6.000 / 10.000" in done.stdout, done.stderr
