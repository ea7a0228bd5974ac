"""Training and evaluation of one experiment, cached in one folder for each run.

``runs/<name>-<hash>/`` holds config.yaml, log.csv, scores.parquet, report.json, and
model.safetensors. The hash is the run's identity (``lasoftmoe.experiment.identity``). The folder
appears in one step when everything is written, so a run that was killed leaves nothing that looks
finished; asked for again, it resumes from its last checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from filelock import FileLock

from data_prep.manifest import SPLITS, DatasetError, read_dataset
from data_prep.provenance import Origin
from lasoftmoe import weights_files
from lasoftmoe.data import Faces, open_dataset, open_shards
from lasoftmoe.detector import Detector
from lasoftmoe.evaluation import (
    DEV_EER,
    Evaluation,
    evaluate_detector,
    report_scores,
    score,
)
from lasoftmoe.experiment.config import (
    ENVIRONMENT,
    ConfigError,
    ExperimentConfig,
    command_of,
    config_to_yaml,
    load_config,
    read_config,
)
from lasoftmoe.experiment.identity import run_identity
from lasoftmoe.experiment.preflight import check_requirements
from lasoftmoe.experiment.stored import (
    REPORT,
    ParameterCounts,
    RunError,
    RunReport,
    damaged,
    read_log,
    read_report,
    read_scores,
)
from lasoftmoe.methods import build_detector
from lasoftmoe.metrics import HEADLINE, Report
from lasoftmoe.metrics.intervals import Scored
from lasoftmoe.paths import EMBEDDED_DATA, runs_folder
from lasoftmoe.training import processes
from lasoftmoe.training.checkpoint import Checkpoint
from lasoftmoe.training.logs import Logs
from lasoftmoe.training.loop import train

TABLE_COLUMNS = ["name", "preset", "seed", *HEADLINE, "train seconds", "date", "run"]


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder.

    ``report`` is the content of report.json; its rates are fractions.
    ``scores`` has the columns split, id, attack_score, is_attack, attack_type, family, subject;
    ``log`` has a row for each training step.
    """

    name: str
    folder: Path
    config: ExperimentConfig
    report: RunReport
    scores: pd.DataFrame
    log: pd.DataFrame

    def detector(self, device: str | torch.device = "cpu") -> Detector:
        """Return the trained detector, in evaluation mode, on ``device``."""
        detector = build_detector(self.config.detector, self.config.seed)
        weights_files.load_weights(detector, self.folder / "model.safetensors")
        return detector.to(device).eval()

    def datasets(self) -> Mapping[str, Faces]:
        """Return the splits that the run was trained and evaluated on."""
        return open_datasets(self.config)

    def test_scores(self) -> Scored:
        """Return the scores of the test split with the threshold chosen on dev."""
        return Scored(self.scores[self.scores["split"] == "test"], self.report["threshold"])

    def evaluate_on(self, dataset: Faces, device: str | torch.device | None = None) -> Report:
        """Return the report on other data, at the threshold that this run chose on its own dev.

        Args:
            device: where to score; ``None`` takes a GPU if there is one.
        """
        source = f"{self.report['threshold_source']} of {self.folder.name}"
        detector = self.detector(device or processes.start().device)
        scores = score(detector, dataset, self.config.training.eval_batch_size)
        return report_scores(scores, self.report["threshold"], source)


def run(
    name: str,
    preset: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Train and evaluate an experiment, or load it from the cache.

    Under ``accelerate launch`` all processes train it together and the first one evaluates it.

    Args:
        name: one of ``lasoftmoe.experiment.config.known_experiments()``.
        preset: laptop or a100; ``None`` takes the environment variable ``LASOFTMOE_PRESET``,
            or laptop.
        seed: fixes all randomness.
        overrides: fields to change, such as ``{"training": {"epochs": 2}}``.
        on_step: called with the log's row after every training step, such as a ``LivePlot``.

    Raises:
        ConfigError, PresetError, DatasetError, TrainingError, CheckpointError, LoaderError,
            RunError: each says what to do.
    """
    return run_config(load_config(name, preset, seed, overrides), on_step)


def run_config(
    config: ExperimentConfig, on_step: Callable[[dict[str, Any]], None] | None = None
) -> Run:
    """Do as :func:`run` does, for a complete configuration."""
    process = processes.start()
    check_requirements(config, data_folder(config))
    datasets = open_datasets(config)
    identity = run_identity(config, datasets["train"].checksum)
    folder = _run_folder(config, identity)
    locks = runs_folder() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{folder.name}.lock") if process.is_main_process else nullcontext()
    with lock:
        process.wait_for_everyone()  # until the first one has the lock
        if not folder.exists():
            _execute(config, datasets, folder, identity, on_step)
        process.wait_for_everyone()
    return read_run(folder)


def find_run(config: ExperimentConfig) -> Run | None:
    """Return the finished run of a configuration, or ``None``; trains nothing.

    Raises:
        DatasetError: the configuration's dataset is damaged.
        RunError: the run is damaged.
    """
    data = data_folder(config)
    if data is None or not (data / "dataset.json").is_file():
        return None
    folder = _run_folder(config, run_identity(config, _checksum(data)))
    return read_run(folder) if (folder / REPORT).exists() else None


def _checksum(data: Path) -> str:
    """A dataset's checksum. Its tables are read and verified again only after one has changed."""
    tables = sorted([*data.glob("*.parquet"), *data.glob("protocols/*.parquet")])
    stats = [(path, path.stat()) for path in (data / "dataset.json", *tables)]
    stamp = tuple((str(p), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for p, s in stats)
    return _verified_checksum(data, stamp)


@lru_cache(maxsize=64)
def _verified_checksum(data: Path, stamp: tuple[Any, ...]) -> str:
    return read_dataset(data).checksum


def _run_folder(config: ExperimentConfig, identity: str) -> Path:
    return runs_folder() / f"{config.name}-{identity[:12]}"


def read_run(folder: str | Path) -> Run:
    """Read a finished run.

    Raises:
        FileNotFoundError: the folder is not a finished run.
        RunError: one of its files is damaged.
    """
    folder = Path(folder)
    report = read_report(folder)
    try:
        config = read_config(folder / "config.yaml")
    except ConfigError as error:
        raise damaged(folder, str(error)) from error
    return Run(
        name=folder.name.rsplit("-", 1)[0],
        folder=folder,
        config=config,
        report=report,
        scores=read_scores(folder, report),
        log=read_log(folder, report),
    )


def runs_table() -> pd.DataFrame:
    """One row for every finished run, oldest first: its test results in percent, its cost.

    Damaged runs are left out; ``broken_runs`` lists them.
    """
    rows = []
    for folder, run in _finished():
        if isinstance(run, RunError):
            continue
        report = run.report
        row: dict[str, Any] = {key: report[key] for key in ("name", "preset", "seed", "date")}
        test: Mapping[str, Any] = report["test"]
        row |= {name: 100 * test[name.lower()] for name in HEADLINE}
        rows.append(row | {"train seconds": report["train_seconds"], "run": folder.name})
    table = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    return table.sort_values(["date", "run"], ignore_index=True)


def broken_runs() -> dict[str, str]:
    """Return why runs cannot be read, by the name of their folder."""
    return {folder.name: str(run) for folder, run in _finished() if isinstance(run, RunError)}


def _finished() -> Iterator[tuple[Path, Run | RunError]]:
    for path in sorted(runs_folder().glob(f"[!.]*/{REPORT}")):
        try:
            yield path.parent, read_run(path.parent)
        except RunError as error:
            yield path.parent, error


def data_folder(config: ExperimentConfig) -> Path | None:
    """Return the prepared dataset that ``data.folder`` names.

    ``None`` where it is ``"$LASOFTMOE_DATA"`` and that variable is not set.
    """
    folder = config.data.folder
    if folder == ENVIRONMENT:
        named = os.environ.get(ENVIRONMENT[1:])
        return Path(named) if named else None
    return EMBEDDED_DATA if folder == "embedded" else Path(folder)


def open_datasets(config: ExperimentConfig) -> Mapping[str, Faces]:
    """Return the splits that a configuration names."""
    folder = data_folder(config)
    if folder is None:
        raise ValueError("no dataset: set LASOFTMOE_DATA, or name a folder in data.folder")
    protocol, size = config.data.protocol, config.data.image_size
    if config.data.reader == "arrays":
        return open_dataset(folder, protocol, size)
    found = open_shards(folder, SPLITS, size)
    if found["train"].protocol != protocol:
        raise DatasetError(
            f"{folder} was packed with protocol {found['train'].protocol!r}, not {protocol!r}; "
            "set data.protocol, or pack the other protocol"
        )
    return found


def _execute(
    config: ExperimentConfig,
    datasets: Mapping[str, Faces],
    folder: Path,
    identity: str,
    on_step: Callable[[dict[str, Any]], None] | None,
) -> None:
    """Do the run in a hidden folder and move it into place; the caller holds the run's lock.

    Killed, or ended by an error, it leaves its last checkpoint and its log there for the next
    attempt.
    """
    partial = runs_folder() / ".partial" / folder.name
    partial.mkdir(parents=True, exist_ok=True)
    process = processes.start()
    detector = build_detector(config.detector, config.seed).to(process.device)
    resume = Checkpoint(partial.with_suffix(".safetensors"))  # its clock starts here
    with Logs(partial, config.training.tensorboard, on_step) as logs:
        log = train(
            detector,
            datasets["train"],
            datasets["dev"],
            config.training,
            config.seed,
            on_step=logs,
            checkpoint=resume,
        )
    seconds = resume.clock.read()
    facts = {
        "hash": identity,
        "train_seconds": seconds["wall"],
        "train_cpu_seconds": seconds["cpu"],
        "processes": process.num_processes,
    }
    if not process.is_main_process:
        return
    batch_size = config.training.eval_batch_size
    evaluation = evaluate_detector(detector, datasets["dev"], datasets["test"], batch_size)
    (partial / "config.yaml").write_text(config_to_yaml(config), "utf-8")
    log.to_csv(partial / "log.csv", index=False)
    evaluation.scores.to_parquet(partial / "scores.parquet")
    weights_files.save_weights(detector, partial / "model.safetensors")
    report = _report(config, datasets, detector, log, evaluation, facts)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    (partial / REPORT).write_text(text, "utf-8")
    partial.replace(folder)
    resume.path.unlink(missing_ok=True)


def _report(
    config: ExperimentConfig,
    datasets: Mapping[str, Faces],
    detector: Detector,
    log: pd.DataFrame,
    evaluation: Evaluation,
    facts: dict[str, Any],
) -> RunReport:
    """The content of report.json."""
    origin = Origin.now(command_of(config))
    report = {
        "name": config.name,
        "preset": config.preset,
        "seed": config.seed,
        "threshold": evaluation.test.threshold,
        "threshold_source": DEV_EER,
        "test": evaluation.test.to_dict(),
        "dev": evaluation.dev.to_dict(),
        "dataset": {
            "checksum": datasets["train"].checksum,
            "protocol": config.data.protocol,
            "images": {split: len(dataset) for split, dataset in datasets.items()},
        },
        "parameters": _parameter_counts(detector),
        "steps": len(log),
        **facts,
        "device": processes.start().device.type,
        "threads": torch.get_num_threads(),
        **origin.to_dict(),
        # in milliseconds, which keeps runs in their order
        "date": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return cast(RunReport, report)


def _parameter_counts(detector: Detector) -> ParameterCounts:
    groups = detector.parameter_groups().items()
    groups = {name: sum(p.numel() for p in group.parameters) for name, group in groups}
    return {
        "total": sum(p.numel() for p in detector.parameters()),
        "trained": sum(groups.values()),
        "moe": groups.get("moe", 0),
    }
