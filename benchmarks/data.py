"""Benchmark of loading images: ``python -m benchmarks.data``.

The first opening of a dataset (decode, resize, checksum, write the cache) is compared with a bare
loop that decodes and resizes the same files. Shuffled batches from the cache are compared with
copies of the same number of bytes. Both sides take turns; a ratio above 1 means that ours is
faster.

Reading and checking a dataset's tables takes about 50 milliseconds for any number of images: a
tenth of the time for a thousand small images, a hundredth for ten thousand.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image
from skimage.data import astronaut
from tqdm import tqdm

from benchmarks.record import origin, publish, verdict
from benchmarks.timing import CLOCKS
from data_prep.manifest import write_dataset
from lasoftmoe.data import FaceDataset, epoch_loader, open_dataset
from lasoftmoe.data.sampling import EpochBatches

BATCH = 64
LEAST_OF_PILLOW = 0.8
LEAST_OF_COPYING = 0.5


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--images", type=int, default=4000, help="images of each kind (4000)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds, after one more (7)")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="process",
        help="process counts this process's seconds on all cores, so results are per core",
    )
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.images < 2 * BATCH:
        parser.error(f"--rounds must be at least 1 and --images at least {2 * BATCH}")
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def write_faces(folder: Path, count: int, size: int, suffix: str) -> Path:
    """Write a prepared dataset of crops from a portrait, as sharp as real photos."""
    generator, portrait = np.random.default_rng(0), Image.fromarray(astronaut())
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        left, top = generator.integers(0, 512 - 200, 2)
        crop = portrait.crop((left, top, left + 200, top + 200)).resize((size, size))
        path = f"images/{number}.{suffix}"
        crop.save(folder / path, **({"quality": 92} if suffix == "jpg" else {}))
        kind = ("live", "live", "live") if number % 2 else ("fake", "physical", "print")
        row = dict(zip(("label", "family", "type"), kind, strict=True))
        rows.append({"id": str(number), "path": path, "subject": str(number), **row})
    table = pd.DataFrame(rows).assign(source="portrait", frame=0)
    split = ["train"] * (count - 4) + ["dev"] * 2 + ["test"] * 2
    info = {"name": "benchmark", "version": "1", "license": "CC0-1.0", "seed": 0}
    info |= {"generator": "benchmarks.data", "image_size": size}
    write_dataset(folder, table, {"p1": pd.DataFrame({"id": table["id"], "split": split})}, info)
    return folder


def bare_pillow(folder: Path, size: int) -> int:
    """Only decode and resize every file."""
    total = 0
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            pixels = image.convert("RGB")
        if pixels.size != (size, size):
            pixels = pixels.resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(pixels).shape[0]
    return total


def first_opening(folder: Path, size: int, runs: Path) -> dict[str, FaceDataset]:
    """Open a dataset for the first time with this folder of runs."""
    with mock.patch.dict(os.environ, LASOFTMOE_RUNS=str(runs), TQDM_DISABLE="1"):
        return open_dataset(folder, "p1", size)


def in_turns(
    steps: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float],
    afterwards: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Time every step in each round, after a first round that does not count.

    ``afterwards`` runs after each step and is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in tqdm(range(rounds + 1), desc="rounds", leave=False):
        for name, step in steps.items():
            start = clock()
            step()
            if number:
                seconds[name].append(clock() - start)
            afterwards()
    return seconds


def row(name: str, against: str, seconds: Mapping[str, list[float]], images: int) -> dict:
    """Compare a measurement with its reference, round by round."""
    pairs = zip(seconds[against], seconds[name], strict=True)
    return {
        "what": name,
        "images_per_second": images / statistics.median(seconds[name]),
        "against": against,
        "against_images_per_second": images / statistics.median(seconds[against]),
        "ratio": statistics.median(other / mine for other, mine in pairs),
    }


def before_the_cache(options: argparse.Namespace, folder: Path) -> list[dict]:
    """Compare first openings with Pillow: JPEG resized for ViT-B/16, and unresized PNG."""
    rows = []
    for suffix, side, size in (("jpg", 320, 224), ("png", 96, 96)):
        faces = write_faces(folder / suffix, options.images, side, suffix)
        name, bare = f"first opening, {suffix} {side} to {size} px", f"Pillow alone, {suffix}"
        steps = {
            bare: lambda faces=faces, size=size: bare_pillow(faces, size),
            name: lambda faces=faces, size=size: first_opening(faces, size, folder / "runs"),
        }
        seconds = in_turns(
            steps,
            options.rounds,
            CLOCKS[options.clock],
            afterwards=lambda: shutil.rmtree(folder / "runs", ignore_errors=True),
        )
        rows.append(row(name, bare, seconds, options.images))
    return rows


def after_the_cache(options: argparse.Namespace, folder: Path) -> list[dict]:
    """Compare shuffled batches of 224 x 224 pixels with copies of the same number of bytes."""
    dataset = first_opening(folder / "jpg", 224, folder / "runs")["train"]
    memory = np.array(dataset.images[: len(dataset)])
    order = EpochBatches(dataset.is_attack, BATCH, seed=0)
    starts = range(0, len(order) * BATCH, BATCH)
    steps = {
        "copying memory": lambda: [memory[start : start + BATCH].copy() for start in starts],
        "shuffled batches": lambda: [dataset.batch(indices) for indices in order],
        "shuffled batches, DataLoader": lambda: list(epoch_loader(dataset, order)),
    }
    seconds = in_turns(steps, 3 * options.rounds, CLOCKS[options.clock])
    images = len(order) * BATCH
    return [row(name, "copying memory", seconds, images) for name in list(steps)[1:]]


def targets(rows: list[dict]) -> list[dict]:
    """Compare the measured speeds with our targets."""
    found = []
    for measured in rows:
        least = LEAST_OF_COPYING if measured["against"].startswith("copy") else LEAST_OF_PILLOW
        name = f"{measured['what']} over {measured['against']}"
        ratio = measured["ratio"]
        found.append({"target": name, "measured": ratio, "at_least": least, "met": ratio >= least})
    return found


def measure(options: argparse.Namespace) -> dict:
    """Measure everything and return a record."""
    record = {
        **origin("data", options.given),
        "clock": options.clock,
        "load_before": os.getloadavg()[0],
        "images": options.images,
    }
    with tempfile.TemporaryDirectory() as name:
        record["rows"] = before_the_cache(options, Path(name))
        record["rows"] += after_the_cache(options, Path(name))
    record["targets"] = targets(record["rows"])
    return record


def report(record: dict) -> str:
    """Format the record as a table."""
    unit = "images per core-second" if record["clock"] == "process" else "images/s"
    lines = [f"{record['hardware']}, {record['clock']} clock, {unit}", ""]
    for measured in record["rows"]:
        lines.append(
            f"{measured['what']:40}{measured['images_per_second']:10.0f}   "
            f"{measured['against']:20}{measured['against_images_per_second']:10.0f}"
            f"   ratio {measured['ratio']:.2f}"
        )
    lines += map(verdict, record["targets"])
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    record = measure(options)
    publish(record, report(record), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
