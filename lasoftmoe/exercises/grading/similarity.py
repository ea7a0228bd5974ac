"""Answers that look alike: the same structure, or many of the same pieces.

Only answers of several statements count: anyone who writes ``logits.softmax(dim=1)`` writes what
everybody writes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

FEWEST_STATEMENTS = 6
ALIKE = 0.6
PIECE = 5


@dataclass(frozen=True)
class Pair:
    """Two students whose answers to a question look alike.

    Attributes:
        same_structure: whether they are equal but for names, numbers' spelling and comments.
        overlap: share of common pieces of five syntax elements (Jaccard index).
    """

    function: str
    first: str
    second: str
    same_structure: bool
    overlap: float


class _Names(ast.NodeTransformer):
    """Numbers names in the order in which they appear, and drops docstrings."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _rename(self, name: str) -> str:
        return self.names.setdefault(name, f"name{len(self.names)}")

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._rename(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg, node.annotation = self._rename(node.arg), None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)


def find_alike(answers: Mapping[str, Mapping[str, str]]) -> list[Pair]:
    """Return pairs of similar answers, the most similar first.

    Args:
        answers: student -> function -> source of the cell.
    """
    shapes = {
        (student, function): shape
        for student, sources in answers.items()
        for function, source in sources.items()
        if (shape := _shape(source)) is not None
    }
    found = []
    for (one, first), (other, second) in combinations(sorted(shapes.items()), 2):
        if one[1] != other[1]:
            continue
        overlap = _overlap(first, second)
        if first == second or overlap >= ALIKE:
            found.append(Pair(one[1], one[0], other[0], first == second, round(overlap, 3)))
    return sorted(found, key=lambda pair: (-pair.overlap, pair.function, pair.first, pair.second))


def _shape(source: str) -> tuple[str, ...] | None:
    """The syntax elements of an answer in order, or None where it is short or no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    if sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) <= FEWEST_STATEMENTS:
        return None  # the definition itself is one
    tree = _Names().visit(tree)
    return tuple(_element(node) for node in ast.walk(tree))


def _element(node: ast.AST) -> str:
    inside = [
        value for _, value in ast.iter_fields(node) if isinstance(value, str | int | float | bool)
    ]
    return " ".join([type(node).__name__, *map(str, inside)])


def _overlap(first: Sequence[str], second: Sequence[str]) -> float:
    pieces = [
        {tuple(shape[i : i + PIECE]) for i in range(max(1, len(shape) - PIECE + 1))}
        for shape in (first, second)
    ]
    return len(pieces[0] & pieces[1]) / len(pieces[0] | pieces[1])
