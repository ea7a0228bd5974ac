"""Solutions on the pages: folded, shown, or left out (``make book SOLUTIONS=none``)."""

from __future__ import annotations

import os

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx

from tools.notebooks import SOLUTION, without_solution

CHOICES = ("folded", "shown", "none")
VARIABLE = "SOLUTIONS"  # not LASOFTMOE_…: those decide whether notebooks run again


def chosen() -> str:
    """Return what the environment asks for: ``"folded"`` unless it says otherwise.

    Raises:
        SystemExit: It names something else.
    """
    choice = os.environ.get(VARIABLE) or "folded"
    if choice not in CHOICES:
        raise SystemExit(f"SOLUTIONS={choice}: expected one of {', '.join(CHOICES)}")
    return choice


def apply(app: Sphinx, document: nodes.document, page: str) -> None:
    """Treat every folded cell of a page that holds a solution as chosen."""
    choice = chosen()
    for fold in list(document.findall(HideCodeCellNode)):
        blocks = [block for block in fold.findall(nodes.literal_block) if _holds_solution(block)]
        if not blocks:
            continue
        if choice == "folded":
            fold["prompt_show"], fold["prompt_hide"] = "Show the solution", "Hide the solution"
            continue
        if choice == "none":
            for block in blocks:
                code = without_solution(block.astext())
                block.rawsource, block.children = code, [nodes.Text(code)]
        fold.replace_self(fold.children)


def _holds_solution(block: nodes.literal_block) -> bool:
    return bool(SOLUTION.search(block.astext()))
