"""The claims of the paper in ``book/claims.yaml``, each with its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from lasoftmoe.settings import explain

FILE = Path(__file__).resolve().parent.parent.parent / "book" / "claims.yaml"

Verdict = Literal[
    "holds",
    "holds, with condition",
    "contradicted",
    "not shown here",
    "untestable here",
    "silent",
    "not yet treated",
]
Kind = Literal["formula", "mechanism", "data", "number", "figure", "literature", "hearsay"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
KINDS: tuple[Kind, ...] = get_args(Kind)
MEANINGS: dict[Verdict, str] = {
    "holds": "We checked it, and it is so.",
    "holds, with condition": "It is so under a condition that the paper does not state.",
    "contradicted": "Arithmetic, the paper itself, or our tensors say otherwise.",
    "not shown here": "We measured it here, and our measurements do not show it.",
    "untestable here": "It needs the licensed data or the authors' code, or it is an opinion.",
    "silent": "The paper leaves it open, and we had to choose.",
    "not yet treated": "It can be tested here, and nobody has yet.",
}
CONDITION: Verdict = "holds, with condition"
UNGUARDED: tuple[Verdict, ...] = ("untestable here", "silent", "not yet treated")
"""Verdicts that need no test: nothing was measured."""
OWN_TEST = "tests/tools/claims/test_ledger.py::test_the_committed_ledger_has_no_problems"
"""Test of the ledger itself. Without ``expects`` it holds whatever a record says."""
Outcome = Literal["open", "below zero", "above zero", "not below 0.95", "not above 1.05"]

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-G][1-9][0-9]?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
Section = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+: .+$")]
Test = Annotated[str, StringConstraints(pattern=r"^tests/.+\.py::\w+$")]


class LedgerError(ValueError):
    """A ledger that cannot be read. The message names line, claim, field, and what to write."""


class Claim(BaseModel):
    """One claim and what became of it.

    Attributes:
        id: Letter of its group and number, such as "A3".
        claim: The paper's words in quotation marks, or its formula in short.
        place: Where the paper says it.
        kind: What is claimed about; see :data:`KINDS`.
        verdict: One of the seven :data:`VERDICTS`.
        finding: What was found. It holds no recorded number: it names one as
            ``{value}`...```, which the build replaces (see ``tools.values``).
        condition: Under which condition it holds, with that verdict only.
        section: Page and heading where the book treats it, such as "06_soft_moe: What it costs".
        tests: Tests that guard the verdict, as pytest names them.
        record: Record that the verdict rests on.
        plan: Analysis file in ``studies`` that is going to settle it.
        numbers: Source of each decimal number that the entry quotes, as ``tools.values`` names it.
        expects: What the interval or ratio of a record must be for the verdict to stand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Id
    claim: Text
    place: Text
    kind: Kind
    verdict: Verdict
    finding: Text
    condition: Text | None = None
    section: Section
    tests: list[Test] = []
    record: Name | None = None
    plan: Name | None = None
    numbers: dict[str, Text] = {}
    expects: dict[str, Outcome] = {}

    @model_validator(mode="after")
    def _fields_fit_the_verdict(self) -> Claim:
        if (self.condition is not None) != (self.verdict == CONDITION):
            raise ValueError(f"a condition belongs to the verdict {CONDITION!r} and to no other")
        prose_only = self.kind in ("literature", "hearsay")
        if not self.tests and self.verdict not in UNGUARDED and not prose_only:
            raise ValueError(f"the verdict {self.verdict!r} needs a test that guards it")
        if self.tests == [OWN_TEST] and not self.expects:
            raise ValueError("the ledger's own test guards nothing without expects; add that field")
        return self

    @property
    def is_hearsay(self) -> bool:
        """Whether the sentence is about the paper and not in it."""
        return self.kind == "hearsay"

    @property
    def page(self) -> str:
        """Page that treats the claim, without suffix."""
        return self.section.partition(": ")[0]

    @property
    def heading(self) -> str:
        """Heading on that page."""
        return self.section.partition(": ")[2]

    @property
    def prose(self) -> str:
        """All of the entry's own words."""
        return "\n".join(filter(None, (self.claim, self.condition, self.finding)))


def read_ledger(path: Path = FILE) -> list[Claim]:
    """Read and check the ledger.

    Raises:
        LedgerError: The file is missing or no list of claims, a field is wrong, or two claims
            share an id.
    """
    claims = [_claim(path, line, entry) for line, entry in _entries(path)]
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise LedgerError(f"{path}: two claims have the id {claim.id}; give one another number")
        seen.add(claim.id)
    return claims


def _entries(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each entry with the line at which it starts."""
    try:
        text = path.read_text("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        entries = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LedgerError(f"{path} cannot be read: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise LedgerError(f"{path} is a {type(entries).__name__}; expected a list of claims")
    for node, entry in zip(root.value, entries, strict=True):
        _require_single_keys(path, node)
        yield node.start_mark.line + 1, entry


def _require_single_keys(path: Path, node: yaml.Node) -> None:
    """Refuse a key that is there twice, of which YAML would silently keep the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    keys = [key.value for key, _ in node.value]
    for key in {key for key in keys if keys.count(key) > 1}:
        line = node.start_mark.line + 1
        raise LedgerError(f"{path}, claim at line {line}: the field {key} is there twice")


def _claim(path: Path, line: int, entry: Any) -> Claim:
    where = f"{path}, line {line}"
    if not isinstance(entry, dict):
        raise LedgerError(f"{where}: {entry!r} is no claim; expected fields such as id and verdict")
    try:
        return Claim.model_validate(entry)
    except ValidationError as error:
        name = entry.get("id", "claim without id")
        raise LedgerError(f"{where}, {name}: {explain(error)}") from error
