"""Is "fake" a wide class, and sparse? ``python -m benchmarks.premise``.

Measures the statistics of ``lasoftmoe.metrics.spaces`` on the dev people: in the layout, the
identity, and the texture of the images, and in CLIP's embedding before and after fine-tuning. The
plan is ``studies/premise.yaml``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.record import origin, publish
from data_prep.commands.options import at_least
from data_prep.inspection import probes
from data_prep.synthetic.attacks.surrogate import load_surrogate
from lasoftmoe.clip import load_clip
from lasoftmoe.data import FaceDataset
from lasoftmoe.experiment import load_config, open_datasets, run
from lasoftmoe.metrics.spaces import measure_space
from lasoftmoe.paths import ROOT
from lasoftmoe.records.plans import plan_fields

PLAN = ROOT / "studies" / "premise.yaml"
BATCH = 64
Features = NDArray[np.floating]


def image_spaces(images: torch.Tensor) -> dict[str, Features]:
    """Return layout, identity, texture, and CLIP's embedding before training, by name.

    Args:
        images: uint8, (images, 3, height, width).
    """
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    recognizer, clip = load_surrogate(), load_clip()
    with torch.no_grad():
        parts = images.split(BATCH)
        identity = torch.cat([recognizer(part / 255) for part in parts])
        embedding = torch.cat([clip.embed_images(part) for part in parts])
    return {
        "layout": probes.thumbnail(pixels),
        "identity": identity.numpy(),
        "texture": probes.energy(pixels),
        "clip_before": embedding.numpy(),
    }


def measure(dev: FaceDataset, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each space, seed, and statistic; spaces without training have seed None."""
    images = dev.batch(list(range(len(dev))))["image"]
    subject, family = (dev.table[name].to_numpy(dtype=object) for name in ("subject", "family"))
    spaces: list[tuple[str, int | None, Features]] = [
        (name, None, features) for name, features in image_spaces(images).items()
    ]
    for seed in range(options.seeds):
        detector = run("vanilla", options.preset, seed).detector()
        with torch.no_grad():
            embedding = torch.cat([detector.embed(part) for part in images.split(BATCH)])
        spaces.append(("clip_after", seed, embedding.numpy()))
    rows = []
    for name, seed, features in spaces:
        found = measure_space(features, subject, family, resamples=options.resamples)
        for statistic, interval in found.items():
            rows.append({"space": name, "seed": seed, "statistic": statistic, **asdict(interval)})
    return rows


def to_text(rows: list[dict[str, Any]]) -> str:
    """Format one line for each row."""
    return "\n".join(
        f"{row['space']:12s} {'' if row['seed'] is None else row['seed']:2} {row['statistic']:15s} "
        f"{row['estimate']:6.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        for row in rows
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.premise", description=__doc__)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--seeds", type=at_least(1), default=5, help="of the fine-tuned detector")
    parser.add_argument("--resamples", type=at_least(2), default=200, help="draws of the people")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    told = plan_fields(PLAN)
    dev = open_datasets(load_config("vanilla", options.preset))["dev"]
    rows = measure(dev, options)
    record = {
        **origin("premise", sys.argv[1:] if arguments is None else arguments),
        **told,
        "title": "How wide and how sparse the classes are, in five spaces",
        "preset": options.preset,
        "resamples": options.resamples,
        "dataset": dev.checksum,
        "people": int(dev.table["subject"].nunique()),
        "spaces": rows,
    }
    publish(record, to_text(rows), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
