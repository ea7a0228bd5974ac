"""Solutions on the pages: folded, shown, or left out."""

from __future__ import annotations

import pytest
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode

from tools.notebooks import STUB
from tools.site import solutions

SOLVED = "def double(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION"


def page() -> nodes.document:
    """A page with a folded solution and another folded cell."""
    document = nodes.document(None, None)
    for code in (SOLVED, "import os"):
        fold = HideCodeCellNode(prompt_show="Show code cell source", prompt_hide="Hide")
        fold += nodes.literal_block(code, code)
        document += fold
    return document


def applied(monkeypatch: pytest.MonkeyPatch, choice: str) -> nodes.document:
    monkeypatch.setenv(solutions.VARIABLE, choice)
    document = page()
    solutions.apply(None, document, "page")
    return document


def test_a_folded_solution_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [fold["prompt_show"] for fold in applied(monkeypatch, "").findall(HideCodeCellNode)]
    assert prompts == ["Show the solution", "Show code cell source"]


@pytest.mark.parametrize(("choice", "there"), [("shown", True), ("none", False)])
def test_a_solution_is_shown_or_left_out(
    monkeypatch: pytest.MonkeyPatch, choice: str, there: bool
) -> None:
    document = applied(monkeypatch, choice)
    block = next(document.findall(nodes.literal_block))
    assert ("return 2 * x" in block.astext()) is there
    assert (STUB in block.astext()) is not there
    assert block.rawsource == block.astext(), "Sphinx colors only code that it knows the source of"
    assert not isinstance(block.parent, HideCodeCellNode)
    assert len(list(document.findall(HideCodeCellNode))) == 1


def test_an_unknown_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(solutions.VARIABLE, "hidden")
    with pytest.raises(SystemExit, match="folded, shown, none"):
        solutions.chosen()
