"""Notebooks as committed: single source, short cells, described figures, known citations."""

from __future__ import annotations

import re

import pytest
from nbformat import NotebookNode

from tests.book.conftest import BOOK, CHAPTERS, NOTEBOOKS, PAGES

LONGEST_CELL = 15
LONGEST_CHAPTER = 3000
DRAWS = re.compile(
    r"\b(plots\.\w+\(|plt\.(?!close|imsave|rcParams|style)|sns\.|\.imshow\(|\.plot\()"
)
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
FENCE = re.compile(r"^(```+|~~~+|:::+).*?^\1", re.MULTILINE | re.DOTALL)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_the_table_of_contents_names_files_that_exist_and_every_notebook() -> None:
    for name in PAGES:
        assert any((BOOK / f"{name}{suffix}").exists() for suffix in (".md", ".ipynb")), name
    assert {path.stem for path in NOTEBOOKS} == set(CHAPTERS)


def test_no_outputs_are_stored(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        assert not cell.outputs and cell.execution_count is None, cell.source


def test_cells_have_ids(notebook: NotebookNode) -> None:
    ids = [cell.get("id") for cell in notebook.cells]
    assert all(ids), "a cell has no id: save the notebook as nbformat 4.5"
    assert len(set(ids)) == len(ids), "two cells share an id"


def test_code_cells_are_short(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        lines = [line for line in cell.source.splitlines() if not line.startswith("# ")]
        assert len(lines) <= LONGEST_CELL, f"{len(lines)} lines:\n{cell.source}"


def test_a_chapter_is_read_in_one_sitting(notebook: NotebookNode) -> None:
    words = re.findall(r"\w[\w'-]*", FENCE.sub(" ", prose(notebook)))
    assert len(words) <= LONGEST_CHAPTER, f"{len(words)} words"


def test_the_first_code_cell_takes_the_preset_as_a_parameter(notebook: NotebookNode) -> None:
    first = code_cells(notebook)[0]
    assert "parameters" in first.metadata.get("tags", [])
    assert re.search(r"PRESET\s*=\s*os\.environ\.get\(\s*[\"']LASOFTMOE_PRESET[\"']", first.source)


def test_a_chapter_uses_the_package_that_it_explains(notebook: NotebookNode) -> None:
    source = "\n".join(cell.source for cell in code_cells(notebook))
    assert re.search(r"^(from|import) lasoftmoe\b", source, re.MULTILINE)


def test_cells_that_draw_say_what_is_to_be_seen(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        if DRAWS.search(cell.source):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 20, f"no alt text (mystnb.image.alt) on the cell:\n{cell.source}"


def test_solutions_are_marked_and_folded(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        begins, ends = cell.source.count("# BEGIN SOLUTION"), cell.source.count("# END SOLUTION")
        assert begins == ends, cell.source
        if begins:
            assert "hide-input" in cell.metadata.get("tags", []), cell.source


def test_the_glossary_is_in_alphabetical_order() -> None:
    text = (BOOK / "glossary.md").read_text("utf-8")
    entries = text.split("```{glossary}\n")[1].split("```")[0]
    terms = re.findall(r"^(?! )(.+)$", entries, re.MULTILINE)
    assert len(terms) > 10 and terms == sorted(terms, key=str.casefold)


def test_no_entry_of_the_bibliography_is_there_twice() -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(), re.MULTILINE)
    assert len(keys) == len(set(keys)), sorted(key for key in set(keys) if keys.count(key) > 1)


@pytest.mark.parametrize("name", PAGES)
def test_citations_are_in_the_bibliography(name: str) -> None:
    known = set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(), re.MULTILINE))
    paths = [BOOK / f"{name}.md", BOOK / f"{name}.ipynb"]
    text = "".join(path.read_text() for path in paths if path.exists())
    cited = {key.strip() for keys in CITATION.findall(text) for key in keys.split(",")}
    assert cited <= known, f"not in references.bib: {sorted(cited - known)}"
