"""The figures that the paper reports, from one file, each with its place in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pandas as pd
import yaml

from lasoftmoe.paths import PACKAGE


@dataclass(frozen=True)
class Reported:
    """One table of the paper: ``figures`` in percent (Table 1: images), one row a method.

    ``place`` says where it stands in the paper, ``data`` what it was measured on.
    """

    place: str
    data: str
    figures: pd.DataFrame

    @property
    def source(self) -> str:
        """What to write beside these figures wherever they are shown."""
        return f"reported by the paper, {self.place}"


def reported_tables() -> list[str]:
    """Names that :func:`reported` takes."""
    return list(_tables())


def reported(table: str) -> Reported:
    """A table of the paper, such as ``reported("table6").figures.loc["vanilla CLIP", "ACER"]``.

    Raises:
        KeyError: a table that the paper does not have, or that holds no figures.
    """
    if table not in _tables():
        raise KeyError(f"no figures for {table!r}; there are {', '.join(_tables())}")
    entry = _tables()[table]
    figures = pd.DataFrame.from_dict(entry["rows"], orient="index", columns=entry["columns"])
    return Reported(entry["place"], entry["data"], figures)


@cache
def _tables() -> dict:
    return yaml.safe_load((PACKAGE / "records" / "reported.yaml").read_text("utf-8"))
