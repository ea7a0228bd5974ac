"""One detector for all attacks, or one for each side? ``python -m benchmarks.unified_or_separate``.

Three detectors are trained with the same number of steps: on all attacks of the train people, on
the physical ones, and on the digital ones, each with all live images. The two for one side work
together by the larger of their scores, each over its own threshold from dev. The plan is
``studies/unified_or_separate.yaml``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record import origin, publish
from data_prep.commands.options import at_least
from lasoftmoe.data import FaceDataset
from lasoftmoe.evaluation import score
from lasoftmoe.experiment import load_config, open_datasets
from lasoftmoe.experiment.config import ExperimentConfig
from lasoftmoe.methods import build_detector
from lasoftmoe.metrics import eer_threshold
from lasoftmoe.metrics.intervals import Scored, bootstrap_interval, paired_difference
from lasoftmoe.paths import ROOT
from lasoftmoe.records.plans import plan_fields
from lasoftmoe.training import train

PLAN = ROOT / "studies" / "unified_or_separate.yaml"
SIDES = {"physical": ("physical",), "digital": ("editing", "adversarial")}
EVERYTHING = ("physical", "editing", "adversarial")
TOGETHER = "separate"
Splits = Mapping[str, FaceDataset]


def with_attacks(dataset: FaceDataset, families: tuple[str, ...]) -> FaceDataset:
    """Return the live images of a split and its attacks of these families."""
    kept = dataset.table["family"].isin([*families, "live"])
    checksum = f"{dataset.checksum}, {'+'.join(families)}"
    table = dataset.table[kept]
    return FaceDataset(dataset.images, table, dataset.split, dataset.protocol, checksum)


def repeated(dataset: FaceDataset, length: int) -> FaceDataset:
    """Repeat the images of a split until there are ``length``, so that an epoch has as many steps.

    The last repetition is cut. Each has an id of its own.
    """
    rows = np.resize(np.arange(len(dataset)), length)
    table = dataset.table.iloc[rows].copy()
    table["id"] = [f"{name}#{place}" for place, name in enumerate(table["id"])]
    return FaceDataset(dataset.images, table, dataset.split, dataset.protocol, dataset.checksum)


def scored(
    config: ExperimentConfig, splits: Splits, families: tuple[str, ...], seed: int
) -> Scored:
    """Train on attacks of these families; return scores of all test images, over the threshold.

    The threshold is the equal error rate of dev images of these families.
    """
    detector = build_detector(config.detector, seed)
    own = repeated(with_attacks(splits["train"], families), len(splits["train"]))
    dev = with_attacks(splits["dev"], families)
    train(detector, own, dev, config.training, seed)
    size = config.training.eval_batch_size
    on_dev, test = (score(detector, part, size) for part in (dev, splits["test"]))
    threshold = eer_threshold(on_dev["attack_score"], on_dev["is_attack"])
    return Scored(test.assign(attack_score=test["attack_score"] - threshold), 0.0)


def together(first: Scored, second: Scored) -> Scored:
    """Call an image an attack if either detector does: the larger of the two scores."""
    other = second.scores.set_index("id")["attack_score"]
    larger = np.maximum(first.scores["attack_score"], first.scores["id"].map(other))
    return Scored(first.scores.assign(attack_score=larger), 0.0)


def on_families(run: Scored, families: tuple[str, ...]) -> Scored:
    """Return the scores of live images and of attacks of these families."""
    kept = run.scores["family"].isin([*families, "live"])
    return Scored(run.scores[kept], run.threshold)


def compare(runs: Mapping[str, list[Scored]]) -> dict[str, Any]:
    """Compare the unified detector with the two together, and each side with the other.

    Args:
        runs: Scores over seeds, by "unified", "physical", and "digital".

    Returns:
        "acer" of the unified detector and of the two, their difference, and "auc" of each detector
        on each side, all with intervals over people and seeds.
    """
    pairs = zip(runs["physical"], runs["digital"], strict=True)
    both = {"unified": runs["unified"], TOGETHER: [together(a, b) for a, b in pairs]}
    return {
        "acer": {name: asdict(bootstrap_interval("acer", of)) for name, of in both.items()},
        "difference": asdict(paired_difference(both["unified"], both[TOGETHER], "acer")),
        "auc": [
            {
                "trained_on": name,
                "tested_on": side,
                **asdict(bootstrap_interval("auc", [on_families(r, families) for r in of])),
            }
            for name, of in runs.items()
            for side, families in SIDES.items()
        ],
    }


def to_text(result: dict[str, Any]) -> str:
    """Format the comparison in percent."""

    def percent(entry: Mapping[str, float]) -> str:
        estimate, low, high = (100 * entry[key] for key in ("estimate", "low", "high"))
        return f"{estimate:.1f} [{low:.1f}, {high:.1f}]"

    lines = [f"ACER, {name}: {percent(entry)}" for name, entry in result["acer"].items()]
    lines.append(f"ACER, unified minus separate: {percent(result['difference'])}")
    frame = pd.DataFrame(result["auc"])
    for row in frame.to_dict("records"):
        lines.append(f"AUC, trained on {row['trained_on']}, on {row['tested_on']}: {percent(row)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unified_or_separate", description=__doc__
    )
    parser.add_argument("--experiment", default="vanilla")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--seeds", type=at_least(1), default=5)
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    told = plan_fields(PLAN)
    config = load_config(options.experiment, options.preset)
    splits = open_datasets(config)
    trained = {"unified": EVERYTHING, **SIDES}
    runs = {
        name: [scored(config, splits, families, seed) for seed in range(options.seeds)]
        for name, families in trained.items()
    }
    result = compare(runs)
    record = {
        **origin("unified_or_separate", sys.argv[1:] if arguments is None else arguments),
        **told,
        "title": "One detector for all attacks, or one for each side",
        "experiment": options.experiment,
        "preset": options.preset,
        "seeds": list(range(options.seeds)),
        "dataset": splits["test"].checksum,
        **result,
    }
    publish(record, to_text(result), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
