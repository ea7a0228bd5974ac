"""Records of trained runs: reports, learning curves, costs, and intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from data_prep.provenance import Origin
from lasoftmoe import metrics
from lasoftmoe.experiment import Run
from lasoftmoe.experiment.tables import Runs, Table
from lasoftmoe.metrics.intervals import Interval, Scored, bootstrap_interval, paired_difference
from lasoftmoe.records.recorded import METRICS, REPROCESSED_GAP, RecordError

CURVE_POINTS = 40
COPIED = ("date", "commit", "device", "threads", "steps", "train_seconds", "train_cpu_seconds")
"""Keys copied from a run's report, with ``parameters``."""


def runs_record(table: Table, runs: Runs, command: str) -> dict[str, Any]:
    """Return the record of a table's runs, ready for ``write_recorded``.

    Args:
        table: The table that the runs belong to.
        runs: Its runs, as ``lasoftmoe.experiment.tables.run_table`` returns them.
        command: The command that was typed.

    Returns:
        The origin's fields, title, preset, reference, dataset, runs, intervals, and differences.

    Raises:
        RecordError: There are no runs, or they differ in dataset or preset.
    """
    every = [run for row in runs.values() for run in row]
    if not every:
        raise RecordError(f"{table.name} has no finished run yet")
    first = every[0].report
    for run in every:
        if run.report["dataset"] != first["dataset"] or run.report["preset"] != first["preset"]:
            raise RecordError(f"{run.folder} and {every[0].folder} differ in dataset or preset")
    reference = table.reference if table.reference in runs else next(iter(runs))
    others = [row for row in runs if row != reference]
    return {
        **Origin.now(command).to_dict(),
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


def _run_entry(row: str, run: Run) -> dict[str, Any]:
    report = run.report
    return {
        "row": row,
        "experiment": report["name"],
        "seed": report["seed"],
        **{key: report[key] for key in (*COPIED, "parameters")},
        "run": run.folder.name,
        "test": report["test"],
        "dev": report["dev"],
        "auc_per_type": _auc_per_type(run.scores),
        "live_rejected": _live_rejected(run),
        "curve": _curve(run.log),
    }


def _intervals(row: str, runs: list[Run]) -> Iterator[dict[str, Any]]:
    scored = [_with_nuisances(run) for run in runs]
    known = all("nuisance" in each.scores for each in scored)
    for metric in (*METRICS, *([REPROCESSED_GAP] if known else [])):
        yield _entry(row, metric, runs, bootstrap_interval(metric, scored))


def _differences(row: str, runs: list[Run], reference: list[Run]) -> Iterator[dict[str, Any]]:
    """Differences over all seeds together, and for each seed that both rows have."""
    pairs = [(runs, reference)]
    if len(runs) > 1:
        others = {run.config.seed: run for run in reference}
        pairs += [([r], [others[r.config.seed]]) for r in runs if r.config.seed in others]
    for ours, theirs in pairs:
        for metric in METRICS:
            first, second = ([run.test_scores() for run in part] for part in (ours, theirs))
            yield _entry(row, metric, ours, paired_difference(first, second, metric))


def _entry(row: str, metric: str, runs: list[Run], interval: Interval) -> dict[str, Any]:
    seeds = [run.config.seed for run in runs]
    return {"row": row, "metric": metric, "seeds": seeds, **asdict(interval)}


def _with_nuisances(run: Run) -> Scored:
    """Test scores with the nuisance of each image, where the dataset names it."""
    scored, facts = run.test_scores(), run.datasets()["test"].table
    if "nuisance" not in facts:
        return scored
    nuisances = facts[["id", "nuisance"]]
    merged = scored.scores.merge(nuisances, on="id", validate="one_to_one")
    return Scored(merged, scored.threshold)


def _auc_per_type(scores: pd.DataFrame) -> dict[str, float]:
    """AUC of each attack type against all live images, on test."""
    test = scores[scores["split"] == "test"]
    live, attacks = test[~test["is_attack"]], test[test["is_attack"]]
    result = {}
    for name, group in attacks.groupby("attack_type"):
        both = pd.concat([live, group])
        result[str(name)] = metrics.auc(both["attack_score"], both["is_attack"])
    return result


def _live_rejected(run: Run) -> dict[str, float]:
    """Share of live test images classified as attacks, by nuisance."""
    scored = _with_nuisances(run)
    if "nuisance" not in scored.scores:
        return {}
    live = scored.scores[~scored.scores["is_attack"]]
    rejected = live["attack_score"] >= scored.threshold
    return {
        str(name): float(share) for name, share in rejected.groupby(live["nuisance"]).mean().items()
    }


def _curve(log: pd.DataFrame) -> dict[str, list[float]]:
    """Loss averaged over ``CURVE_POINTS`` ranges of steps, and AUC on dev where it was measured."""
    if log.empty:
        return {"step": [], "loss": []}
    ranges = np.array_split(np.arange(len(log)), min(CURVE_POINTS, len(log)))
    curve: dict[str, list[float]] = {
        "step": [int(log["step"].iloc[rows[-1]]) for rows in ranges],
        "loss": [round(float(log["loss"].iloc[rows].mean()), 5) for rows in ranges],
    }
    measured = log.dropna(subset="dev_auc")
    if len(measured):
        curve["dev_step"] = [int(step) for step in measured["step"]]
        curve["dev_auc"] = [float(auc) for auc in measured["dev_auc"]]
    return curve
