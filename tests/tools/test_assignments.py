"""What students get holds no solution, hidden test or answer, wherever one is planted."""

import ast
import copy
import json
import stat
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from lasoftmoe.exercises.exercise import BLANK
from tools import notebooks, other_formats
from tools.assignments import assignment, build, execute, main, readable
from tools.plain_markdown import plain
from tools.teacher import SLIM

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
    assert "10 points." in rubric and "These are combine weights" in rubric
    assert "wanted as many, got another number." in rubric  # the whole message, not its beginning
    lines = notebooks.solution_lines(notebooks.read(notebooks.notebook_path("06")))
    for path in (folder / "student").iterdir():
        text = path.read_text()
        assert not any(line in text for line in lines)
    assert "==" in (folder / "student" / "requirements.txt").read_text()


def test_archive_for_gradescope_holds_no_solution_and_starts(tmp_path):
    folder = build("06", "plain", tmp_path, run=False)
    with zipfile.ZipFile(folder / "gradescope" / "autograder.zip") as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder", "README.txt"]
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert texts[0].startswith("#!") and "chmod -R go= /autograder/source" in texts[0]
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
    small = needed(SLIM) | {"lasoftmoe"}
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
