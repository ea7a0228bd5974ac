"""Answers in a student's notebook: found by the name of the function, then by the cell's id.

Nothing here runs a student's code. It is parsed only.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
MOST_BYTES = 20_000_000


class NotebookError(ValueError):
    """A file that is no notebook, with what was expected."""


@dataclass(frozen=True)
class Code:
    """A code cell of a student.

    Attributes:
        id: the cell's id, or "" where another editor dropped it.
        source: its text without IPython's magic lines.
        defines: names that it sets.
        uses: names that it reads.
    """

    id: str
    source: str
    defines: frozenset[str]
    uses: frozenset[str]


@dataclass(frozen=True)
class Answer:
    """A student's answer to one question: its cell, and the cells that it needs."""

    source: str
    needs: tuple[str, ...]


def read_cells(data: bytes) -> list[Code]:
    """Return the code cells of a notebook.

    Raises:
        NotebookError: The bytes are not a notebook.
    """
    if len(data) > MOST_BYTES:
        raise NotebookError(f"expected at most {MOST_BYTES:,} bytes, got {len(data):,}")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        return [_code(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotebookError(f"not a notebook (.ipynb, nbformat 4): {error}") from None


def _code(cell: dict[str, object]) -> Code:
    lines = cell["source"]
    text = lines if isinstance(lines, str) else "".join(map(str, lines))  # type: ignore[arg-type]
    text = MAGIC.sub(r"\1pass", text)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return Code(str(cell.get("id", "")), text, frozenset(), frozenset())
    return Code(str(cell.get("id", "")), text, _names_set(tree), _names_read(tree))


def _names_set(tree: ast.Module) -> frozenset[str]:
    """Names that a cell sets at its top level, ``*`` for a star import."""
    found: set[str] = set()
    for node in _outside_functions(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def _outside_functions(tree: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            found += _outside_functions(node)
    return found


def _names_read(tree: ast.Module) -> frozenset[str]:
    return frozenset(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def find_answer(cells: Sequence[Code], function: str, cell_id: str = "") -> Answer | None:
    """Return the answer that defines ``function``, else the cell with an id, else None.

    Of several cells that define it, the last one that is more than the stub counts.
    """
    written = re.compile(rf"^(def|class) {re.escape(function)}\b", re.MULTILINE)
    found = [cell for cell in cells if function in cell.defines or written.search(cell.source)]
    found = found or [cell for cell in cells if cell_id and cell.id == cell_id]
    if not found:
        return None
    tried = [cell for cell in found if "raise NotImplementedError" not in cell.source]
    cell = (tried or found)[-1]
    return Answer(cell.source, tuple(one.source for one in _needed(cells, cell)))


def _needed(cells: Sequence[Code], answer: Code) -> list[Code]:
    """The cells that set the names which the answer reads, and so on, in their order.

    Other cells are not run: a loop without an end in one answer costs that answer only, and a cell
    that only replaces the checks does nothing.
    """
    wanted, chosen, grown = set(answer.uses), {answer}, True
    while grown:
        more = {
            cell
            for cell in cells
            if cell not in chosen and (cell.defines & wanted or "*" in cell.defines)
        }
        grown = bool(more)
        chosen |= more
        wanted |= {name for cell in more for name in cell.uses}
    return [cell for cell in cells if cell in chosen and cell != answer]


# An import may stand in another cell than the answer, so uses of what it brings count, too. `naive`
# alone is a name that students give to their own variables.
PACKAGE_ANSWERS = re.compile(
    r"lasoftmoe\.exercises|\bch\d\d\.|\bmoe\.naive\b|\bimport\b.*\bnaive\b|\bnaive\.\w*soft_moe\b"
)


def reads_package_answers(source: str) -> bool:
    """Return whether an answer mentions modules of the package in which right answers stand."""
    return PACKAGE_ANSWERS.search(source) is not None
