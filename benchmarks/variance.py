"""Which draw moves the result most? ``python -m benchmarks.variance``.

A detector's test error depends on draws that a table of results hides: the initial weights, the
order of the images, which people are in which split, and the seed of the renderer. Each is varied
alone, the others keep their first value. The plan is ``studies/variance.yaml``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record import origin, publish
from data_prep.commands.options import at_least
from data_prep.manifest import SPLITS
from data_prep.seeds import derive_seed
from data_prep.synthetic.dataset import write_synthetic_dataset
from lasoftmoe.data import FaceDataset, open_dataset
from lasoftmoe.evaluation import evaluate_detector
from lasoftmoe.experiment import load_config, open_datasets
from lasoftmoe.experiment.config import ExperimentConfig
from lasoftmoe.methods import build_detector
from lasoftmoe.paths import ROOT
from lasoftmoe.records.plans import plan_fields
from lasoftmoe.training import train

PLAN = ROOT / "studies" / "variance.yaml"
SOURCES = ("weights", "order", "split", "renderer")
Splits = dict[str, FaceDataset]


def error_on_test(config: ExperimentConfig, splits: Splits, weights: int, order: int) -> float:
    """Train and return the test ACER, with the threshold from dev.

    Args:
        config: The experiment; its own seed is not used.
        splits: Train, dev, and test.
        weights: Seed of the initial weights.
        order: Seed of everything that training draws: the order of the images and their moves.
    """
    detector = build_detector(config.detector, weights)
    train(detector, splits["train"], splits["dev"], config.training, order)
    size = config.training.eval_batch_size
    return evaluate_detector(detector, splits["dev"], splits["test"], size).test.acer


def shuffled_people(splits: Splits, draw: int) -> Splits:
    """Deal the people to splits of the same numbers of people again; draw 0 leaves them.

    Images that no split holds stay out, as masks do in protocol 1.
    """
    if draw == 0:
        return splits
    every = pd.concat([splits[name].table.assign(split=name) for name in SPLITS])
    now = every.groupby("subject")["split"].first()
    rng = np.random.default_rng(derive_seed("split of people", draw))
    dealt = pd.Series(rng.permutation(now.to_numpy()), index=now.index)
    split = every["subject"].map(dealt)
    return {
        name: FaceDataset(
            splits[name].images,
            every[split == name].drop(columns="split"),
            name,
            splits[name].protocol,
            f"{splits[name].checksum}, people dealt {draw}",
        )
        for name in SPLITS
    }


def rendered_again(config: ExperimentConfig, seed: int, folder: Path, workers: int) -> Splits:
    """Render the dataset with another seed of the renderer, and open it."""
    write_synthetic_dataset(folder, config.preset, seed=seed, workers=workers)
    return open_dataset(folder, config.data.protocol, config.data.image_size)


def measure(options: argparse.Namespace, error: Callable[..., float] = error_on_test) -> list[dict]:
    """Return a row for each source and draw, with the test ACER."""
    config = load_config(options.experiment, options.preset)
    splits = open_datasets(config)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for source in options.sources:
            for draw in range(options.draws):
                data, seeds = splits, {"weights": 0, "order": 0}
                if source in seeds:
                    seeds[source] = draw
                elif source == "split":
                    data = shuffled_people(splits, draw)
                elif draw:
                    path = Path(folder) / f"seed-{draw}"
                    data = rendered_again(config, draw, path, options.workers)
                found = error(config, data, **seeds)
                rows.append({"source": source, "draw": draw, "acer": found})
                print(f"{source}, draw {draw}: ACER {100 * found:.1f}%", flush=True)
    return rows


def summarize(rows: list[dict[str, Any]], resamples: int = 2000) -> list[dict[str, Any]]:
    """Return each source's standard deviation of the ACER, with an interval over its draws."""
    rng, result = np.random.default_rng(0), []
    for source, group in pd.DataFrame(rows).groupby("source", sort=False):
        values = group["acer"].to_numpy()
        drawn = values[rng.integers(len(values), size=(resamples, len(values)))].std(axis=1, ddof=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        spread = {"deviation": float(values.std(ddof=1)), "low": float(low), "high": float(high)}
        result.append({"source": source, "draws": len(values), **spread})
    return result


def to_text(summary: list[dict[str, Any]]) -> str:
    """Format one line for each source, in points."""
    return "\n".join(
        f"{row['source']:9s} {row['draws']} draws: standard deviation {100 * row['deviation']:.2f} "
        f"[{100 * row['low']:.2f}, {100 * row['high']:.2f}] points of ACER"
        for row in summary
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variance", description=__doc__)
    parser.add_argument("--experiment", default="vanilla")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--draws", type=at_least(2), default=10, help="of each source")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--workers", type=at_least(1), default=2, help="to render with")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    told = plan_fields(PLAN)
    rows = measure(options)
    summary = summarize(rows)
    record = {
        **origin("variance", sys.argv[1:] if arguments is None else arguments),
        **told,
        "title": "Spread of the test error by source",
        "experiment": options.experiment,
        "preset": options.preset,
        "sources": summary,
        "results": rows,
    }
    publish(record, to_text(summary), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
