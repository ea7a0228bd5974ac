"""Repairs of generated HTML that its own generators leave undone.

Screen readers need tables whose headers say what they head, and controls whose names are the words
on them. Sphinx, MyST-NB, pandas, and sphinxcontrib-bibtex write neither.
"""

from __future__ import annotations

import re
from typing import Any, cast

from bs4 import BeautifulSoup
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment

PROSE_WORDS = 4  # in a cell; no number with its unit has as many
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
# The fold's words are its name; a label of other words hides them.
FOLD_LABEL = '<summary aria-label="Toggle hidden content">'
# A list whose children are no list items, and a role that the standard has withdrawn.
BIBLIOGRAPHY_ROLES = re.compile(r' role="(?:list|doc-biblioentry)"(?= class="citation)')
DEPRECATED_ROLE = re.compile(r'(<div class="citation"[^>]*) role="doc-biblioentry"')
OUTPUT_FORMULA = re.compile(r'class="[^"]*\bmath\b')


def repair(body: str) -> str:
    """Return the HTML of an article with named folds, plain bibliographies, headed tables."""
    body = body.replace(FOLD_LABEL, "<summary>")
    body = DEPRECATED_ROLE.sub(r"\1", BIBLIOGRAPHY_ROLES.sub("", body))
    return TABLE.sub(lambda table: head_table(table[0]), body)


def head_table(table: str) -> str:
    """Give every header cell of ``table`` its scope; an empty one becomes a plain cell."""
    soup = BeautifulSoup(table, "html.parser")
    align_prose(soup)
    for cell in soup.find_all("th"):
        if not cell.get_text(strip=True) and not cell.find("img"):
            cell.name = "td"
            continue
        spans = {cell.get("colspan", "1"), cell.get("rowspan", "1")} != {"1"}
        cell["scope"] = ("col" if cell.find_parent("thead") else "row") + ("group" if spans else "")
    return str(soup)


def align_prose(table: BeautifulSoup) -> None:
    """Mark the cells of columns that hold sentences, which read badly when aligned as numbers."""
    rows = [row.find_all("td") for row in table.select("tbody tr")]
    for cells in zip(*rows, strict=False):
        if any(len(cell.get_text().split()) >= PROSE_WORDS for cell in cells):
            for cell in cells:
                cell["class"] = [*cell.get("class", []), "prose"]


def has_equation(env: BuildEnvironment, page: str, body: str) -> bool:
    """Tell whether ``page`` itself has a formula, in its text or in a cell's output.

    Sphinx's own ``has_equations`` also counts the chapters below a page, so that it is true for a
    table of contents.
    """
    domain = cast(MathDomain, env.get_domain("math"))
    return domain.data["has_equations"].get(page, False) or bool(OUTPUT_FORMULA.search(body))


def drop_mathjax(scripts: list[Any]) -> None:
    """Remove MathJax and its settings from the scripts that a page will load."""
    for script in list(scripts):
        body = getattr(script, "attributes", {}).get("body") or ""
        if "mathjax" in str(getattr(script, "filename", "")) or "window.MathJax" in body:
            scripts.remove(script)
