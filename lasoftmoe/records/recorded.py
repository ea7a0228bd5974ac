"""Figures that were measured once and are kept: ``records/data/<name>.json``.

Every such file says where its figures come from: commit, date, command, hardware and versions
(:class:`Origin`). The files of trained runs (:func:`runs_record`) also hold each run's report,
learning curve, cost and the dataset's checksum, and the intervals that belong to them; the files
of benchmarks and sweeps hold what they like beside their origin. :func:`read_recorded` checks a
file before anyone shows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from data_prep.atomic import write_atomically
from lasoftmoe import metrics, provenance
from lasoftmoe.experiment import Run
from lasoftmoe.experiment.tables import Runs, Table
from lasoftmoe.metrics.intervals import Interval, bootstrap_interval, paired_difference
from lasoftmoe.paths import PACKAGE

FOLDER = PACKAGE / "records" / "data"
CURVE_POINTS = 40
METRICS = ("acer", "auc")
"""What intervals and differences are given for."""
REPROCESSED_GAP = "reprocessed_gap"
"""The BPCER of re-processed live images minus that of clean ones: an interval where it is known."""
REPORTED = ("acer", "acer_worst", "acc", "auc", "eer", "apcer", "bpcer", "tpr_at_1_percent_fpr")
OF_A_RUN = ("run", "date", "commit", "device", "threads", "steps", "train_seconds")
OF_A_RUN += ("train_cpu_seconds", "parameters")

RATE = pa.Column(float, pa.Check.between(0, 1))
TABLE_SCHEMA = pa.DataFrameSchema(
    {
        "row": pa.Column(str),
        "seed": pa.Column(int, pa.Check.ge(0)),
        **dict.fromkeys(REPORTED, RATE),
        **{f"dev_{name}": RATE for name in METRICS},
        "threshold_source": pa.Column(str, pa.Check(lambda words: words.str.startswith("dev"))),
        "train_seconds": pa.Column(float, pa.Check.ge(0)),
        "train_cpu_seconds": pa.Column(float, pa.Check.ge(0)),
        "steps": pa.Column(int, pa.Check.ge(0)),
        "run": pa.Column(str),
        "commit": pa.Column(str, pa.Check.str_matches("^[0-9a-f]{40}$")),
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
    """A recorded file that is missing, or that does not say what it has to."""


@dataclass(frozen=True)
class Origin:
    """Where recorded figures come from.

    ``commit`` is the checkout's, 40 hexadecimal digits; ``date`` is ISO 8601 with a time zone;
    ``versions`` names Python and torch at least.
    """

    commit: str
    date: str
    command: str
    hardware: str
    versions: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse what could not be traced back."""
        if len(self.commit) != 40 or set(self.commit) - set("0123456789abcdef"):
            raise RecordError(f"commit {self.commit!r} is not 40 hexadecimal digits")
        try:
            zone = datetime.fromisoformat(self.date).tzinfo
        except (TypeError, ValueError) as error:
            raise RecordError(f"date {self.date!r} is not in ISO 8601") from error
        if zone is None:
            raise RecordError(f"date {self.date!r} names no time zone")
        for name in ("command", "hardware"):
            if not getattr(self, name).strip():
                raise RecordError(f"{name} is empty")
        lacking = {"python", "torch"} - set(self.versions)
        if lacking:
            raise RecordError(f"versions lack {', '.join(sorted(lacking))}")

    @classmethod
    def now(cls, command: str) -> Origin:
        """Of figures that ``command`` has just measured here.

        Raises:
            RecordError: not inside a git checkout.
        """
        commit = provenance.commit()
        if commit is None:
            raise RecordError("no commit: figures are recorded from a git checkout only")
        date = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(commit, date, command, provenance.hardware(), provenance.versions())


@dataclass(frozen=True)
class Recorded:
    """A recorded file, checked.

    Attributes:
        name: the file's name without ending.
        origin: where its figures come from.
        table: one row a run, empty for files without runs: row (the method), seed, acer, acc, auc,
            eer and so on of the test split, dev_acer, dev_auc, train_cpu_seconds, parameters,
            curve (step, loss), apcer_per_type, auc_per_type, live_rejected (by nuisance).
        intervals: row, metric (acer, auc, and reprocessed_gap where it is known what was done to
            the live images), seeds, estimate, low, high over test subjects and seeds.
        differences: the same of a row minus the row ``facts["reference"]``, in pairs, for all
            seeds together and for each seed alone (``seeds`` lists the row's).
        facts: all else that the file says.
    """

    name: str
    origin: Origin
    table: pd.DataFrame
    intervals: pd.DataFrame
    differences: pd.DataFrame
    facts: dict[str, Any]

    @property
    def source(self) -> str:
        """What to write beside these figures wherever they are shown."""
        day, seeds = self.origin.date[:10], ""
        if len(self.table):
            counts = self.table.groupby("row")["seed"].nunique()
            least, most = counts.min(), counts.max()
            number = f"{least} to {most}" if least < most else str(most)
            seeds = f", {number} seed{'s' if most > 1 else ''}"
        preset = f"{self.facts['preset']}, " if "preset" in self.facts else ""
        return f"recorded: {preset}{day}{seeds}"

    def difference(self, row: str, metric: str = "acer", seed: int | None = None) -> Interval:
        """Of a row to the reference row; of one seed, or of all of them together.

        Raises:
            KeyError: nothing of the kind was recorded.
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
    """Names that :func:`read_recorded` takes."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read_recorded(name: str, folder: Path = FOLDER) -> Recorded:
    """A recorded file of the book, checked.

    Raises:
        RecordError: it is not there or breaks the schema; the message says where.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise RecordError(f"no {path}; recorded are {', '.join(recorded_names(folder)) or 'none'}")
    try:
        return check_record(name, json.loads(path.read_text("utf-8")))
    except (RecordError, KeyError, TypeError, pa.errors.SchemaError, json.JSONDecodeError) as error:
        raise RecordError(f"{path}: {type(error).__name__}: {error}") from error


def write_recorded(record: Mapping[str, Any], path: Path) -> Recorded:
    """Check a record and write it, whole or not at all.

    Raises:
        RecordError: it breaks the schema; nothing is written.
    """
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    recorded = check_record(path.stem, json.loads(text))
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return recorded


def runs_record(table: Table, runs: Runs, command: str) -> dict[str, Any]:
    """What a recorded file says about the runs of a table.

    Args:
        table: which table it is.
        runs: its runs, as ``lasoftmoe.experiment.tables.run_table`` returns them.
        command: what was typed.

    Raises:
        RecordError: no runs, or runs on different data or presets.
    """
    every = [run for row in runs.values() for run in row]
    if not every:
        raise RecordError(f"{table.name} has no finished run yet")
    first = every[0].report
    for run in every:
        if run.report["dataset"] != first["dataset"] or run.report["preset"] != first["preset"]:
            raise RecordError(f"{run.folder} and {every[0].folder} differ in data or preset")
    origin = asdict(Origin.now(command))
    reference = table.reference if table.reference in runs else next(iter(runs))
    others = [row for row in runs if row != reference]
    return {
        **origin,
        "title": table.title,
        "preset": first["preset"],
        "reference": reference,
        "dataset": first["dataset"],
        "runs": [_run_entry(row, run) for row in runs for run in runs[row]],
        "intervals": [entry for row in runs for entry in _intervals(row, runs[row])],
        "differences": [
            entry for row in others for entry in _differences(row, runs[row], runs[reference])
        ],
    }


def check_record(name: str, record: Mapping[str, Any]) -> Recorded:
    """A record as :func:`read_recorded` returns it.

    Raises:
        RecordError, KeyError, TypeError, pandera's SchemaError: it breaks the schema.
    """
    facts = dict(record)
    origin = Origin(**{field.name: facts.pop(field.name) for field in fields(Origin)})
    if "runs" not in facts:
        empty = pd.DataFrame()
        return Recorded(name, origin, empty, empty, empty, facts)
    table = pd.DataFrame([_flat(entry) for entry in facts.pop("runs")])
    table = TABLE_SCHEMA.validate(table)
    parts = {}
    for key in ("intervals", "differences"):
        columns = list(INTERVAL_SCHEMA.columns)
        parts[key] = pd.DataFrame(facts.pop(key), columns=columns)
        if len(parts[key]):  # no rows have no types
            INTERVAL_SCHEMA.validate(parts[key])
        unknown = set(parts[key]["row"]) - set(table["row"])
        if unknown:
            raise RecordError(f"{key} of rows without runs: {', '.join(sorted(unknown))}")
    if facts["reference"] not in set(table["row"]):
        raise RecordError(f"the reference {facts['reference']!r} has no runs")
    if not facts["dataset"]["checksum"]:
        raise RecordError("no checksum of the dataset")
    return Recorded(name, origin, table, parts["intervals"], parts["differences"], facts)


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``runs`` as a row of ``Recorded.table``."""
    row = {key: value for key, value in entry.items() if key not in ("test", "dev")}
    test, dev = entry["test"], entry["dev"]
    row |= {name: test[name] for name in REPORTED} | {f"dev_{name}": dev[name] for name in METRICS}
    row["threshold_source"] = test["threshold_source"]
    row["apcer_per_type"] = test["apcer_per_type"]
    return row


def _run_entry(row: str, run: Run) -> dict[str, Any]:
    report = run.report
    return {
        "row": row,
        "experiment": report["name"],
        "seed": report["seed"],
        **{key: report[key] for key in OF_A_RUN if key != "run"},
        "run": run.folder.name,
        "test": report["test"],
        "dev": report["dev"],
        "auc_per_type": _auc_per_type(run.scores),
        "live_rejected": _live_rejected(run),
        "curve": _curve(run.log),
    }


def _intervals(row: str, runs: list[Run]) -> Iterator[dict[str, Any]]:
    scored = [_with_nuisances(run) for run in runs]
    known = all("nuisance" in scores for scores, _ in scored)
    for metric in (*METRICS, *([REPROCESSED_GAP] if known else [])):
        yield _entry(row, metric, runs, bootstrap_interval(metric, scored))


def _differences(row: str, runs: list[Run], reference: list[Run]) -> Iterator[dict[str, Any]]:
    """Of all seeds together, and of each seed that both rows have."""
    pairs = [(runs, reference)]
    if len(runs) > 1:
        others = {run.config.seed: run for run in reference}
        pairs += [([r], [others[r.config.seed]]) for r in runs if r.config.seed in others]
    for ours, theirs in pairs:
        for metric in METRICS:
            first, second = ([_scored(run) for run in part] for part in (ours, theirs))
            yield _entry(row, metric, ours, paired_difference(first, second, metric))


def _entry(row: str, metric: str, runs: list[Run], interval: Interval) -> dict[str, Any]:
    seeds = [run.config.seed for run in runs]
    return {"row": row, "metric": metric, "seeds": seeds, **asdict(interval)}


def _scored(run: Run) -> tuple[pd.DataFrame, float]:
    return run.scores[run.scores["split"] == "test"], run.report["threshold"]


def _with_nuisances(run: Run) -> tuple[pd.DataFrame, float]:
    """The same with what was done to each image, where the dataset says so."""
    (scores, threshold), facts = _scored(run), run.datasets()["test"].table
    if "nuisance" in facts:
        scores = scores.merge(facts[["id", "nuisance"]], on="id", validate="one_to_one")
    return scores, threshold


def _auc_per_type(scores: pd.DataFrame) -> dict[str, float]:
    """AUC on test of each attack type against all live images."""
    test = scores[scores["split"] == "test"]
    live, attacks = test[~test["is_attack"]], test[test["is_attack"]]
    result = {}
    for name, group in attacks.groupby("attack_type"):
        both = pd.concat([live, group])
        result[str(name)] = metrics.auc(both["attack_score"], both["is_attack"])
    return result


def _live_rejected(run: Run) -> dict[str, float]:
    """Share of live test images called attacks, by what was done to them after the capture."""
    scores, threshold = _with_nuisances(run)
    if "nuisance" not in scores:
        return {}
    live = scores[~scores["is_attack"]]
    called = live["attack_score"] >= threshold
    return {
        str(name): float(share) for name, share in called.groupby(live["nuisance"]).mean().items()
    }


def _curve(log: pd.DataFrame) -> dict[str, list[float]]:
    """The loss, averaged over ``CURVE_POINTS`` stretches of steps; AUC on dev if looked at."""
    if log.empty:
        return {"step": [], "loss": []}
    stretches = np.array_split(np.arange(len(log)), min(CURVE_POINTS, len(log)))
    curve = {
        "step": [int(log["step"].iloc[rows[-1]]) for rows in stretches],
        "loss": [round(float(log["loss"].iloc[rows].mean()), 5) for rows in stretches],
    }
    looked = log.dropna(subset="dev_auc")
    if len(looked):
        curve["dev_step"] = [int(step) for step in looked["step"]]
        curve["dev_auc"] = [float(auc) for auc in looked["dev_auc"]]
    return curve
