"""Analysis files, written before a recording: what is run, compared, and concluded.

``studies/<name>.yaml`` holds the plan of the record ``<name>``. A record made under it has the
field ``plan`` with the SHA-256 digest of the file (:func:`plan_fields`), so a plan that was changed
after its recording is noticed (:func:`require_plan`). A record without that field is older than the
plan, which names its day in ``replaces``. What was done differently is listed in
``studies/deviations/<name>.yaml``, a list of :class:`Deviation`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from data_prep.provenance import file_hash
from lasoftmoe.settings import explain

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
STRICT = ConfigDict(extra="forbid", frozen=True)
Checked = TypeVar("Checked")


class PlanError(ValueError):
    """An analysis file that cannot be read, or a record that does not fit its plan."""


class Comparison(BaseModel):
    """One comparison: which two, by which number, with which interval."""

    model_config = STRICT
    first: Text
    second: Text
    statistic: Text
    interval: Text


class Conclusion(BaseModel):
    """What will be said if something comes out."""

    model_config = STRICT
    outcome: Text
    verdict: Text


class Deviation(BaseModel):
    """What was done differently, and why."""

    model_config = STRICT
    date: date
    change: Text
    reason: Text


class Plan(BaseModel):
    """A plan.

    Attributes:
        question: What is asked.
        decided: Day on which the plan was fixed.
        replaces: Day of a record from before the plan, which the recording under it replaces.
        run: The commands that make the record.
        seeds: How many seeds, and which other draws.
        compare: The comparisons, decided before anything is measured.
        conclude: A sentence for each outcome, with one for an open interval.
        not_shown: What the study cannot show, whatever comes out.
    """

    model_config = STRICT
    question: Text
    decided: date
    replaces: date | None = None
    run: list[Text]
    seeds: Text
    compare: list[Comparison]
    conclude: list[Conclusion]
    not_shown: list[Text]


def read_plan(path: Path) -> Plan:
    """Read and check an analysis file.

    Raises:
        PlanError: It is missing, or a field is wrong. The message names file and field.
    """
    plan = _read(path, Plan)
    for name in ("run", "compare", "conclude", "not_shown"):
        if not getattr(plan, name):
            raise PlanError(f"{path}: {name} is empty; a plan says it before anything is measured")
    return plan


def read_deviations(name: str, folder: Path) -> list[Deviation]:
    """Return what was done differently from the plan ``name`` in ``folder``; most often nothing.

    Raises:
        PlanError: A field is wrong.
    """
    path = folder / "deviations" / f"{name}.yaml"
    return _read(path, list[Deviation]) if path.exists() else []


def plan_fields(path: Path) -> dict[str, Any]:
    """Return what a record made under a plan carries: ``{"plan": {"file", "sha256"}}``.

    Raises:
        PlanError: As in :func:`read_plan`.
    """
    read_plan(path)
    return {"plan": {"file": path.name, "sha256": file_hash(path)}}


def require_plan(fields: dict[str, Any], folder: Path) -> Plan:
    """Return the plan of a record's ``plan`` field, read from ``folder``.

    Raises:
        PlanError: The plan is missing, or it is not the one that was hashed into the record.
    """
    path = folder / fields["file"]
    plan = read_plan(path)
    if file_hash(path) != fields["sha256"]:
        raise PlanError(
            f"{path} is not the file that the record was made under; restore it, and list what was "
            f"done differently in {folder / 'deviations' / path.name}"
        )
    return plan


def _read(path: Path, kind: type[Checked]) -> Checked:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise PlanError(f"{path}: {explain(error)}") from error
