"""Effect of re-processing on rejection: ``python -m benchmarks.reprocessing``.

In the dataset, clean and re-processed live images are different images, and either may be harder by
chance. Here every live capture of the test people is processed in every way and scored by the runs
of one experiment, each with its threshold from dev.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.record import origin, publish
from data_prep.building.parallel import run_units
from data_prep.commands.options import at_least
from data_prep.manifest import read_dataset
from data_prep.seeds import derive_seed
from data_prep.synthetic.camera import to_bytes
from data_prep.synthetic.nuisance import NO_NUISANCE, NUISANCES, reprocess
from data_prep.synthetic.plan import PRESETS, SubjectPlan, plan_subjects
from data_prep.synthetic.subject import live_captures, saved
from data_prep.taxonomy import LIVE
from lasoftmoe.data import FaceDataset
from lasoftmoe.evaluation import score
from lasoftmoe.experiment import run
from lasoftmoe.experiment.config import known_experiments
from lasoftmoe.metrics.intervals import Scored, bootstrap_interval
from lasoftmoe.paths import EMBEDDED_DATA

FORMS = (NO_NUISANCE, *NUISANCES)


def forms_of(plan: SubjectPlan, seed: int) -> Tensor:
    """Return each live capture of a subject in every form, uint8 (captures, forms, 3, h, w)."""
    captures = live_captures(plan, seed).split(1)
    return torch.stack([_forms(c, seed, plan.number, i) for i, c in enumerate(captures)])


def _forms(image: Tensor, seed: int, subject: int, capture: int) -> Tensor:
    def generator(*purpose: str) -> torch.Generator:
        number = derive_seed("forms", seed, subject, capture, *purpose)
        return torch.Generator().manual_seed(number)

    # All forms of a capture are saved in the same way.
    forms = [saved(reprocess(image, name, generator(name)), generator()) for name in FORMS]
    return to_bytes(torch.cat(forms))


def every_form(plans: list[SubjectPlan], seed: int, workers: int | None) -> FaceDataset:
    """Return all live captures of some subjects in every form, with a column ``nuisance``."""
    draw = functools.partial(forms_of, seed=seed)
    forms = run_units(draw, plans, workers, "people")
    rows = [
        {
            "id": f"{plan.number}-{capture}-{name}",
            "subject": f"s{plan.number:04d}",
            "nuisance": name,
        }
        for plan, of_plan in zip(plans, forms, strict=True)
        for capture in range(len(of_plan))
        for name in FORMS
    ]
    table = pd.DataFrame(rows).assign(is_attack=False, attack_type=LIVE)
    table["row"] = np.arange(len(table))
    images = torch.cat([of_plan.flatten(0, 1) for of_plan in forms]).numpy()
    return FaceDataset(images, table, "test", "p1", "every form")


def summarize(runs: list[Scored]) -> dict:
    """Compute rejection rates and their gap.

    Args:
        runs: Scores of live images and attacks, with a column nuisance, for each seed.

    Returns:
        "rejected", the rejected share of live images by form, averaged over runs; and "gap", the
        share of re-processed minus that of clean images, with its interval over subjects and seeds.
    """
    rates = []
    for scored in runs:
        live = scored.scores[~scored.scores["is_attack"]]
        rates.append((live["attack_score"] >= scored.threshold).groupby(live["nuisance"]).mean())
    rejected = pd.concat(rates, axis=1).mean(axis=1)
    gap = bootstrap_interval("reprocessed_gap", runs)
    return {"rejected": {str(k): float(v) for k, v in rejected.items()}, "gap": asdict(gap)}


def measure(options: argparse.Namespace) -> dict:
    """Train missing runs, draw the test people, score them, and count."""
    info = read_dataset(EMBEDDED_DATA).info
    plans = plan_subjects(PRESETS["laptop"], info["seed"])
    people = [plan for plan in plans if plan.split == "test"][: options.people]
    images = every_form(people, info["seed"], options.workers)
    runs = []
    for seed in range(options.seeds):
        trained = run(options.experiment, options.preset, seed)
        live = score(trained.detector(), images).assign(nuisance=images.table["nuisance"])
        test = trained.scores[trained.scores["split"] == "test"]
        attacks = test[test["is_attack"] & test["subject"].isin(live["subject"])]
        both = pd.concat([live, attacks.assign(nuisance=NO_NUISANCE)])
        runs.append(Scored(both, trained.report["threshold"]))
    return {
        **origin("reprocessing", options.given),
        "title": "Live test captures rejected, each in every form",
        "experiment": options.experiment,
        "preset": options.preset,
        "seeds": list(range(options.seeds)),
        "people": len(people),
        "captures": len(images) // len(FORMS),
        "dataset": info["checksums"]["dataset"],
        **summarize(runs),
    }


def to_text(record: dict) -> str:
    """Format percent by form, and the gap in points."""
    rates = {name: f"{100 * rate:.1f}" for name, rate in record["rejected"].items()}
    estimate, low, high = (100 * record["gap"][key] for key in ("estimate", "low", "high"))
    return (
        f"{record['experiment']}, {len(record['seeds'])} seeds, {record['captures']} live captures "
        f"of {record['people']} test people; rejected, %: {rates}\n"
        f"re-processed minus clean: {estimate:.1f} [{low:.1f}, {high:.1f}] points"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reprocessing", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--experiment", choices=known_experiments(), default="vanilla")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--seeds", type=at_least(1), default=5)
    parser.add_argument("--people", type=at_least(2), help="test people (default: all)")
    parser.add_argument("--workers", type=at_least(1))
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    record = measure(options)
    publish(record, to_text(record), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
