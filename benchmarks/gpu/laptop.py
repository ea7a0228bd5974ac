"""Larger runs of the laptop preset: pretraining the small CLIP, and twenty seeds of Table 6."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.faces import faces_folder
from benchmarks.gpu.setting import Setting, relative_error
from data_prep.synthetic.captions.caption_dataset import write_caption_dataset
from data_prep.synthetic.dataset import write_synthetic_dataset
from lasoftmoe.clip import load_clip
from lasoftmoe.experiment import run_config
from lasoftmoe.experiment.config import ExperimentConfig
from lasoftmoe.experiment.tables import load_table, run_table, table_configs
from lasoftmoe.paths import EMBEDDED_DATA
from lasoftmoe.pretraining.loop import PretrainingConfig
from lasoftmoe.pretraining.results import Result
from lasoftmoe.pretraining.run import pretrain
from lasoftmoe.records.from_runs import runs_record

SEEDS, AT_ONCE = 20, 8
"""Seeds of the table, and trainings that share the GPU at a time."""


def pretraining(setting: Setting) -> dict[str, Any]:
    """Pretrain the small CLIP from its first to its last step."""
    compare_clip(setting)
    subjects, epochs, batch = (40, 1, 16) if setting.tiny else (1500, 26, 128)
    data = setting.work / f"captions-{subjects}"
    write_caption_dataset(data, subjects)
    out = setting.work / "pretraining"
    shutil.rmtree(out, ignore_errors=True)
    config = PretrainingConfig(epochs=epochs, batch_size=batch, bf16=setting.is_gpu)
    start = time.perf_counter()
    facts = pretrain(data, out, config, device=setting.device)
    seconds = time.perf_counter() - start
    row = {name: facts[name] for name in ("steps", "parameters", "train_images")}
    row |= {name: result["value"] for name, result in facts["figures"].items() if known(result)}
    summary = f"{facts['steps']} steps in {seconds / 60:.1f} minutes"
    return {"rows": [{**row, "seconds": seconds}], "summary": summary}


def known(result: Result) -> bool:
    """Return whether a result is a number; few images may leave an attribute without any."""
    return math.isfinite(result["value"])


def compare_clip(setting: Setting) -> None:
    """Require the embedded CLIP's embeddings to be those of a CPU."""
    images = torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = load_clip().embed_images(images)
        found = load_clip(device=setting.device).embed_images(images.to(setting.device))
    setting.require_close("embeddings", relative_error([found], [wanted]), 5e-3)


def table6_seeds(setting: Setting) -> dict[str, Any]:
    """Train all rows of Table 6 with twenty seeds, several at once, and record every run."""
    compare_clip(setting)
    table, seeds = load_table("table6"), range(2 if setting.tiny else SEEDS)
    overrides: dict[str, Any] = {"data": {"folder": str(embedded_faces(setting))}}
    if setting.tiny:
        overrides["training"] = {"epochs": 1}
    runs = setting.work / "table6-runs"
    os.environ["LASOFTMOE_RUNS"] = str(runs)
    configs = [config for _, config in table_configs(table, "laptop", seeds, overrides)]
    start = time.perf_counter()
    train_at_once(configs, runs, 2 if setting.tiny else AT_ONCE)
    seconds = time.perf_counter() - start
    done = run_table(table, "laptop", seeds, overrides)
    record = runs_record(table, done, f"lasoftmoe run table6 --seeds {len(seeds)}")
    gap = next(
        entry
        for entry in record["differences"]
        if (entry["row"], entry["metric"]) == ("la_soft_moe", "acer")
    )
    low, high = 100 * gap["low"], 100 * gap["high"]
    summary = (
        f"{len(configs)} trainings in {seconds / 60:.1f} minutes; ACER of La-SoftMoE minus CLIP "
        f"{100 * gap['estimate']:.1f} points, 95% interval {low:.1f} to {high:.1f}"
    )
    return {**record, "seconds": seconds, "summary": summary}


def train_at_once(configs: Iterable[ExperimentConfig], runs: Path, workers: int) -> None:
    """Train several configurations at a time, in processes of their own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(runs,)) as pool:
        list(pool.map(_train, configs))


def _start(runs: Path) -> None:
    os.environ.update(LASOFTMOE_RUNS=str(runs), TQDM_DISABLE="1")
    torch.set_num_threads(1)


def _train(config: ExperimentConfig) -> None:
    run_config(config)


def embedded_faces(setting: Setting) -> Path:
    """Return the embedded dataset, written into the working folder if ``make data`` was not run."""
    if setting.tiny:
        return faces_folder(setting)
    if not (EMBEDDED_DATA / "dataset.json").is_file():
        write_synthetic_dataset(setting.work / "synthetic-laptop")
        return setting.work / "synthetic-laptop"
    return EMBEDDED_DATA
