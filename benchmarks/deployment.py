"""Benchmark of exported detectors: ``python -m benchmarks.deployment RUN ...``.

Exports finished runs to ONNX, compares the scores of test images with torch's, and measures the
latency of one image on one core, in turns: torch, then onnxruntime. A ratio above 1 means that
onnxruntime is faster. Times are this process's CPU seconds, which other work on the machine
disturbs little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import origin, publish
from data_prep.commands.options import at_least
from lasoftmoe.deployment.export import TOLERANCE, export_run
from lasoftmoe.deployment.scorer import OnnxScorer, Scorer, TorchScorer
from lasoftmoe.experiment import Run, read_run

BATCH = 64


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deployment", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--rounds", type=at_least(1), default=50, help="timed images (50)")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def measure(run: Run, rounds: int) -> dict[str, Any]:
    """Export one run, compare, and time."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.onnx"
        export_run(run, path)
        scorers = {"torch": TorchScorer.of(run), "onnxruntime": OnnxScorer(path, threads=1)}
        size = path.stat().st_size
    images = chosen_images(run)
    difference = largest_difference(scorers, images)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"{run.folder}: scores of test images differ by {difference:.2g}")
    seconds = in_turns(scorers, images[:1], rounds)
    return {
        "experiment": run.name,
        "run": run.folder.name,
        "image_size": run.config.data.image_size,
        "file_bytes": size,
        "images_compared": len(images),
        "largest_difference": float(f"{difference:.2g}"),
        **{f"{name}_ms": round(1e3 * statistics.median(s), 3) for name, s in seconds.items()},
        "ratio": round(
            statistics.median(
                t / o for t, o in zip(seconds["torch"], seconds["onnxruntime"], strict=True)
            ),
            3,
        ),
    }


def chosen_images(run: Run) -> np.ndarray:
    """Return up to 256 images of the run's test split, uint8 (images, 3, size, size)."""
    test = run.datasets()["test"]
    chosen = np.linspace(0, len(test) - 1, min(256, len(test))).astype(int).tolist()
    return test.batch(chosen)["image"].numpy()


def largest_difference(scorers: dict[str, Scorer], images: np.ndarray) -> float:
    """Return the largest difference of the two scores, relative to scores above 1."""
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    wanted, found = (
        np.concatenate([scorers[name].score(part) for part in parts])
        for name in ("torch", "onnxruntime")
    )
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max())


def in_turns(scorers: dict[str, Scorer], image: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each scorer in each round, after three that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    for number in range(rounds + 3):
        for name, scorer in scorers.items():
            start = time.process_time()
            scorer.score(image)
            if number >= 3:
                seconds[name].append(time.process_time() - start)
    return seconds


def report(record: dict[str, Any]) -> str:
    """Format the record as a table."""
    lines = [f"{record['hardware']}, one core, one image, CPU milliseconds", ""]
    lines += [
        f"{row['experiment']:16}torch {row['torch_ms']:7.2f}   onnxruntime "
        f"{row['onnxruntime_ms']:7.2f}   ratio {row['ratio']:.2f}   scores of "
        f"{row['images_compared']} images differ by {row['largest_difference']:.1g} at most"
        for row in record["rows"]
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    record = {
        **origin("deployment", [_name(word) for word in options.given]),
        "load_before": os.getloadavg()[0],
    }
    record["rows"] = [measure(read_run(run), options.rounds) for run in options.runs]
    publish(record, report(record), options.out)
    return 0


def _name(word: str) -> str:
    """A run by its name: where its folder is says nothing."""
    return f"runs/{Path(word).name}" if Path(word).is_dir() else word


if __name__ == "__main__":
    raise SystemExit(main())
