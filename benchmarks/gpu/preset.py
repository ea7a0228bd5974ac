"""The a100 preset as a reader runs it, on rendered faces and from random weights.

Trains with both losses, is interrupted on the way, and resumes from the checkpoint.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import Any
from unittest import mock

import torch

from benchmarks.gpu.faces import faces_folder
from benchmarks.gpu.setting import Setting, relative_error
from benchmarks.gpu.speed import random_batch, step_config
from lasoftmoe.experiment import run_config
from lasoftmoe.experiment.config import ExperimentConfig, config_from_dict, config_to_dict, merged
from lasoftmoe.methods import build_detector

LOSSES = ("clip_contrastive", "class_prompt_cross_entropy")
EPOCHS, KILLED_AT = 8, 110
"""Epochs, of 25 steps each, and the step at which training is interrupted."""


class Killed(BaseException):
    """Stands for a kill: nothing between the loop and the caller handles it."""


def preset(name: str, setting: Setting) -> dict[str, Any]:
    """Run an experiment of the preset with each loss."""
    rows = [train_once(config_of(name, loss, setting), setting) for loss in LOSSES]
    last = rows[0]
    summary = (
        f"{last['steps']} steps of {last['batch_size']} images under Eq. 1, "
        f"{last['steps_per_second']:.1f} per second, resumed after a kill at step "
        f"{last['killed_at']}; loss {last['loss'][0]:.2f} to {last['loss'][-1]:.2f}"
    )
    return {"rows": rows, "summary": summary}


def config_of(name: str, loss: str, setting: Setting) -> ExperimentConfig:
    """Return the preset's configuration with 8 epochs, which are 200 steps here."""
    training: dict[str, Any] = {"epochs": EPOCHS}
    if setting.tiny:
        training = {"epochs": 1, "checkpoint_every": 2, "num_workers": 0}
    config = step_config(name, setting, **training)
    changes = {"data": {"folder": str(faces_folder(setting))}, "detector": {"loss": loss}}
    return config_from_dict(merged(config_to_dict(config), changes))


def train_once(config: ExperimentConfig, setting: Setting) -> dict[str, Any]:
    """Compare scores with a CPU, then train, interrupt, resume, and evaluate."""
    compare_scores(config, setting)
    killed_at = 4 if setting.tiny else KILLED_AT
    steps: list[tuple[int, float]] = []

    def count(row: dict[str, Any]) -> None:
        steps.append((row["step"], time.perf_counter()))
        if row["step"] == killed_at and len(steps) == killed_at + 1:
            raise Killed

    runs = setting.work / "preset-runs"
    shutil.rmtree(runs, ignore_errors=True)  # a finished run would only be loaded
    with mock.patch.dict(os.environ, LASOFTMOE_RUNS=str(runs)):
        try:
            run_config(config, count)
        except Killed:
            before = len(steps)
        run = run_config(config, count)
    resumed = steps[before][0]
    steps_per_epoch = run.report["steps"] // config.training.epochs
    lost = (killed_at + 1 - resumed) / (config.training.checkpoint_every or steps_per_epoch)
    setting.require_close("steps lost by the kill, per checkpoint", lost, 1.0)
    (first, start), (last, stop) = steps[0], steps[before - 1]
    return {
        "experiment": config.name,
        "loss_function": config.detector.loss,
        "steps": run.report["steps"],
        "batch_size": config.training.batch_size,
        "steps_per_second": (last - first) / (stop - start),
        "killed_at": killed_at,
        "resumed_at": resumed,
        "loss": [round(value, 5) for value in run.log["loss"]],
        "dev_auc": [round(value, 5) for value in run.log["dev_auc"].dropna()],
        "test_auc": run.report["test"]["auc"],
        "train_seconds": run.report["train_seconds"],
    }


def compare_scores(config: ExperimentConfig, setting: Setting) -> None:
    """Require the untrained detector's scores to be those of a CPU."""
    detector = build_detector(config.detector, config.seed).eval()
    images = random_batch(4, config, setting.device)["image"]
    with torch.no_grad():
        wanted = detector.attack_score(images.cpu())
        found = detector.to(setting.device).attack_score(images)
    what = f"{config.name}, {config.detector.loss}: scores"
    setting.require_close(what, relative_error([found], [wanted]), 1e-2)
