"""What the ledger names: sections, tests, records, analysis files, and numbers.

:func:`problems` returns one line for each name that leads nowhere and each number that is not what
its source says.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lasoftmoe.metrics.intervals import Interval
from lasoftmoe.records.recorded import recorded_names
from tools.claims.ledger import Claim
from tools.values import STUDIES, NotRecorded, UnknownValue, text_of, value_of

ROOT = Path(__file__).resolve().parent.parent.parent
BOOK = ROOT / "book"
VALUE = re.compile(r"\{value\}`([^`]+)`")
MARKUP = re.compile(r"\{value\}`[^`]*`|`[^`]*`|\$[^$]*\$")
PLACE = re.compile(r"\b(?:Section|Eq\.|Equation|Figure|Table|Chapter)s? [\d.]+", re.IGNORECASE)
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)")
FENCE = re.compile(r"^(```+|~~~+|:::+).*?^\1", re.MULTILINE | re.DOTALL)


def problems(claims: Iterable[Claim]) -> list[str]:
    """Return what is wrong with the names and numbers of the claims, one line each."""
    return [f"{claim.id}: {line}" for claim in claims for line in _problems(claim)]


def _problems(claim: Claim) -> Iterator[str]:
    yield from _missing_section(claim)
    yield from _missing_tests(claim.tests)
    if claim.record is not None and claim.record not in recorded_names():
        yield f"there is no record {claim.record!r}{_near(claim.record, recorded_names())}"
    if claim.plan is not None and not (STUDIES / f"{claim.plan}.yaml").exists():
        yield f"there is no analysis file studies/{claim.plan}.yaml"
    yield from _wrong_numbers(claim)
    yield from _other_outcomes(claim)


def headings(page: str) -> list[str]:
    """Return the headings of a page of the book, without markup; empty if there is no such page."""
    return list(_headings(page))


@cache
def _headings(page: str) -> tuple[str, ...]:
    notebook, text = BOOK / f"{page}.ipynb", BOOK / f"{page}.md"
    if notebook.exists():
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        source = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    elif text.exists():
        source = text.read_text("utf-8")
    else:
        return ()
    found = re.findall(r"^#{1,4} +(.+?) *$", FENCE.sub("", source), re.MULTILINE)
    return tuple(re.sub(r"[`*$]", "", heading) for heading in found)


def _missing_section(claim: Claim) -> Iterator[str]:
    known = headings(claim.page)
    if not known:
        yield f"the book has no page {claim.page!r}"
    elif claim.heading not in known:
        yield f"page {claim.page} has no heading {claim.heading!r}{_near(claim.heading, known)}"


def _missing_tests(tests: Iterable[str]) -> Iterator[str]:
    for test in tests:
        file, _, name = test.partition("::")
        known = _tests(ROOT / file)
        if not known:
            yield f"there is no file of tests {file}"
        elif name not in known:
            yield f"{file} has no test {name!r}{_near(name, known)}"


@cache
def _tests(path: Path) -> tuple[str, ...]:
    """Names of the tests and test classes in a file."""
    if not path.exists():
        return ()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, kinds)
    ]
    return tuple(name for name in found if name.startswith(("test_", "Test")))


def _wrong_numbers(claim: Claim) -> Iterator[str]:
    """Numbers that differ from their source, or that have none."""
    for expression in VALUE.findall(claim.prose):
        try:
            text_of(expression)
        except UnknownValue as error:
            yield f"{{value}} {error}"
    for number, expression in claim.numbers.items():
        try:
            found = text_of(expression)
        except UnknownValue as error:
            yield f"number {number}: {error}"
            continue
        if found != number:
            yield f"it quotes {number}, but {expression} is {found}"
    plain = PLACE.sub("", MARKUP.sub("", claim.prose))
    for number in dict.fromkeys(DECIMAL.findall(plain)):
        if number not in claim.numbers:
            yield f"the number {number} has no source: name it in numbers, or use {{value}}"


def _other_outcomes(claim: Claim) -> Iterator[str]:
    """Records that no longer say what the verdict rests on."""
    for expression, outcome in claim.expects.items():
        try:
            found = value_of(expression)
        except NotRecorded:
            continue
        except UnknownValue as error:
            yield f"expects: {error}"
            continue
        if not _is(found, outcome):
            yield f"{expression} is {found}, expected {outcome}: look at the verdict again"


def _is(found: Interval | float | str, outcome: str) -> bool:
    if isinstance(found, Interval):
        sides = {"below zero": found.high < 0, "above zero": found.low > 0}
        return sides.get(outcome, outcome == "open" and found.contains_zero)
    if isinstance(found, float):
        return {"not below 0.95": found >= 0.95, "not above 1.05": found <= 1.05}.get(
            outcome, False
        )
    return False


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
