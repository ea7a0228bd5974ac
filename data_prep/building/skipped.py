"""The list of what was found and is not used: ``skipped.csv``, next to ``dataset.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from data_prep.atomic import write_atomically

SKIPPED = "skipped.csv"


def write_skipped(folder: Path, skipped: Iterable[tuple[str, str]]) -> list[str]:
    """Write path and reason of everything skipped; nothing where that is nothing.

    Returns:
        The file written, as ``clean_up`` takes it.
    """
    table = pd.DataFrame(skipped, columns=["file", "reason"])
    if table.empty:
        return []
    write_atomically(folder / SKIPPED, lambda path: table.to_csv(path, index=False))
    return [SKIPPED]
