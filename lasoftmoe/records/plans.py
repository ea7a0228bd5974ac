"""Analysis files, written before a recording: what is run, compared, and concluded.

``studies/<name>.yaml`` holds a plan. A record made under it carries :func:`plan_fields`, with a
hash of everything in the plan but its deviations. So a plan that changes after its recording is
noticed, and what was done differently is listed in ``deviations`` instead.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from lasoftmoe.settings import explain

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
STRICT = ConfigDict(extra="forbid", frozen=True)


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
        run: The commands that make the record.
        seeds: How many seeds, and which other draws.
        compare: The comparisons, decided before anything is measured.
        conclude: A sentence for each outcome, with one for an open interval.
        not_shown: What the study cannot show, whatever comes out.
        deviations: What was done differently; not part of the hash.
    """

    model_config = STRICT
    question: Text
    decided: date
    run: list[Text]
    seeds: Text
    compare: list[Comparison]
    conclude: list[Conclusion]
    not_shown: list[Text]
    deviations: list[Deviation] = []


def read_plan(path: Path) -> Plan:
    """Read and check an analysis file.

    Raises:
        PlanError: It is missing, or a field is wrong. The message names file and field.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise PlanError(f"{path} is a {type(content).__name__}; expected fields such as question")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        raise PlanError(f"{path}: {explain(error)}") from error
    for name in ("run", "compare", "conclude", "not_shown"):
        if not getattr(plan, name):
            raise PlanError(f"{path}: {name} is empty; a plan says it before anything is measured")
    return plan


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 digest of a plan without its deviations, in hexadecimal."""
    fixed = plan.model_dump(mode="json", exclude={"deviations"})
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def plan_fields(path: Path) -> dict[str, Any]:
    """Return what a record made under a plan carries: ``{"plan": {"name", "sha256"}}``."""
    return {"plan": {"name": path.stem, "sha256": plan_hash(read_plan(path))}}


def require_plan(fields: dict[str, Any], folder: Path) -> Plan:
    """Return the plan of a record's ``plan`` field, read from ``folder``.

    Raises:
        PlanError: The plan is missing, or it is not the one that was hashed into the record.
    """
    path = folder / f"{fields['name']}.yaml"
    plan = read_plan(path)
    if plan_hash(plan) != fields["sha256"]:
        raise PlanError(
            f"{path} is not the plan that the record was made under; restore it, and list what was "
            "done differently in deviations"
        )
    return plan
