"""Pages printed by Chromium: everything is on paper, and no line is cut."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.book.conftest import CHAPTERS, PAGES, ROOT
from tools.site import solutions

pypdf = pytest.importorskip("pypdf")
pdf = pytest.importorskip("tools.site.pdf")
pytestmark = pytest.mark.slow

PAPER = 680  # CSS pixels between the margins of A4 and Letter
OUTSIDE_PAPER = """() => [...document.querySelectorAll('article *')]
    .filter(e => !e.closest('mjx-assistive-mml') && e.getBoundingClientRect().width > 0)
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 120))"""


def squeeze(text: str) -> str:
    """Only what is printed in ink: a line may break anywhere."""
    return re.sub(r"\s+", "", text)


def printed(page: Any) -> str:
    """The text of a page on paper, without white space."""
    reader = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
    return squeeze("".join(sheet.extract_text() for sheet in reader.pages))


def code_lines(page: Any) -> list[str]:
    """Every line of code on a page, folded or not."""
    cells = page.locator("article .cell_input pre").evaluate_all(
        "all => all.map(e => e.textContent)"
    )
    return [line for cell in cells for line in cell.splitlines() if line.strip()]


@pytest.mark.parametrize("name", CHAPTERS)
def test_all_code_is_on_paper_folded_parts_too(visit, name: str) -> None:
    page = visit(name).page
    page.wait_for_load_state("networkidle")
    lines, paper = code_lines(page), printed(page)
    assert lines
    assert [line for line in lines if squeeze(line) not in paper] == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_reaches_beyond_the_edge_of_the_paper(visit, name: str) -> None:
    page = visit(name, width=PAPER).page
    page.wait_for_load_state("networkidle")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(OUTSIDE_PAPER) == []


def test_a_line_that_the_paper_cuts_would_be_noticed(visit) -> None:
    page = visit("07_linear_attention", width=PAPER).page
    page.add_style_tag(content="article pre { white-space: pre !important; min-width: 900px }")
    page.emulate_media(media="print")
    assert page.evaluate(OUTSIDE_PAPER)


def test_the_bar_around_the_text_stays_on_the_screen(visit) -> None:
    page = visit("07_linear_attention").page
    paper = printed(page)
    assert "7.Linearattention" in paper, "the chapter's number belongs to its title"
    assert "Showcodecellsource" not in paper


def test_the_report_of_the_reproduction_is_a_pdf_of_its_own(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.site.report"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reader = pypdf.PdfReader(done.stdout.strip())
    assert 3 <= len(reader.pages) <= 8
    assert "Questions to the authors" in list(titles(reader.outline))


def titles(entries: list[Any]) -> Iterator[str]:
    """The titles of bookmarks, in reading order."""
    for entry in entries:
        if isinstance(entry, list):
            yield from titles(entry)
        else:
            yield entry.title


def test_the_whole_book_is_one_pdf_with_its_headings_as_bookmarks(
    site: Path, chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printed without solutions, as for a class."""
    monkeypatch.setenv(solutions.VARIABLE, "none")
    pdf.build_single_page()
    page = chromium.new_page()
    page.goto(pdf.SINGLE_PAGE.as_uri())
    pdf.print_page(page, tmp_path / "book.pdf")
    page.close()
    reader = pypdf.PdfReader(tmp_path / "book.pdf")
    named = list(titles(reader.outline))
    assert len(reader.pages) > 100
    assert "6. Soft MoE: mixing instead of choosing" in named and named[-1] == "Run times"
    assert len({name for name in named if re.match(r"\d+\. ", name)}) == len(CHAPTERS) - 1
    paper = squeeze("".join(sheet.extract_text() for sheet in reader.pages))
    assert paper.count("raiseNotImplementedError#yourcode") > 40
    assert "#BEGINSOLUTION" not in paper
