"""What every recorded benchmark says of itself, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lasoftmoe import provenance


def origin(module: str, given: Sequence[str]) -> dict[str, Any]:
    """Date, commit, command, hardware and versions; ``given`` are the command's arguments.

    Where the record is written to is left out of the command: it changes nothing in it.
    """
    words = list(given)
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": provenance.commit(),
        "command": " ".join([f"python -m benchmarks.{module}", *words]),
        "hardware": provenance.hardware(),
        "versions": provenance.versions(),
    }


def verdict(target: dict[str, Any]) -> str:
    """One line on a target: what was measured, the bar, and whether it was met."""
    bar = f">= {target['at_least']}" if "at_least" in target else f"<= {target['at_most']}"
    word = "met" if target["met"] else "MISSED"
    return f"{target['target']}: {target['measured']:.2f} ({bar}) {word}"


def publish(record: dict[str, Any], text: str, path: Path | None) -> None:
    """Print a record as ``text`` says it, and write it where ``path`` names a file."""
    print(text)
    if path:
        write(record, path)


def write(record: dict[str, Any], path: Path) -> None:
    """Write a record as JSON, in one step."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    part.replace(path)
