"""The notebooks as they are committed, and the site as `make book` left it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = ROOT / "book"
HTML = ROOT / "_build" / "html"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))


def page_names() -> list[str]:
    """Every page of the table of contents, in reading order, without suffix."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    parts = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    return [toc["root"], *parts]


PAGES = page_names()
CHAPTERS = [name for name in PAGES if (BOOK / f"{name}.ipynb").exists()]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    """One committed notebook."""
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site."""
    if not (HTML / "index.html").exists():
        pytest.skip("no built site: run make book first")
    return HTML
