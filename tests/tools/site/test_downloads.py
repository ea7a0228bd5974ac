"""Downloaded notebooks: blank, solved, and clear about what they need."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.notebooks import source
from tools.site import downloads

CELL = {"tags": ["exercise", "hide-input"]}
SOLVED = "def double(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION"


@pytest.fixture
def notebook() -> NotebookNode:
    code = [new_code_cell(SOLVED, metadata=CELL), new_code_cell("double(4)")]
    return new_notebook(cells=[new_markdown_cell("# Chapter"), *code])


def test_a_blank_copy_has_a_stub_and_the_original_keeps_its_solution(notebook) -> None:
    blank = downloads.prepare(notebook, "", solved=False)
    assert "2 * x" not in str(blank) and "SOLUTION" not in str(blank)
    assert source(blank["cells"][2]).endswith("    raise NotImplementedError  # your code")
    assert notebook.cells[1].source == SOLVED
    nbformat.validate(nbformat.from_dict(blank))


def test_the_site_offers_blank_and_solved_ones_and_an_archive(notebook, tmp_path: Path) -> None:
    path, html = tmp_path / "06_chapter.ipynb", tmp_path / "html"
    nbformat.write(notebook, path)
    (html / "_sources").mkdir(parents=True)
    (html / "_sources" / path.name).write_text(SOLVED)
    downloads.write_all([path], html, "", with_solved=True)
    assert "2 * x" not in (html / "_sources" / path.name).read_text()
    assert "2 * x" in (html / "_sources" / "solved" / path.name).read_text()
    names = zipfile.ZipFile(html / downloads.ARCHIVE).namelist()
    assert names == [path.name, f"solved/{path.name}"]


def test_without_solutions_nothing_on_the_site_holds_one(notebook, tmp_path: Path) -> None:
    path, html = tmp_path / "06_chapter.ipynb", tmp_path / "html"
    nbformat.write(notebook, path)
    (html / "_sources").mkdir(parents=True)
    downloads.write_all([path], html, "", with_solved=False)
    for found in html.rglob("*.ipynb"):
        assert "2 * x" not in found.read_text()
    assert zipfile.ZipFile(html / downloads.ARCHIVE).namelist() == [path.name]


@pytest.mark.parametrize("repository", ["", "https://github.com/owner/name"])
def test_without_the_package_the_first_cell_says_how_to_get_it(
    notebook, repository: str, tmp_path: Path
) -> None:
    """Run it with the standard library alone, as in an environment of somebody else's."""
    first = source(downloads.prepare(notebook, repository, solved=False)["cells"][1])
    command = [sys.executable, "-I", "-S", "-c", first]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    told = done.stderr.splitlines()[-1]
    assert "make lab" in told and "pip install" in told and repository in told


def test_without_the_faces_the_first_cell_gives_the_command(
    notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasoftmoe.paths.EMBEDDED_DATA", tmp_path)
    first = source(downloads.prepare(notebook, "", solved=False)["cells"][1])
    with pytest.raises(FileNotFoundError, match="python -m data_prep synthetic"):
        exec(first, {})
    (tmp_path / "dataset.json").touch()
    exec(first, {})


def test_the_download_menu_offers_the_solved_notebook_of_a_chapter_only() -> None:
    context = {"header_buttons": [{"label": "download-buttons", "buttons": ["blank", "pdf"]}]}
    downloads.add_solved_button("notation", Path("notation.md"), context)
    assert context["header_buttons"][0]["buttons"] == ["blank", "pdf"]
    downloads.add_solved_button("06_chapter", Path("06_chapter.ipynb"), context)
    assert context["header_buttons"][0]["buttons"][1]["url"] == "_sources/solved/06_chapter.ipynb"
