"""A fingerprint changes with all that a cell can depend on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.fingerprint import notebook_fingerprint, shared_fingerprint, site_fingerprint


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The few files that fingerprints look at."""
    contents = {
        "lasoftmoe/moe.py": "a = 1",
        "lasoftmoe/weights/small.safetensors": "weights",
        "lasoftmoe/presets/laptop.yaml": "epochs: 8",
        "data_prep/render.py": "b = 2",
        "book/index.md": "# Title",
        "lasoftmoe/records/data/big_run.json": "{}",
        "book/_static/book.css": "p {}",
        "data/synthetic/dataset.json": '{"checksums": {"dataset": "1"}}',
        "tools/build_book.py": "",
        "constraints.txt": "torch==2.14.1",
        "_config.yml": "title: x",
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def shared(project: Path) -> str:
    return shared_fingerprint(project, [project / "data" / "synthetic"])


@pytest.mark.parametrize(
    "name",
    [
        "lasoftmoe/moe.py",
        "lasoftmoe/weights/small.safetensors",
        "lasoftmoe/presets/laptop.yaml",
        "data_prep/render.py",
        "lasoftmoe/records/data/big_run.json",
        "data/synthetic/dataset.json",
        "constraints.txt",
    ],
)
def test_a_changed_input_of_the_runs_changes_the_fingerprint(project: Path, name: str) -> None:
    before = shared(project)
    (project / name).write_text("changed")
    assert shared(project) != before


def test_a_renamed_module_changes_the_fingerprint(project: Path) -> None:
    before = shared(project)
    (project / "lasoftmoe" / "moe.py").rename(project / "lasoftmoe" / "experts.py")
    assert shared(project) != before


@pytest.mark.parametrize("variable", ["LASOFTMOE_PRESET", "LASOFTMOE_DATA"])
def test_a_setting_in_the_environment_changes_the_fingerprint(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    before = shared(project)
    monkeypatch.setenv(variable, "something else")
    assert shared(project) != before


@pytest.mark.parametrize("name", ["book/index.md", "book/_static/book.css", "_config.yml"])
def test_prose_and_looks_rebuild_the_site_but_run_nothing(project: Path, name: str) -> None:
    runs, site = shared(project), site_fingerprint(project, ["run"])
    (project / name).write_text("changed")
    assert shared(project) == runs
    assert site_fingerprint(project, ["run"]) != site


@pytest.mark.parametrize("name", ["lasoftmoe/moe.py", "data_prep/render.py"])
def test_a_corrected_docstring_runs_nothing_again(project: Path, name: str) -> None:
    before = shared(project)
    path = project / name
    path.write_text(f'"""A corrected docstring."""\n\n# a comment\n{path.read_text()}\n')
    assert shared(project) == before


def test_a_changed_tool_rebuilds_the_site(project: Path) -> None:
    before = site_fingerprint(project, [])
    (project / "tools" / "build_book.py").write_text("a = 1")
    assert site_fingerprint(project, []) != before


def test_bytecode_changes_nothing(project: Path) -> None:
    before = shared(project)
    (project / "lasoftmoe" / "__pycache__").mkdir()
    (project / "lasoftmoe" / "__pycache__" / "moe.pyc").write_text("x")
    assert shared(project) == before


def write(path: Path, cells: list) -> Path:
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_notebook_depends_on_its_code_and_not_on_its_prose(tmp_path: Path) -> None:
    code, prose = new_code_cell("x = 1"), new_markdown_cell("Words.")
    before = notebook_fingerprint("shared", write(tmp_path / "a.ipynb", [prose, code]))
    reworded = write(tmp_path / "b.ipynb", [new_markdown_cell("Other words."), prose, code])
    assert notebook_fingerprint("shared", reworded) == before
    changed = write(tmp_path / "c.ipynb", [prose, new_code_cell("x = 2")])
    assert notebook_fingerprint("shared", changed) != before
    assert notebook_fingerprint("other", reworded) != before


def test_the_order_of_cells_matters(tmp_path: Path) -> None:
    first, second = new_code_cell("x = 1"), new_code_cell("x = 2")
    forward = notebook_fingerprint("shared", write(tmp_path / "a.ipynb", [first, second]))
    backward = notebook_fingerprint("shared", write(tmp_path / "b.ipynb", [second, first]))
    assert forward != backward
