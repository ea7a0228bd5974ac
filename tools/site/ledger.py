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

from lasoftmoe.records.recorded import read_recorded
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
        items = [_item(claim) for claim in claims]
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


def _item(claim: Claim) -> nodes.list_item:
    head = nodes.paragraph("", "", nodes.strong("", claim.id), nodes.Text(" "), _verdict(claim))
    rows = [head, nodes.paragraph("", "", *inline(claim.claim), classes=["claim-words"])]
    if claim.condition:
        rows.append(_labeled("Condition", inline(claim.condition)))
    rows.append(nodes.paragraph("", "", *inline(claim.finding)))
    rows.append(_labeled("Paper", _where(claim)))
    if guards := _guards(claim):
        rows.append(_labeled("Guarded by", guards))
    names = ("claim", f"verdict-{css_class(claim.verdict)}", f"kind-{claim.kind}")
    return nodes.list_item("", *rows, ids=[address(claim)], classes=[*names])


def _verdict(claim: Claim) -> nodes.inline:
    return nodes.inline("", claim.verdict, classes=["verdict", css_class(claim.verdict)])


def _labeled(label: str, content: Iterable[nodes.Node]) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong("", f"{label}: "), *content, classes=["claim-note"])


def _where(claim: Claim) -> list[nodes.Node]:
    """Place in the paper, and a link to the section of the book."""
    link = _link(claim.heading, claim.page, nodes.make_id(claim.heading))
    return [nodes.Text(f"{claim.place} ({claim.kind}). In this book: "), link]


def _link(words: str, page: str, anchor: str) -> nodes.reference:
    """Return a link whose address :func:`resolve` completes; it depends on the builder."""
    return nodes.reference("", words, internal=True, refuri="", ledger=(page, anchor))


def _guards(claim: Claim) -> list[nodes.Node]:
    """Tests, record, and analysis file; empty if there are none."""
    named = [("", test) for test in claim.tests]
    named += [("record ", claim.record)] if claim.record else []
    if claim.plan:
        made = claim.record and "plan" in read_recorded(claim.record).facts
        label = "analysis file " if made else "analysis file of a coming recording "
        named.append((label, f"studies/{claim.plan}.yaml"))
    found: list[nodes.Node] = []
    for label, name in named:
        found += [nodes.Text((", " if found else "") + label), nodes.literal("", name)]
    return found


def _counts(claims: list[Claim]) -> nodes.table:
    """Number of the paper's claims for each verdict, with what the verdict means."""
    claims = [claim for claim in claims if not claim.is_hearsay]
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


def resolve(app: Sphinx, document: nodes.document, page: str) -> None:
    """Fill the boxes ``claims-here``, and complete the links of the ledger.

    The builder of a single page calls this once, with all pages in one document.
    """
    for box in list(document.findall(nodes.admonition)):
        if HERE in box["classes"]:
            mine = [claim for claim in read_ledger() if claim.page == _page_of(box, app, page)]
            title = next(iter(box.findall(nodes.title)))
            box.children = []
            box += [title, nodes.bullet_list("", *map(_short, mine), classes=["ledger-short"])]
    for link in document.findall(nodes.reference):
        if "ledger" in link:
            target, anchor = link["ledger"]
            uri = app.builder.get_relative_uri(_page_of(link, app, page), target)
            link["refuri"] = f"{uri}#{anchor}"


def _page_of(node: nodes.Node, app: Sphinx, page: str) -> str:
    """Return the page that a node was read from, also where pages were put into one document."""
    while node.parent is not None:  # of inlined pages, the old document stays the last parent
        node = node.parent
    source = node.get("source") if isinstance(node, nodes.document) else None
    return (source and app.env.path2doc(source)) or page


def _short(claim: Claim) -> nodes.list_item:
    link = _link(claim.id, PAGE, address(claim))
    words = [_verdict(claim), nodes.Text(" "), link, nodes.Text(" "), *inline(claim.claim)]
    return nodes.list_item("", nodes.paragraph("", "", *words))


def add_script(app: Sphinx, page: str, context: dict[str, Any]) -> None:
    """Load the filter on the ledger's page only; without it the page shows all claims."""
    if page == PAGE:
        app.add_js_file(SCRIPT)
