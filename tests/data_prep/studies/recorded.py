"""Recorded figures without the package that trains: plain JSON with an origin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "lasoftmoe" / "records" / "data"


def read_record(name: str) -> dict[str, Any]:
    record = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert {"date", "commit", "command", "hardware", "versions", "seed"} <= set(record)
    assert len(record["commit"]) == 40
    return record
