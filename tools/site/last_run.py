"""When a chapter's code last ran, for how long, and with which versions, below its text."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

RUN_TIMES = Path(__file__).resolve().parent.parent.parent / "_build" / "run_times.json"
"""Written by ``tools.build_book`` before the pages."""
SHOWN = ("python", "lasoftmoe", "torch", "open_clip_torch", "numpy")


def add(page: str, context: dict[str, Any]) -> None:
    """Append the line to the body of a page that is a notebook."""
    told = sentence(page)
    if told and "body" in context:
        context["body"] += f'\n<p class="last-run">{escape(told)}</p>'


def sentence(page: str, path: Path = RUN_TIMES) -> str:
    """Return the line for a page; empty if it has no run, or one from before dates were kept."""
    if not path.exists():
        return ""
    for run in json.loads(path.read_text("utf-8")):
        if run["notebook"] == page and run.get("date"):
            versions = run["versions"]
            names = [f"{name} {versions[name]}" for name in SHOWN if name in versions]
            day, clock = run["date"][:10], run["date"][11:16]
            return f"Last run on {day} at {clock} UTC, {run['seconds']:.0f} s, {', '.join(names)}."
    return ""
