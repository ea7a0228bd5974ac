"""Repairs of generated HTML."""

from __future__ import annotations

from types import SimpleNamespace

from bs4 import BeautifulSoup

from tools.site import markup

PANDAS = """<table border="1" class="dataframe"><thead>
<tr><th></th><th colspan="2">rates</th></tr><tr><th>type</th><th>low</th><th>note</th></tr></thead>
<tbody><tr><th rowspan="2">print</th><td>1.5</td><td>a sheet of plain paper</td></tr>
<tr><td>2.5</td><td>none</td></tr></tbody></table>"""


def test_headers_get_their_scope_and_an_empty_one_is_no_header() -> None:
    table = BeautifulSoup(markup.repair(f"<p>before</p>{PANDAS}<p>after</p>"), "html.parser")
    scopes = {cell.get_text(): cell["scope"] for cell in table.find_all("th")}
    assert scopes == {
        "rates": "colgroup",
        "type": "col",
        "low": "col",
        "note": "col",
        "print": "rowgroup",
    }
    assert [text.get_text() for text in table.find_all("p")] == ["before", "after"]


def test_a_column_with_sentences_is_marked_as_a_whole() -> None:
    table = BeautifulSoup(markup.head_table(PANDAS), "html.parser")
    assert [cell.get_text() for cell in table.select("td.prose")] == [
        "a sheet of plain paper",
        "none",
    ]


def test_a_fold_is_named_by_its_words() -> None:
    fold = '<details><summary aria-label="Toggle hidden content">\n<p>Show</p></summary></details>'
    assert "aria-label" not in markup.repair(fold)


def test_the_bibliography_claims_no_roles() -> None:
    entry = '<div class="citation" id="a" role="doc-biblioentry">'
    body = f'<div role="list" class="citation-list">\n{entry}'
    assert "role=" not in markup.repair(body)
    assert 'role="list"' in markup.repair('<div role="list" class="other">')


def environment(**equations: bool) -> SimpleNamespace:
    domain = SimpleNamespace(data={"has_equations": equations})
    return SimpleNamespace(get_domain=lambda name: domain)


def test_a_formula_in_the_text_or_in_an_output_needs_mathjax() -> None:
    assert markup.has_equation(environment(page=True), "page", "")
    assert markup.has_equation(environment(page=False), "page", '<div class="math notranslate">')
    assert not markup.has_equation(
        environment(page=False, chapter=True), "page", "<p>mathematics</p>"
    )


def test_mathjax_and_its_settings_are_dropped_together() -> None:
    scripts = [
        SimpleNamespace(filename="vendor/mathjax/x.js", attributes={}),
        SimpleNamespace(filename="", attributes={"body": "window.MathJax = {}"}),
        SimpleNamespace(filename="page.js", attributes={"body": None}),
        "old.js",
    ]
    kept = scripts[2:]
    markup.drop_mathjax(scripts)
    assert scripts == kept
