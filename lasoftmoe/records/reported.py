"""Results that the paper reports, read from ``reported.yaml``, each with its place in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

FILE = Path(__file__).with_name("reported.yaml")


@dataclass(frozen=True)
class Reported:
    """A table of the paper.

    Attributes:
        place: The table's place in the paper, such as "Table 6".
        data: The dataset and protocol of the results.
        results: One row for each method, in percent; Table 1 counts images.
    """

    place: str
    data: str
    results: pd.DataFrame

    @property
    def source(self) -> str:
        """Label to show next to these results, such as "reported by the paper, Table 6"."""
        return f"reported by the paper, {self.place}"


def reported(table: str) -> Reported:
    """Return a table of the paper.

    For example, ``reported("table6").results.loc["vanilla CLIP", "ACER"]`` is 0.91.

    Raises:
        KeyError: The paper has no such table of results.
    """
    if table not in _tables():
        raise KeyError(f"no results for {table!r}; there are {', '.join(_tables())}")
    entry = _tables()[table]
    results = pd.DataFrame.from_dict(entry["rows"], orient="index", columns=entry["columns"])
    return Reported(entry["place"], entry["data"], results)


@cache
def _tables() -> dict:
    return yaml.safe_load(FILE.read_text("utf-8"))
