"""Claims as nodes, and the box of a chapter."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from docutils import nodes

from tests.book.conftest import BOOK, CHAPTERS
from tools.claims.ledger import read_ledger
from tools.site import last_run, ledger


def test_words_become_text_formulas_code_and_numbers() -> None:
    found = ledger.inline('It\'s "so": $x^2$, `code`, {value}`reported table2 Ours ACER`.')
    kinds = [type(node) for node in found if node.astext()]
    assert kinds == [nodes.Text, nodes.math, nodes.Text, nodes.literal, *[nodes.Text] * 3]
    assert "".join(node.astext() for node in found) == "It’s “so”: x^2, code, 0.32."


def test_a_quotation_may_hold_a_formula_and_arguments_keep_their_own_quotes() -> None:
    found = ledger.inline('"so $x$" and {value}`reported table6 "vanilla CLIP" ACER`')
    assert "".join(node.astext() for node in found) == "“so x” and 0.91"


def test_every_entry_of_the_ledger_can_be_written() -> None:
    for claim in read_ledger():
        for words in (claim.claim, claim.condition or "", claim.finding):
            text = "".join(node.astext() for node in ledger.inline(words))
            assert "{value}" not in text and text.count("“") == text.count("”"), claim.id


def test_hearsay_is_not_counted_among_the_papers_claims() -> None:
    claims = read_ledger()
    rows = [row.astext().split("\n\n") for row in ledger._counts(claims).findall(nodes.row)]
    assert rows[-1][:2] == ["all", str(sum(claim.kind != "hearsay" for claim in claims))]
    assert sum(int(row[1]) for row in rows[1:-1]) == int(rows[-1][1])


def test_a_plan_is_shown_as_that_of_the_record_only_if_the_record_has_it(monkeypatch) -> None:
    (claim,) = (claim for claim in read_ledger() if claim.id == "D16")
    for facts, label in (({}, "analysis file of a coming recording "), ({"plan": {}}, "file ")):
        monkeypatch.setattr(ledger, "read_recorded", lambda name, f=facts: SimpleNamespace(facts=f))
        told = "".join(node.astext() for node in ledger._guards(claim))
        assert told.endswith(f"{label}studies/table6.yaml")


def test_ids_and_classes_are_safe_in_an_address() -> None:
    claims = read_ledger()
    assert ledger.address(claims[0]) == "claim-a1"
    assert ledger.css_class("holds, with condition") == "holds-with-condition"


def test_a_table_has_a_header_for_each_column_and_row() -> None:
    table = ledger.table(["verdict", "claims"], [["holds", "3"]])
    assert [entry.astext() for entry in table.findall(nodes.entry)] == [
        "verdict",
        "claims",
        "holds",
        "3",
    ]
    assert [spec.get("stub", 0) for spec in table.findall(nodes.colspec)] == [1, 0]


@pytest.mark.parametrize("chapter", [name for name in CHAPTERS if name[0].isdigit()])
def test_a_chapter_that_treats_claims_shows_them_in_its_summary(chapter: str) -> None:
    cells = json.loads((BOOK / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    has_box = any(f":class: {ledger.HERE}" in t and "## Summary" in t for t in texts)
    assert has_box == any(claim.page == chapter for claim in read_ledger())


def test_the_line_about_the_last_run_names_day_seconds_and_versions(tmp_path) -> None:
    path = tmp_path / "run_times.json"
    assert last_run.sentence("01_a", path) == ""
    run = {"notebook": "01_a", "seconds": 12.4, "date": "2026-11-27T20:05:01+00:00"}
    run["versions"] = {"python": "3.11.7", "torch": "2.14.1", "accelerate": "1"}
    path.write_text(json.dumps([run, {"notebook": "02_b", "seconds": 1.0}]))
    told = "Last run on 2026-11-27 at 20:05 UTC, 12 s, python 3.11.7, torch 2.14.1."
    assert last_run.sentence("01_a", path) == told
    assert last_run.sentence("02_b", path) == "", "a run from before dates were kept"
    context = {"body": "<p>text</p>"}
    last_run.add("gone", context)
    assert context["body"] == "<p>text</p>"


class FakeApp:
    """As much of Sphinx as the links need: pages are files, or all in one."""

    def __init__(self, single: bool) -> None:
        self.env = self.builder = self
        self.single = single

    def path2doc(self, source: str) -> str:
        return source.removesuffix(".ipynb")

    def get_relative_uri(self, page: str, target: str) -> str:
        return "all.html" if self.single else f"{target}.html"


@pytest.mark.parametrize("single", [False, True])
def test_a_box_is_filled_with_its_own_chapters_claims(single: bool) -> None:
    """The builder of one page for all hands over the root's name, whatever the box stands on."""
    chapter = "05_mixture_of_experts"
    document = nodes.document("", "", source=f"{chapter}.ipynb")
    box = nodes.admonition("", nodes.title("", "Claims"), classes=[ledger.HERE])
    box += nodes.paragraph("", "fallback for a notebook program")
    document += box
    ledger.resolve(FakeApp(single), document, "index" if single else chapter)
    mine = [claim for claim in read_ledger() if claim.page == chapter]
    items = list(box.findall(nodes.list_item))
    assert len(items) == len(mine) > 0
    links = [link["refuri"] for link in box.findall(nodes.reference)]
    page = "all.html" if single else "claims.html"
    assert links == [f"{page}#claim-{claim.id.lower()}" for claim in mine]
    assert "fallback" not in box.astext()


def test_other_boxes_are_left_alone() -> None:
    document = nodes.document("", "", source="01_a.ipynb")
    document += nodes.admonition("", nodes.title("", "Try it"), nodes.paragraph("", "this"))
    ledger.resolve(FakeApp(single=False), document, "01_a")
    assert "this" in document.astext()
