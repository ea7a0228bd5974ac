"""One run, one folder: train, evaluate and keep everything; ask twice and it is read back.

``runs/<name>-<hash>/`` holds config.yaml, log.csv, scores.parquet, report.json and
model.safetensors. The hash covers the configuration, the dataset's checksum, the code that can
change the result and the pretrained weights: whatever changes there makes another run. The folder
appears in one step when everything is written, so a run that was killed leaves nothing that looks
finished; it goes on from its last epoch when asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock
from torch import nn

from lasoftmoe import provenance
from lasoftmoe.data import FaceDataset, open_dataset
from lasoftmoe.detector import build_detector
from lasoftmoe.evaluation import (
    DEV_EER,
    Evaluation,
    evaluate_detector,
    report_scores,
    score,
)
from lasoftmoe.experiment.config import (
    ClipConfig,
    ExperimentConfig,
    ResNetConfig,
    config_to_yaml,
    load_config,
    read_config,
)
from lasoftmoe.experiment.preflight import check_requirements
from lasoftmoe.metrics import Report
from lasoftmoe.paths import EMBEDDED_DATA, WEIGHTS, runs_folder
from lasoftmoe.training import checkpoint, processes
from lasoftmoe.training.checkpoint import Checkpoint
from lasoftmoe.training.logs import Logs
from lasoftmoe.training.loop import LOG_COLUMNS, WITHOUT_EFFECT, train

REPORT = "report.json"
TABLE_COLUMNS = ["name", "preset", "seed", "ACER", "ACC", "AUC", "EER", "train seconds"]
TABLE_COLUMNS += ["date", "run"]


@dataclass(frozen=True)
class Run:
    """A finished run as it lies in its folder.

    ``report`` is what report.json says (``report["test"]["acer"]`` and so on, fractions);
    ``scores`` has the columns split, id, attack_score, is_attack, attack_type, subject;
    ``log`` one row a training step.
    """

    name: str
    folder: Path
    config: ExperimentConfig
    report: dict[str, Any]
    scores: pd.DataFrame
    log: pd.DataFrame

    def detector(self) -> nn.Module:
        """The trained detector, in evaluation mode, on the CPU."""
        detector = build_detector(self.config.detector, self.config.seed)
        checkpoint.load_weights(detector, self.folder / "model.safetensors")
        return detector.eval()

    def datasets(self) -> dict[str, FaceDataset]:
        """The splits that the run was trained and evaluated on."""
        return open_datasets(self.config)

    def evaluate_on(self, dataset: FaceDataset) -> Report:
        """The report on other data, with the threshold that this run chose on its own dev."""
        source = f"{self.report['threshold_source']} of {self.folder.name}"
        scores = score(self.detector(), dataset, self.config.training.eval_batch_size)
        return report_scores(scores, self.report["threshold"], source)


def run(
    name: str,
    preset: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Train and evaluate an experiment, or read it back if that was done before.

    Under ``accelerate launch`` all processes train it together and the first one evaluates it.

    Args:
        name: one of ``lasoftmoe.experiment.config.known_experiments()``.
        preset: laptop or a100; ``None`` takes the environment variable ``LASOFTMOE_PRESET``,
            or laptop.
        seed: fixes all randomness.
        overrides: fields to change, such as ``{"training": {"epochs": 2}}``.
        on_step: called with the log's row after every training step, such as a ``LivePlot``.

    Raises:
        ConfigError, PresetError, DatasetError, TrainingError, CheckpointError: each says what to
            do.
    """
    return run_config(load_config(name, preset, seed, overrides), on_step)


def run_config(
    config: ExperimentConfig, on_step: Callable[[dict[str, Any]], None] | None = None
) -> Run:
    """``run`` for a configuration that is already put together."""
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
    """The finished run of a configuration, ``None`` where there is none; trains nothing."""
    data = data_folder(config)
    if data is None or not (data / "dataset.json").is_file():
        return None
    checksum = json.loads((data / "dataset.json").read_text("utf-8"))["checksums"]["dataset"]
    folder = _run_folder(config, run_identity(config, checksum))
    return read_run(folder) if (folder / REPORT).is_file() else None


def _run_folder(config: ExperimentConfig, identity: str) -> Path:
    return runs_folder() / f"{config.name}-{identity[:12]}"


def read_run(folder: str | Path) -> Run:
    """Read a finished run.

    Raises:
        FileNotFoundError: the folder is not a finished run.
    """
    folder = Path(folder)
    if not (folder / REPORT).is_file():
        raise FileNotFoundError(f"{folder} is not a finished run: it has no {REPORT}")
    return Run(
        name=folder.name.rsplit("-", 1)[0],
        folder=folder,
        config=read_config(folder / "config.yaml"),
        report=json.loads((folder / REPORT).read_text("utf-8")),
        scores=pd.read_parquet(folder / "scores.parquet"),
        log=pd.read_csv(folder / "log.csv"),
    )


def runs_table() -> pd.DataFrame:
    """One row for every finished run, oldest first: its test figures in percent, its cost."""
    rows = []
    for path in runs_folder().glob(f"[!.]*/{REPORT}"):
        report = json.loads(path.read_text("utf-8"))
        row = {key: report[key] for key in ("name", "preset", "seed", "date")}
        row |= {key.upper(): 100 * report["test"][key] for key in ("acer", "acc", "auc", "eer")}
        row |= {"train seconds": report["train_seconds"], "run": path.parent.name}
        rows.append(row)
    table = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    return table.sort_values(["date", "run"], ignore_index=True)


def data_folder(config: ExperimentConfig) -> Path | None:
    """The prepared dataset of a configuration; ``None`` if nothing names one.

    Its own ``data.folder`` comes first; else ``LASOFTMOE_DATA`` for presets that need it (they
    are those for a GPU), and the embedded dataset for the others.
    """
    if config.data.folder:
        return Path(config.data.folder)
    if config.device == "cuda":
        named = os.environ.get("LASOFTMOE_DATA")
        return Path(named) if named else None
    return EMBEDDED_DATA


def open_datasets(config: ExperimentConfig) -> dict[str, FaceDataset]:
    """The splits that a configuration names."""
    folder = data_folder(config)
    if folder is None:
        raise ValueError("no dataset: set LASOFTMOE_DATA or data.folder")
    return open_dataset(folder, config.data.protocol, config.data.image_size)


def run_identity(config: ExperimentConfig, dataset_checksum: str) -> str:
    """A digest of all that determines a run's result (but for the hardware and torch itself)."""
    settings = asdict(config)
    settings["data"].pop("folder")  # the same data elsewhere is the same data
    for name in WITHOUT_EFFECT:
        settings["training"].pop(name)
    if processes.process_count() > 1:  # batch_size is that of one of them
        settings["processes"] = processes.process_count()
    parts = {
        "settings": settings,
        "dataset": dataset_checksum,
        "code": provenance.code_hash(),
        "weights": _weights_hash(config.detector.backbone),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _weights_hash(network: ClipConfig | ResNetConfig) -> str | None:
    """Digest of the pretrained weights where they are a file; a tag or ``None`` names itself."""
    if network.pretrained == "embedded":
        files = sorted(WEIGHTS.glob(f"{network.name}_clip.*"))
        files = [path for path in files if path.suffix in (".safetensors", ".json")]
        return "-".join(provenance.file_hash(path) for path in files)
    if network.pretrained and Path(network.pretrained).is_file():
        return provenance.file_hash(Path(network.pretrained))
    return network.pretrained


def _execute(
    config: ExperimentConfig,
    datasets: dict[str, FaceDataset],
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
    resume = Checkpoint(partial.with_suffix(".safetensors"))  # from here on its clock counts
    with Logs(partial, LOG_COLUMNS, config.training.tensorboard, on_step) as logs:
        log = train(
            detector, datasets["train"], datasets["dev"], config.training, config.seed,
            on_step=logs, checkpoint=resume,
        )  # fmt: skip
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
    checkpoint.save_weights(detector, partial / "model.safetensors")
    report = _report(config, datasets, detector, log, evaluation, facts)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    (partial / REPORT).write_text(text, "utf-8")
    partial.replace(folder)
    resume.path.unlink(missing_ok=True)


def _report(
    config: ExperimentConfig,
    datasets: dict[str, FaceDataset],
    detector: nn.Module,
    log: pd.DataFrame,
    evaluation: Evaluation,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """What report.json says; every figure with what is needed to trust or repeat it."""
    return {
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
        "hardware": provenance.hardware(),
        "device": processes.start().device.type,
        "threads": torch.get_num_threads(),
        "versions": provenance.versions(),
        "date": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "commit": provenance.commit(),
    }


def _parameter_counts(detector: nn.Module) -> dict[str, int]:
    """Numbers of weights: in all, those that training may change, and those of the MoE branch."""
    groups = {name: sum(p.numel() for p in g) for name, g in detector.parameter_groups().items()}
    return {
        "total": sum(p.numel() for p in detector.parameters()),
        "trained": sum(groups.values()),
        "moe": groups.get("moe", 0),
    }
