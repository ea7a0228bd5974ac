"""Numbers that pages quote, looked up in records and in the paper's tables.

A page never holds a recorded number itself. It names one, such as
``difference table6 soft_moe acer``, and gets its text when the book is built. The first word is a
name in :data:`VALUES`; the others are its arguments, quoted as in a shell.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lasoftmoe.metrics.intervals import Interval
from lasoftmoe.metrics.superiority import probability_better
from lasoftmoe.records.recorded import Recorded, read_recorded, recorded_names
from lasoftmoe.records.reported import reported

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "studies"
PENDING = "not recorded yet"
"""Text of a number whose record has an analysis file in ``studies`` but was not made yet."""


class UnknownValue(ValueError):
    """A number that no record and no table of the paper holds."""


class NotRecorded(Exception):
    """A number of a study that is planned and not recorded yet."""


def text_of(expression: str) -> str:
    """Return the text of a number, such as ``"-0.1 [-1.2, 0.9]"``.

    Raises:
        UnknownValue: The function, the record, the row, or the key does not exist, or a quote is
            left open.
    """
    try:
        found = value_of(expression)
    except NotRecorded:
        return PENDING
    text = found if isinstance(found, str) else _plain(found)
    return re.sub(r"-(0\.0+)(?!\d)", r"\1", text)  # a rounded zero has no sign


def value_of(expression: str) -> Interval | float | str:
    """Return the value of an expression: an interval, a number, or a text.

    Raises:
        UnknownValue: As in :func:`text_of`.
        NotRecorded: The record is planned and not made yet.
    """
    try:
        name, *arguments = shlex.split(expression) or [""]
    except ValueError as error:
        raise UnknownValue(f"{expression!r}: {error}; close every quote") from error
    function = VALUES.get(name)
    if function is None:
        raise UnknownValue(f"{expression!r}: no value {name!r}; known: {', '.join(VALUES)}")
    try:
        inspect.signature(function).bind(*arguments)
        return function(*arguments)
    except UnknownValue as error:
        raise UnknownValue(f"{expression!r}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnknownValue(f"{expression!r}: {type(error).__name__}: {error}") from error


def record(name: str) -> Recorded:
    """Return a record of the package.

    Raises:
        UnknownValue: There is none, and no analysis file in ``studies`` announces it.
        NotRecorded: It is announced and not made yet.
    """
    if name in recorded_names():
        return read_recorded(name)
    if (STUDIES / f"{name}.yaml").exists():
        raise NotRecorded(name)
    raise UnknownValue(f"no record {name!r}; there are {', '.join(recorded_names())}")


def _reported(table: str, row: str, column: str) -> str:
    """Value of one cell of the paper's tables, with two decimals, as printed."""
    found = reported(table).results.loc[row, column]
    return f"{found:.2f}" if table != "table1" else f"{found:,}"


def solved_rates(acer: float, acc: float) -> tuple[float, float]:
    """Return APCER and BPCER that follow from ACER and ACC on the paper's test set, in percent.

    Attacks are pooled; the numbers of images come from Table 1.
    """
    test = reported("table1").results.loc["test"]
    share = 1 - test["live"] / test["total"]
    equations = np.array([[0.5, 0.5], [share, 1 - share]])
    apcer, bpcer = np.linalg.solve(equations, [acer, 100 - acc])
    return float(apcer), float(bpcer)


def _solved(table: str, row: str, rate: str) -> str:
    found = reported(table).results.loc[row]
    rates = dict(zip(("APCER", "BPCER"), solved_rates(found["ACER"], found["ACC"]), strict=True))
    return f"{rates[rate]:.2f}"


def _images(table: str, row: str, other: str, kind: str) -> str:
    """Images of one kind, live or attack, that make up the step in ACER between two rows."""
    results, test = reported(table).results, reported("table1").results.loc["test"]
    counts = {"live": test["live"], "attack": test["total"] - test["live"]}
    step = abs(results.loc[row, "ACER"] - results.loc[other, "ACER"])
    return f"{2 * step / 100 * counts[kind]:,.0f}"


def _difference(name: str, row: str, metric: str = "acer") -> Interval:
    """Difference of a row from the record's reference row, in points, with its interval."""
    return record(name).difference(row, metric)


def _runs(name: str, row: str = "") -> pd.DataFrame:
    table = record(name).table
    if row and row not in set(table["row"]):
        raise UnknownValue(f"no row {row!r}; there are {', '.join(table['row'].unique())}")
    return table[table["row"] == row] if row else table


def _mean(name: str, row: str, metric: str) -> str:
    """Mean of a metric over the seeds of a row, in percent."""
    return f"{100 * _runs(name, row)[metric].mean():.1f}"


def _better(name: str, row: str, other: str) -> str:
    """Probability that a run of one row has a smaller ACER than one of another row."""
    found = probability_better(*(_runs(name, x)["acer"].to_list() for x in (row, other)))
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _spread(name: str, metric: str) -> str:
    """Standard deviation over the seeds of one method, pooled over methods, in points."""
    groups = _runs(name).groupby("row")[metric]
    squares = groups.apply(lambda g: ((g - g.mean()) ** 2).sum()).sum()
    freedom = int((groups.size() - 1).sum())
    return f"{100 * (squares / freedom) ** 0.5:.1f}"


def _apart(name: str, metric: str) -> str:
    """Largest minus smallest mean of the rows, in points."""
    means = _runs(name).groupby("row")[metric].mean()
    return f"{100 * (means.max() - means.min()):.1f}"


def _in_order(name: str, metric: str, *rows: str) -> str:
    """Number of seeds in which the rows come in this order, from large to small."""
    table = _runs(name).pivot(index="row", columns="seed", values=metric).loc[list(rows)]
    found = int((table.diff().iloc[1:] < 0).all().sum())
    return f"{found} of {table.shape[1]}"


def _seeds(name: str) -> str:
    """Number of seeds of a record."""
    return str(_runs(name)["seed"].nunique())


def _trainings(name: str) -> str:
    """Number of runs of a record, and the minutes that they took together."""
    runs = _runs(name)
    return f"{len(runs)} trainings, {runs['train_seconds'].sum() / 60:.0f} minutes"


def _fact(name: str, *keys: str) -> str:
    """One entry of a record's own fields, followed by keys (a number is a place in a list)."""
    found: Any = record(name).facts
    for key in keys:
        found = found[key] if isinstance(found, Mapping) else found[int(key)]
    return found if isinstance(found, str) else _plain(found)


def _fact_interval(name: str, key: str) -> Interval:
    """A recorded interval of a study, in points."""
    return Interval(**record(name).facts[key])


def _space(space: str, statistic: str) -> str:
    """A statistic of ``benchmarks.premise``; over several seeds, the mean and the outer bounds."""
    rows = pd.DataFrame(record("premise").facts["spaces"])
    mine = rows[(rows["space"] == space) & (rows["statistic"] == statistic)]
    if mine.empty:
        raise UnknownValue(f"no {statistic!r} in the space {space!r}")
    estimate, low, high = mine["estimate"].mean(), mine["low"].min(), mine["high"].max()
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def _deviation(source: str) -> str:
    """Standard deviation of the ACER over the draws of one source, in points."""
    row = _row_of("variance", "sources", source=source)
    return f"{100 * row['deviation']:.2f} [{100 * row['low']:.2f}, {100 * row['high']:.2f}]"


def _row_of(name: str, entries: str, **wanted: str) -> dict[str, Any]:
    rows = [
        row
        for row in record(name).facts[entries]
        if all(str(row[key]) == value for key, value in wanted.items())
    ]
    if len(rows) != 1:
        raise UnknownValue(f"{len(rows)} entries of {entries} match {wanted}; expected one")
    return rows[0]


def _times(name: str, layer: str, other: str, passes: str = "train") -> float:
    """Time of one layer over that of another, from a record of ``benchmarks.moe``."""
    seconds = [_row_of(name, "layers", layer=x, passes=passes)["seconds"] for x in (layer, other)]
    return seconds[0] / seconds[1]


def _grown(name: str, sweep: str, size: str, layer: str, other: str) -> float:
    """Time of one layer over that of another at one size of a sweep of ``benchmarks.moe``."""
    rows = [_row_of(name, "growth", sweep=sweep, size=size, layer=x) for x in (layer, other)]
    return rows[0]["measured"] / rows[1]["measured"]


def _success(attack: str, network: str) -> str:
    """Share of accepted images that an adversarial attack turns away, in percent."""
    row = _row_of("attacks_transfer", "attacks", attack=attack, network=network)
    return f"{100 * row['success']:.1f}"


def _growth(column: str, rank: str = "") -> float:
    """Block with La-SoftMoE over plain block of ViT-B/16; ``rank`` is the adapter's width."""
    from lasoftmoe.moe import MoEConfig
    from lasoftmoe.moe.cost import block_cost, cost_table

    config = MoEConfig(kind="la", rank=int(rank) if rank else None)
    return 1 + float(
        cost_table(768, 197, config)[column].sum() / block_cost(768, 197)[column].sum()
    )


def _source(name: str) -> str:
    found = record(name)
    return f"{found.source}, {found.origin.hardware}"


def _command(name: str) -> str:
    return record(name).origin.command


def _claims(verdict: str = "") -> str:
    """Number of the paper's claims in the ledger, or of those with one verdict."""
    from tools.claims.ledger import VERDICTS, read_ledger

    if verdict not in ("", *VERDICTS):
        raise UnknownValue(f"no verdict {verdict!r}; known: {'; '.join(VERDICTS)}")
    mine = [claim for claim in read_ledger() if not claim.is_hearsay]
    return str(sum(verdict in ("", claim.verdict) for claim in mine))


def _hearsay() -> str:
    """Number of sentences in the ledger that circulate and are not the paper's."""
    from tools.claims.ledger import read_ledger

    return str(sum(claim.is_hearsay for claim in read_ledger()))


VALUES: dict[str, Callable[..., Interval | float | str]] = {
    "reported": _reported,
    "solved": _solved,
    "images": _images,
    "difference": _difference,
    "mean": _mean,
    "better": _better,
    "spread": _spread,
    "apart": _apart,
    "in_order": _in_order,
    "seeds": _seeds,
    "trainings": _trainings,
    "fact": _fact,
    "fact_interval": _fact_interval,
    "space": _space,
    "deviation": _deviation,
    "times": _times,
    "grown": _grown,
    "success": _success,
    "growth": _growth,
    "source": _source,
    "command": _command,
    "claims": _claims,
    "hearsay": _hearsay,
}
"""What a page may ask for, by name."""


def _plain(number: Interval | float) -> str:
    return str(number) if isinstance(number, Interval | int) else f"{number:.2f}"
