"""Recorded results: measured once, stored in ``records/data/<name>.json``, read from there.

Every file has an :class:`~data_prep.provenance.Origin`: date, commit, command, hardware, and
versions. A file of trained runs (see ``lasoftmoe.records.from_runs``) also has each run's report,
learning curve, and cost, the dataset's checksum, and intervals. A file of a benchmark or a study
has any other keys. :func:`read_recorded` checks a file before anyone shows its results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from data_prep.atomic import write_atomically
from data_prep.provenance import Origin
from data_prep.reading import read_json
from lasoftmoe.metrics.intervals import Interval

FOLDER = Path(__file__).parent / "data"
METRICS = ("acer", "auc")
"""Metrics that have intervals and differences."""
REPROCESSED_GAP = "reprocessed_gap"
"""BPCER of re-processed live images minus BPCER of clean ones, where re-processing is known."""
REPORTED = ("acer", "acer_worst", "acc", "auc", "eer", "apcer", "bpcer", "tpr_at_1_percent_fpr")

RATE = pa.Column(float, pa.Check.between(0, 1))
TABLE_SCHEMA = pa.DataFrameSchema(
    {
        "row": pa.Column(str),
        "seed": pa.Column(int, pa.Check.ge(0)),
        **dict.fromkeys(REPORTED, RATE),
        **{f"dev_{name}": RATE for name in METRICS},
        "threshold_source": pa.Column(str, pa.Check(lambda names: names.str.startswith("dev"))),
        "train_seconds": pa.Column(float, pa.Check.ge(0)),
        "train_cpu_seconds": pa.Column(float, pa.Check.ge(0)),
        "steps": pa.Column(int, pa.Check.ge(0)),
        "run": pa.Column(str),
        "commit": pa.Column(str, pa.Check.str_matches("^[0-9a-f]{40}$"), nullable=True),
        "curve": pa.Column(
            object, pa.Check(lambda c: len(c["step"]) == len(c["loss"]), element_wise=True)
        ),
    },
    unique=["row", "seed"],
)
INTERVAL_SCHEMA = pa.DataFrameSchema(
    {
        "row": pa.Column(str),
        "metric": pa.Column(str, pa.Check.isin((*METRICS, REPROCESSED_GAP))),
        "seeds": pa.Column(object, pa.Check(lambda seeds: len(seeds) > 0, element_wise=True)),
        **{name: pa.Column(float, pa.Check.between(-1, 1)) for name in ("estimate", "low", "high")},
    },
    checks=pa.Check(lambda table: table["low"] <= table["high"]),
)


class RecordError(ValueError):
    """A recorded file that is missing or breaks the schema."""


@dataclass(frozen=True)
class Recorded:
    """A checked record.

    Attributes:
        name: The file's name without its ending.
        origin: Where the results come from.
        table: One row for each run; empty for files without runs. Columns: row (the method),
            seed, acer, acc, auc, eer, and other metrics of the test split, dev_acer, dev_auc,
            train_cpu_seconds, parameters, curve (step, loss), apcer_per_type, auc_per_type,
            live_rejected (by nuisance).
        intervals: Columns row, metric (acer, auc, and reprocessed_gap where it is known how live
            images were re-processed), seeds, estimate, low, high. The intervals are over test
            subjects and seeds.
        differences: The same columns for a row minus the row ``facts["reference"]``, paired, for
            all seeds together and for each seed alone. ``seeds`` lists the row's seeds.
        facts: Everything else in the file.
    """

    name: str
    origin: Origin
    table: pd.DataFrame
    intervals: pd.DataFrame
    differences: pd.DataFrame
    facts: dict[str, Any]

    @property
    def source(self) -> str:
        """Label to show next to these results, such as "recorded: laptop, 2026-11-22, 5 seeds"."""
        day, seeds = self.origin.date[:10], ""
        if len(self.table):
            counts = self.table.groupby("row")["seed"].nunique()
            least, most = counts.min(), counts.max()
            number = f"{least} to {most}" if least < most else str(most)
            seeds = f", {number} seed{'s' if most > 1 else ''}"
        preset = f"{self.facts['preset']}, " if "preset" in self.facts else ""
        return f"recorded: {preset}{day}{seeds}"

    def difference(self, row: str, metric: str = "acer", seed: int | None = None) -> Interval:
        """Return a row's difference from the reference row, for one seed or all seeds together.

        Raises:
            KeyError: No such difference was recorded.
        """
        table = self.differences
        table = table[(table["row"] == row) & (table["metric"] == metric)]
        if seed is not None:
            table = table[[seeds == [seed] for seeds in table["seeds"]]]
        if table.empty:
            raise KeyError(f"{self.name}: no difference in {metric} of {row!r}, seed {seed}")
        found = table.loc[table["seeds"].map(len).idxmax()]
        return Interval(found["estimate"], found["low"], found["high"])


def recorded_names(folder: Path = FOLDER) -> list[str]:
    """Return the names that :func:`read_recorded` takes."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read_recorded(name: str, folder: Path = FOLDER) -> Recorded:
    """Read and check a recorded file; the default folder holds the records of the package.

    Raises:
        RecordError: The file is missing or breaks the schema. The message names the place.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        raise RecordError(f"no {path}; recorded are {', '.join(recorded_names(folder)) or 'none'}")
    try:
        return parse_record(name, read_json(path))
    except ValueError as error:
        raise RecordError(f"{path}: {error}") from error


def write_recorded(record: Mapping[str, Any], path: Path) -> Recorded:
    """Check a record and write it to ``path`` as JSON, in one step.

    Put a file into ``lasoftmoe/records/data`` to ship it with the package.

    Args:
        record: The fields of an :class:`~data_prep.provenance.Origin`, and the results. With a
            key ``runs``, it must have all keys of ``lasoftmoe.records.from_runs.runs_record``.

    Raises:
        RecordError: The record breaks the schema; nothing is written.
    """
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    recorded = parse_record(path.stem, json.loads(text))
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return recorded


def parse_record(name: str, record: Mapping[str, Any]) -> Recorded:
    """Check the content of a recorded file called ``name``.

    Raises:
        RecordError: The content breaks the schema.
    """
    try:
        return _parsed(name, dict(record))
    except (ValueError, KeyError, TypeError, pa.errors.SchemaError) as error:
        raise RecordError(f"{type(error).__name__} in record {name!r}: {error}") from error


def _parsed(name: str, facts: dict[str, Any]) -> Recorded:
    made = {field.name: facts.pop(field.name) for field in fields(Origin) if field.name in facts}
    origin = Origin(**made)
    if "runs" not in facts:
        empty = pd.DataFrame()
        return Recorded(name, origin, empty, empty, empty, facts)
    table = pd.DataFrame([_row(entry) for entry in facts.pop("runs")])
    table = TABLE_SCHEMA.validate(table)
    parts = {key: _parsed_intervals(key, facts, table) for key in ("intervals", "differences")}
    if facts["reference"] not in set(table["row"]):
        raise RecordError(f"the reference {facts['reference']!r} has no runs")
    if not facts["dataset"]["checksum"]:
        raise RecordError("no checksum of the dataset")
    return Recorded(name, origin, table, **parts, facts=facts)


def _parsed_intervals(key: str, facts: dict[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    intervals = pd.DataFrame(facts.pop(key), columns=list(INTERVAL_SCHEMA.columns))
    if len(intervals):  # an empty table has no types to check
        INTERVAL_SCHEMA.validate(intervals)
    unknown = set(intervals["row"]) - set(table["row"])
    if unknown:
        raise RecordError(f"{key} of rows without runs: {', '.join(sorted(unknown))}")
    return intervals


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Entry of ``runs`` as a row of ``Recorded.table``."""
    row = {key: value for key, value in entry.items() if key not in ("test", "dev")}
    test, dev = entry["test"], entry["dev"]
    row |= {name: test[name] for name in REPORTED} | {f"dev_{name}": dev[name] for name in METRICS}
    row["threshold_source"] = test["threshold_source"]
    row["apcer_per_type"] = test["apcer_per_type"]
    return row
