"""Whole builds of a book of one notebook: what runs again, and what a failure leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent.parent
TOC = "format: jb-book\nroot: index\nparts:\n- caption: All\n  chapters:\n  - file: chapter\n"
CODE = "from pathlib import Path\nprint(Path('../lasoftmoe/answer.txt').read_text())"

pytestmark = pytest.mark.slow


def write_chapter(
    project: Path, prose: str = "# Chapter", code: str = CODE, tags: list[str] | None = None
) -> None:
    cells = [new_markdown_cell(prose), new_code_cell(code, metadata={"tags": tags or []})]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, project / "book" / "chapter.ipynb")


def build(project: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.build_book", "--jobs", "1", *options],
        cwd=project,
        env={**os.environ, "LASOFTMOE_PRESET": "laptop", **environment},
        capture_output=True,
        text=True,
    )


def page(project: Path) -> str:
    return (project / "_build" / "html" / "chapter.html").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project, built once."""
    project = tmp_path_factory.mktemp("project")
    for name in ("tools", "lasoftmoe", "data_prep"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, project / name, ignore=ignored)
    for name in ("_config.yml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    for name in ("_static", "_templates", "_quiz"):
        shutil.copytree(ROOT / "book" / name, project / "book" / name)
    (project / "book" / "_vendor").mkdir()
    (project / "book" / "_toc.yml").write_text(TOC)
    (project / "book" / "index.md").write_text("# Index\n")
    (project / "book" / "references.bib").touch()
    protocols = project / "data" / "synthetic-laptop" / "protocols"
    protocols.mkdir(parents=True)
    (protocols / "p1.parquet").touch()
    (protocols.parent / "dataset.json").write_text("{}")
    (project / "lasoftmoe" / "answer.txt").write_text("first answer")
    write_chapter(project)
    done = build(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first answer" in page(project)
    return project


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the built project to change."""
    return Path(shutil.copytree(built, tmp_path / "project"))


def test_nothing_changed_does_nothing(project: Path) -> None:
    before = (project / "_build" / "html" / "index.html").stat().st_mtime_ns
    done = build(project)
    assert done.returncode == 0 and "nothing changed" in done.stdout
    assert (project / "_build" / "html" / "index.html").stat().st_mtime_ns == before


def test_an_edit_to_the_package_executes_again(project: Path) -> None:
    (project / "lasoftmoe" / "answer.txt").write_text("second answer")
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert "second answer" in page(project) and "first answer" not in page(project)


def test_an_edit_to_prose_builds_the_page_and_runs_nothing(project: Path) -> None:
    write_chapter(project, prose="# A better title")
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert re.search(r"chapter +[\d.]+ s +loaded", done.stdout)
    assert "A better title" in page(project) and "first answer" in page(project)


def test_a_failing_cell_fails_the_build_every_time(project: Path) -> None:
    write_chapter(project, code="shape = (1, 2)\nraise ValueError('wrong axis')")
    for _ in range(2):
        done = build(project)
        assert done.returncode == 1
        assert "chapter.ipynb, cell 2 of 2" in done.stderr
        assert "ValueError: wrong axis" in done.stderr and "raise ValueError" in done.stderr
        assert not (project / "_build" / "html").exists()


def test_a_warning_of_the_site_fails_the_build(project: Path) -> None:
    write_chapter(project, prose="# Chapter\n\n{cite}`nobody2000`")
    done = build(project)
    assert done.returncode == 1 and "nobody2000" in done.stdout + done.stderr
    assert not (project / "_build" / "html").exists()


def test_a_machine_where_sockets_cannot_work_is_told_before_anything_runs(
    project: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    write_chapter(project, code="print('again')")
    done = build(project, TMPDIR=str(deep))
    assert done.returncode == 1
    assert str(deep) in done.stderr and "TMPDIR=/tmp make book" in done.stderr
    assert "running" not in done.stdout and "Traceback" not in done.stderr


def test_addresses_in_the_configuration_appear_on_the_pages(project: Path) -> None:
    config = (project / "_config.yml").read_text()
    config = config.replace('url: ""', "url: https://github.com/owner/name", 1)
    config = config.replace('baseurl: ""', "baseurl: https://owner.github.io/name/")
    (project / "_config.yml").write_text(config)
    done = build(project)
    assert done.returncode == 0, done.stdout + done.stderr
    text = page(project)
    assert '<link rel="canonical" href="https://owner.github.io/name/chapter.html"' in text
    assert "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/book/chapter.ipynb" in text
    assert (
        "https://colab.research.google.com/github/owner/name/blob/main/book/chapter.ipynb" in text
    )
    assert "https://github.com/owner/name/edit/main/book/chapter.ipynb" in text
    assert (project / "_build" / "html" / "sitemap.xml").exists()


def test_a_site_without_solutions_holds_none_anywhere(project: Path) -> None:
    code = "def double(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION"
    write_chapter(project, code=code, tags=["exercise", "hide-input"])
    for choice, there in (("folded", True), ("none", False)):
        done = build(project, "--solutions", choice)
        assert done.returncode == 0, done.stdout + done.stderr
        site = (project / "_build" / "html").rglob("*.*")
        found = {path.name for path in site if b"2 * x" in path.read_bytes()}
        assert bool(found) is there, found
        assert (
            "raise NotImplementedError"
            in (project / "_build" / "html" / "_sources" / "chapter.ipynb").read_text()
        )
    assert "loaded" in done.stdout, "the choice runs no notebook again"


def test_an_unknown_preset_is_refused_with_the_known_names(project: Path) -> None:
    done = build(project, LASOFTMOE_PRESET="desktop")
    assert done.returncode == 1
    assert "desktop" in done.stderr and "a100" in done.stderr and "Traceback" not in done.stderr


def test_the_big_preset_says_what_is_missing_before_anything_runs(project: Path) -> None:
    done = build(project, LASOFTMOE_PRESET="a100", CUDA_VISIBLE_DEVICES="", LASOFTMOE_DATA="/none")
    assert done.returncode == 1
    assert "/none" in done.stderr and "GPU" in done.stderr and "Traceback" not in done.stderr
    assert "running" not in done.stdout
