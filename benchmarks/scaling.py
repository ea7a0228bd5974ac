"""``python -m benchmarks.scaling``: what preparing ten million videos would take, on paper.

``--measure`` measures the rates on one core and writes ``docs/scaling_rates.json``; without it the
table in ``docs/scaling.md`` is computed again from those rates and the assumptions below. Nothing
else in the plan is a number that somebody made up.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from benchmarks.record import origin
from data_prep.atomic import write_atomically
from data_prep.manifest import PreparedDataset, write_dataset
from lasoftmoe.records.recorded import write_recorded

DOCS = Path(__file__).resolve().parent.parent / "docs"
RATES, PLAN = DOCS / "scaling_rates.json", DOCS / "scaling.md"
BEGIN, END = "<!-- begin of the computed table -->\n", "<!-- end of the computed table -->"


IMAGES_PACKED = 1000


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured; change it here and run the command again.

    Attributes:
        videos: videos to prepare.
        video_bytes: size of one.
        frames: frames taken of each.
        faces_found: share of frames that give a face.
        cores: cores that work at the same time.
        efficiency: share of a core's throughput that is left among so many.
        core_hour: price of one core for an hour, dollars.
        gigabyte_month: price of storing 10^9 bytes for a month, dollars.
        months: how long the prepared images are kept.
        shard_size: bytes of a shard.
        part: videos that are prepared as one dataset.
    """

    videos: int = 10**7
    video_bytes: int = 5 * 10**6
    frames: int = 8
    faces_found: float = 0.9
    cores: int = 512
    efficiency: float = 0.85
    core_hour: float = 0.04
    gigabyte_month: float = 0.023
    months: int = 12
    shard_size: int = 256 * 10**6
    part: int = 10**5


@dataclass(frozen=True)
class Rates:
    """What was measured, on one core, in seconds that the process had it.

    Attributes:
        clip_seconds: to decode a clip, find and cut eight faces and write them.
        crop_bytes: size of one face of 224 x 224 as PNG.
        pack_seconds_of_gigabyte: to pack 10^9 bytes of images into shards.
        pack_overhead: size of all shards over that of the images in them.
        row_bytes: memory that one row of a manifest takes.
    """

    clip_seconds: float
    crop_bytes: float
    pack_seconds_of_gigabyte: float
    pack_overhead: float
    row_bytes: float


def table(rates: Rates, given: Assumptions | None = None) -> str:
    """The plan as a Markdown table: quantity, value, how it is computed."""
    a = given or Assumptions()
    images = a.videos * a.frames * a.faces_found
    crops = images * rates.crop_bytes
    packed = crops * rates.pack_overhead
    preparing = a.videos * rates.clip_seconds / 3600
    packing = crops / 1e9 * rates.pack_seconds_of_gigabyte / 3600
    hours = (preparing + packing) / (a.cores * a.efficiency)
    bandwidth = a.videos * a.video_bytes / (preparing / (a.cores * a.efficiency) * 3600)
    storing = packed / 1e9 * a.gigabyte_month * a.months
    computing = (preparing + packing) * a.core_hour
    per_part = a.part * a.frames * a.faces_found
    rows = [
        ("videos, as they come", f"{a.videos * a.video_bytes / 1e12:,.1f} TB", "videos × size"),
        ("faces", f"{images / 1e6:,.0f} million", "videos × frames × share that gives a face"),
        ("faces as files", f"{crops / 1e12:,.1f} TB", "faces × size of a face (measured)"),
        ("shards", f"{packed / a.shard_size:,.0f}", "faces as files × overhead ÷ shard size"),
        ("shards, size", f"{packed / 1e12:,.1f} TB", "faces as files × overhead (measured)"),
        ("cores' hours, preparing", f"{preparing:,.0f}", "videos × seconds of a clip (measured)"),
        ("cores' hours, packing", f"{packing:,.0f}", "faces as files × seconds of a GB (measured)"),
        ("hours on all cores", f"{hours:,.1f}", "cores' hours ÷ (cores × efficiency)"),
        ("reading, all cores", f"{bandwidth / 1e9:,.1f} GB/s", "videos' size ÷ hours of preparing"),
        ("cost of computing", f"${computing:,.0f}", "cores' hours × price"),
        ("cost of keeping shards", f"${storing:,.0f}", "size × price × months"),
        ("parts", f"{a.videos / a.part:,.0f}", "videos ÷ videos of a part"),
        ("shards of a part", f"{packed / a.shard_size * a.part / a.videos:,.0f}", "by share"),
        (
            "memory for the tables of a part",
            f"{per_part * rates.row_bytes / 1e9:,.1f} GB",
            "faces of a part × bytes of a row (measured)",
        ),
        (
            "the same without parts",
            f"{images * rates.row_bytes / 1e9:,.0f} GB",
            "faces × bytes of a row (measured)",
        ),
    ]
    lines = "".join(f"| {name} | {value} | {how} |\n" for name, value, how in rows)
    return f"| | | computed as |\n|---|---:|---|\n{lines}"


def measured() -> Rates:
    """The rates as they were recorded."""
    record = json.loads(RATES.read_text("utf-8"))
    return Rates(**record["rates"])


def measure(clips: int) -> dict:
    """Prepare a few rendered clips and pack their faces many times over, on one core."""
    from benchmarks.preparation import write_release
    from data_prep.building.shards import write_shards
    from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset

    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "release", Path(folder) / "out"
        write_release(root, clips, 90, 30)
        start = time.process_time()
        dataset = prepare_subset("siw", root, out, Wishes(frames=8, allow_missing=True), 1)
        preparing = time.process_time() - start
        sizes = [dataset.locate(path).stat().st_size for path in dataset.manifest["path"]]
        many = repeated(dataset, Path(folder) / "many", -(-IMAGES_PACKED // len(sizes)))
        start = time.process_time()
        write_shards(many.folder, Path(folder) / "packed", "all", 16 * 10**6, 1)
        packing = time.process_time() - start
        packed = sum(sizes) * len(many.manifest) / len(sizes)
        shards = (Path(folder) / "packed/shards").glob("*.parquet")
        overhead = sum(path.stat().st_size for path in shards) / packed
        memory = int(dataset.manifest.memory_usage(deep=True).sum())
    rates = Rates(
        clip_seconds=preparing / clips,
        crop_bytes=sum(sizes) / len(sizes),
        pack_seconds_of_gigabyte=packing / packed * 1e9,
        pack_overhead=overhead,
        row_bytes=memory / len(sizes),
    )
    return {
        **origin("scaling", ["--measure", "--clips", str(clips)]),
        "load": [load, os.getloadavg()[0]],
        "clips": clips,
        "clip": "640 x 480, 90 frames, H.264, a key frame every 30; 8 frames taken",
        "faces": len(sizes),
        "faces_packed": len(many.manifest),
        "rates": {name: float(f"{value:.4g}") for name, value in vars(rates).items()},
    }


def repeated(dataset: PreparedDataset, folder: Path, times: int) -> PreparedDataset:
    """The same images many times over, so that opening tables does not weigh."""
    parts = []
    for turn in range(times):
        rows = dataset.manifest.assign(id=[f"{key}-{turn}" for key in dataset.manifest["id"]])
        rows["path"] = [f"images/{key}.png" for key in rows["id"]]
        for old, new in zip(dataset.manifest["path"], rows["path"], strict=True):
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.locate(old), folder / new)
        parts.append(rows)
    manifest = pd.concat(parts, ignore_index=True)
    protocol = pd.DataFrame({"id": manifest["id"], "split": "train"})
    return write_dataset(folder, manifest, {"all": protocol}, dataset.info)


def with_table(text: str, new: str) -> str:
    """``docs/scaling.md`` with the table between the marks replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + new + END + rest.split(END)[1]


def main(arguments: list[str] | None = None) -> int:
    """Measure if asked to, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the rates again first")
    parser.add_argument("--clips", type=int, default=12, help="clips to measure with (12)")
    options = parser.parse_args(arguments)
    if options.measure:
        write_recorded(measure(options.clips), RATES)
    text = with_table(PLAN.read_text("utf-8"), table(measured()))
    write_atomically(PLAN, lambda path: path.write_text(text, "utf-8"))
    print(table(measured()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
