"""Origin and output of recorded benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.provenance import Origin
from lasoftmoe.records.recorded import write_recorded


def origin(module: str, given: Sequence[str]) -> dict[str, Any]:
    """Return a record's origin fields; ``given`` are the arguments of ``benchmarks.module``.

    The command leaves out ``--out FILE``, because it does not change the results.
    """
    options = list(given)
    if "--out" in options:
        at = options.index("--out")
        del options[at : at + 2]
    return Origin.now(" ".join([f"python -m benchmarks.{module}", *options])).to_dict()


def verdict(target: dict[str, Any]) -> str:
    """Return one line about a target: its measurement, its limit, and whether it was met."""
    limit = f">= {target['at_least']}" if "at_least" in target else f"<= {target['at_most']}"
    outcome = "met" if target["met"] else "MISSED"
    return f"{target['target']}: {target['measured']:.2f} ({limit}) {outcome}"


def publish(record: dict[str, Any], text: str, path: Path | None) -> None:
    """Print ``text``, and write the record to ``path`` if it is given.

    Raises:
        RecordError: The record has no valid origin; nothing is written.
    """
    print(text)
    if path:
        write_recorded(record, path)
