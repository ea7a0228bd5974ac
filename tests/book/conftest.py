"""The notebooks as they are committed, and the site as `make book` left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


SETTLED = "document.readyState === 'complete' && (!window.MathJax || MathJax.startup.promise)"


@dataclass
class Visit:
    """A page of Playwright and all that went wrong while it loaded."""

    page: Any
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("requestfailed", lambda request: self.failed.append(request.url))
        self.page.on("request", self._note_outside)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note_outside(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.outside.append(request.url)

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def problems(self) -> dict[str, list[str]]:
        found = {"failed": self.failed, "outside": self.outside, "console": self.errors}
        return {kind: what for kind, what in found.items() if what}


@pytest.fixture
def visit(site: Path, chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Open a page of the site by name; closes what was opened."""
    opened = []

    def open_page(name: str, width: int = 1200, **options: str) -> Visit:
        page = chromium.new_page(viewport={"width": width, "height": 900}, **options)
        opened.append(page)
        visit = Visit(page)
        visit.watch()
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_function(SETTLED)
        return visit

    yield open_page
    for page in opened:
        page.close()
