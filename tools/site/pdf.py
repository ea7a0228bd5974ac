"""The whole book as one PDF: ``python -m tools.site.pdf`` (``make pdf``), after ``make book``.

Sphinx puts all pages into one, from the outputs that the site was built from, and Chromium prints
it with bookmarks and page numbers.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from tools.site import solutions

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "_build"
SINGLE_PAGE = BUILD / "singlehtml" / "index.html"
PDF = BUILD / "la-softmoe-clip.pdf"
MARGIN = {"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"}
PAGE_NUMBER = (
    '<div style="width: 100%; font-size: 8px; text-align: center">'
    '<span class="pageNumber"></span></div>'
)
SETTLED = "document.readyState === 'complete' && (!window.MathJax || MathJax.startup.promise)"


def chromium() -> str:
    """Return the path of Chromium, or stop and say how to get it."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        raise SystemExit(
            "no chromium, which prints the book: apt-get install chromium, or name one in CHROMIUM"
        )
    return path


def build_single_page() -> None:
    """Let Sphinx write all pages as one, from the cached outputs."""
    if not (BUILD / ".jupyter_cache").exists():
        raise SystemExit("there are no outputs to print yet: run make book first")
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    command = [str(jupyter_book), "build", "book", "-q", "--builder", "singlehtml"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode or not SINGLE_PAGE.exists():
        raise SystemExit("the pages could not be put together: see the messages above")


def print_page(page: Page, target: Path) -> None:
    """Print an opened ``page`` to ``target``, each part of the book from a new sheet on."""
    page.wait_for_function(SETTLED)
    headings = page.locator("article :is(h1, h2, h3, h4, h5, h6)")
    titles = headings.evaluate_all(
        "found => found.map(h => [...h.childNodes]"
        ".filter(n => !n.classList?.contains('headerlink')).map(n => n.textContent).join(''))"
    )
    page.add_style_tag(content='[id^="document-"] + section { break-before: page }')
    page.pdf(
        path=target,
        format="A4",
        margin=MARGIN,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=PAGE_NUMBER,
        outline=True,
        tagged=True,
    )
    name_bookmarks(target, titles)


def bookmarks(node: DictionaryObject) -> Iterator[DictionaryObject]:
    """Walk through the bookmarks below ``node`` in the order of the book."""
    child = node.get("/First")
    while child is not None:
        entry = child.get_object()
        yield entry
        yield from bookmarks(entry)
        child = entry.get("/Next")


def name_bookmarks(pdf: Path, titles: list[str]) -> None:
    """Give the bookmarks of ``pdf`` their ``titles``.

    Chromium writes a title twice when its heading moved to the next sheet, and drops the space
    where one breaks into two lines.
    """
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium's files count objects otherwise
    writer = PdfWriter(clone_from=pdf)
    outline = writer.root_object["/Outlines"].get_object()
    for entry, title in zip(bookmarks(outline), titles, strict=True):
        entry[NameObject("/Title")] = TextStringObject(title.strip())
    writer.write(pdf)


def main() -> None:
    """Read the command line, put the pages together, print them."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python -m tools.site.pdf --solutions none",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--solutions",
        choices=solutions.CHOICES,
        default="folded",
        help="of the exercises: none leaves them out, anything else prints them",
    )
    os.environ[solutions.VARIABLE] = parser.parse_args().solutions
    browser_path = chromium()
    build_single_page()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(SINGLE_PAGE.as_uri())
        print_page(page, PDF)
        browser.close()
    print(PDF)


if __name__ == "__main__":
    main()
