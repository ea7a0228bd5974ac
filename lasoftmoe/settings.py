"""Types for settings: frozen dataclasses that check their values when they are created.

A field's type says which values are allowed: ``Literal`` lists choices, and the types below bound
numbers. Any other value raises pydantic's ``ValidationError``, a ``ValueError`` that names the
field, the value, and what is allowed.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Interval
from pydantic import ConfigDict, ValidationError

CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Argument of ``pydantic.dataclasses.dataclass(frozen=True, config=CHECKED)``."""

Count = Annotated[int, Ge(1)]
"""A whole number of at least 1."""
NonNegativeCount = Annotated[int, Ge(0)]
"""A whole number of at least 0."""
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]


def explain(error: ValidationError, where: str = "") -> str:
    """Return one line for each wrong value: its field, the value, and what was expected."""
    lines = []
    for problem in error.errors():
        path = ".".join(str(part) for part in (where, *problem["loc"]) if part != "")
        if problem["type"] == "unexpected_keyword_argument":
            lines.append(f"{path} is not a field")
        elif problem["type"] == "missing":
            lines.append(f"{path} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{path} is {repr(problem['input'])[:80]}: {message}")
    return "; ".join(lines)
