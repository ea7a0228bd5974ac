"""The ledger of claims on the pages: one page with all of them, and each chapter's own.

The directive ``ledger`` writes all claims with their counts. In a chapter, an admonition of the
class ``claims-here`` is filled with the claims that the chapter treats. A notebook program shows
that admonition as it is written, with a link to the ledger.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.claims.ledger import FILE, MEANINGS, VERDICTS, Claim, read_ledger
from tools.values import text_of

PAGE = "claims"
HERE = "claims-here"
SCRIPT = "ledger.js"
STATIC = Path(__file__).parent / "static"
MARKUP = re.compile(r"\{value\}`(?P<value>[^`]+)`|`(?P<code>[^`]+)`|\$(?P<math>[^$]+)\$")


class Ledger(SphinxDirective):
    """All claims, after a table that counts their verdicts."""

    def run(self) -> list[nodes.Node]:
        """Return the table of counts and the list of claims."""
        self.env.note_dependency(str(FILE))
        claims = read_ledger()
        items = [_item(claim, self.env.app, self.env.docname) for claim in claims]
        return [_counts(claims), nodes.bullet_list("", *items, classes=["ledger"])]


def inline(text: str) -> list[nodes.Node]:
    """Return a claim's words as nodes: formulas, code, and numbers looked up by name."""
    found: list[nodes.Node] = []
    end, marks = 0, itertools.cycle("“”")
    for match in MARKUP.finditer(text):
        found.append(nodes.Text(_quoted(text[end : match.start()], marks)))
        end = match.end()
        if match["value"]:
            found.append(nodes.Text(text_of(match["value"])))
        elif match["code"]:
            found.append(nodes.literal("", match["code"]))
        else:
            found.append(nodes.math("", match["math"]))
    return [*found, nodes.Text(_quoted(text[end:], marks))]


def _quoted(text: str, marks: Iterator[str]) -> str:
    """Turn straight quotes into curly ones; Sphinx has done its own before it comes here."""
    return re.sub('"', lambda match: next(marks), text).replace("'", "’")


def css_class(word: str) -> str:
    """Return the class of a verdict or kind, such as "holds-with-condition"."""
    return nodes.make_id(word)


def address(claim: Claim) -> str:
    """Return the id of the claim's entry on the ledger's page."""
    return f"claim-{claim.id.lower()}"


def _item(claim: Claim, app: Sphinx, page: str) -> nodes.list_item:
    head = nodes.paragraph("", "", nodes.strong("", claim.id), nodes.Text(" "), _verdict(claim))
    rows = [head, nodes.paragraph("", "", *inline(claim.claim), classes=["claim-words"])]
    if claim.condition:
        rows.append(_labeled("Condition", inline(claim.condition)))
    rows.append(nodes.paragraph("", "", *inline(claim.finding)))
    rows.append(_labeled("Paper", _where(claim, app, page)))
    if guards := _guards(claim):
        rows.append(_labeled("Guarded by", guards))
    names = ("claim", f"verdict-{css_class(claim.verdict)}", f"kind-{claim.kind}")
    return nodes.list_item("", *rows, ids=[address(claim)], classes=[*names])


def _verdict(claim: Claim) -> nodes.inline:
    return nodes.inline("", claim.verdict, classes=["verdict", css_class(claim.verdict)])


def _labeled(label: str, content: Iterable[nodes.Node]) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong("", f"{label}: "), *content, classes=["claim-note"])


def _where(claim: Claim, app: Sphinx, page: str) -> list[nodes.Node]:
    """Place in the paper, and a link to the section of the book."""
    target = app.builder.get_relative_uri(page, claim.page) + f"#{nodes.make_id(claim.heading)}"
    link = nodes.reference("", claim.heading, refuri=target, internal=True)
    return [nodes.Text(f"{claim.place} ({claim.kind}). In this book: "), link]


def _guards(claim: Claim) -> list[nodes.Node]:
    """Tests, record, and analysis file; empty if there are none."""
    named = [("", test) for test in claim.tests]
    named += [("record ", claim.record)] if claim.record else []
    named += [("analysis file ", f"studies/{claim.plan}.yaml")] if claim.plan else []
    found: list[nodes.Node] = []
    for label, name in named:
        found += [nodes.Text((", " if found else "") + label), nodes.literal("", name)]
    return found


def _counts(claims: list[Claim]) -> nodes.table:
    """Number of claims for each verdict, with what the verdict means."""
    rows: list[list[str]] = []
    for verdict in VERDICTS:
        count = sum(claim.verdict == verdict for claim in claims)
        rows.append([verdict, str(count), MEANINGS[verdict]])
    return table(["verdict", "claims", "meaning"], [*rows, ["all", str(len(claims)), ""]])


def table(head: list[str], rows: list[list[str]]) -> nodes.table:
    """Return a table whose first column heads the rows."""
    group = nodes.tgroup("", cols=len(head), stub=1)
    for place, _ in enumerate(head):
        group += nodes.colspec("", colwidth=1, **({"stub": 1} if place == 0 else {}))
    for kind, part in ((nodes.thead, [head]), (nodes.tbody, rows)):
        group += kind("", *[_row(cells) for cells in part])
    return nodes.table("", group, classes=["ledger-counts"])


def _row(cells: list[str]) -> nodes.row:
    entries = [nodes.entry("", nodes.paragraph("", cell)) for cell in cells]
    return nodes.row("", *entries)


def fill_chapter(app: Sphinx, document: nodes.document, page: str) -> None:
    """Replace the text of each admonition ``claims-here`` by the verdicts on this page's claims."""
    boxes = [box for box in document.findall(nodes.admonition) if HERE in box["classes"]]
    if not boxes:
        return
    claims = [claim for claim in read_ledger() if claim.page == page]
    uri = app.builder.get_relative_uri(page, PAGE)
    for box in boxes:
        title = next(iter(box.findall(nodes.title)))
        items = [_short(claim, uri) for claim in claims]
        box.children = []
        box += [title, nodes.bullet_list("", *items, classes=["ledger-short"])]


def _short(claim: Claim, uri: str) -> nodes.list_item:
    link = nodes.reference(
        "", "", nodes.Text(claim.id), refuri=f"{uri}#{address(claim)}", internal=True
    )
    words = [_verdict(claim), nodes.Text(" "), link, nodes.Text(" "), *inline(claim.claim)]
    return nodes.list_item("", nodes.paragraph("", "", *words))


def add_script(app: Sphinx, page: str, context: dict[str, Any]) -> None:
    """Load the filter on the ledger's page only; without it the page shows all claims."""
    if page == PAGE:
        app.add_js_file(SCRIPT)
