"""Files of a finished run, checked when they are read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NotRequired, cast

import numpy as np
import pandas as pd
from pydantic import FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from data_prep.errors import DatasetError, MissingFile
from data_prep.reading import read_json, read_table, read_text
from lasoftmoe.settings import Fraction, NonNegative, NonNegativeCount, explain

REPORT = "report.json"
SCORE_COLUMNS = ("split", "id", "attack_score", "is_attack", "attack_type", "family", "subject")
LOG_COLUMNS = ("step", "epoch", "loss", "dev_auc")


class RunError(ValueError):
    """A run's file is damaged; the message names the file, the place in it, and the remedy."""


class Results(TypedDict):
    """Results of one split, as ``lasoftmoe.metrics.Report.to_dict`` gives them."""

    apcer: Fraction
    bpcer: Fraction
    acer: Fraction
    acc: Fraction
    auc: Fraction
    eer: Fraction
    threshold: FiniteFloat
    threshold_source: str
    tpr_at_1_percent_fpr: Fraction
    n_live: NonNegativeCount
    n_attack: NonNegativeCount
    apcer_per_type: dict[str, Fraction]
    apcer_worst: Fraction | None
    acer_worst: Fraction | None


class DatasetFacts(TypedDict):
    """The data of a run."""

    checksum: str
    protocol: str
    images: dict[str, int]


class ParameterCounts(TypedDict):
    """Numbers of weights: all, those that training may change, and those of the MoE branch."""

    total: int
    trained: int
    moe: int


class RunReport(TypedDict):
    """Content of ``report.json``: every result with what is needed to trust or repeat it.

    Rates are fractions. ``commit`` is ``None`` where there is none; ``no_commit`` then says why.
    """

    name: str
    preset: str
    seed: int
    threshold: FiniteFloat
    threshold_source: str
    test: Results
    dev: Results
    dataset: DatasetFacts
    parameters: ParameterCounts
    steps: NonNegativeCount
    hash: str
    train_seconds: NonNegative
    train_cpu_seconds: NonNegative
    processes: int
    device: str
    threads: int
    hardware: str
    versions: dict[str, str]
    date: str
    commit: str | None
    command: NotRequired[str]
    no_commit: NotRequired[str]


_REPORT = TypeAdapter(RunReport)


def read_report(folder: Path) -> RunReport:
    """Read the report of a finished run.

    Raises:
        FileNotFoundError: the folder is not a finished run.
        RunError: the report is damaged.
    """
    path = folder / REPORT
    try:
        content = read_json(path)
        _REPORT.validate_python(content, strict=True)
    except MissingFile:
        raise FileNotFoundError(f"{folder} is not a finished run: it has no {REPORT}") from None
    except ValidationError as error:
        raise damaged(folder, f"{path}: {explain(error)}") from error
    except DatasetError as error:
        raise damaged(folder, str(error)) from error
    return cast(RunReport, content)


def read_scores(folder: Path, report: RunReport) -> pd.DataFrame:
    """Read the scores of a run's images on dev and test.

    Raises:
        RunError: a column is missing, a score is not a finite number, or there are more or fewer
            images than the report says.
    """
    path = folder / "scores.parquet"
    try:
        scores = read_table(path)
    except DatasetError as error:
        raise damaged(folder, str(error)) from error
    _require_columns(folder, path, scores, SCORE_COLUMNS)
    numbers = scores["attack_score"]
    if numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
        raise damaged(folder, f"{path}: attack_score holds something else than finite numbers")
    if scores["is_attack"].dtype != bool:
        raise damaged(folder, f"{path}: is_attack is {scores['is_attack'].dtype}, expected bool")
    for split in ("dev", "test"):
        expected = report[split]["n_live"] + report[split]["n_attack"]
        found = int((scores["split"] == split).sum())
        if found != expected:
            raise damaged(folder, f"{path}: {found} {split} images, {REPORT} says {expected}")
    return scores


def read_log(folder: Path, report: RunReport) -> pd.DataFrame:
    """Read the log of a run's training, one row a step.

    Raises:
        RunError: it is no table of steps, or has more or fewer than the report says.
    """
    path = folder / "log.csv"
    try:
        log = pd.read_csv(io.StringIO(read_text(path)))
    except (DatasetError, ValueError) as error:
        raise damaged(folder, f"{path}: not a readable log ({error})") from error
    _require_columns(folder, path, log, LOG_COLUMNS)
    if log["step"].tolist() != list(range(report["steps"])):
        raise damaged(
            folder, f"{path}: {len(log)} rows are not the {report['steps']} steps of {REPORT}"
        )
    return log


def damaged(folder: Path, what: str) -> RunError:
    """Return the error that says what is damaged and how to get the run again."""
    return RunError(
        f"{what}. The run is damaged: restore the file, or delete the folder {folder} and run the "
        "same command again to train it once more"
    )


def _require_columns(
    folder: Path, path: Path, table: pd.DataFrame, columns: tuple[str, ...]
) -> None:
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise damaged(folder, f"{path}: lacks the columns {', '.join(lacking)}")
