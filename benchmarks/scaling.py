"""Estimated cost of preparing ten million videos: ``python -m benchmarks.scaling``.

``--measure`` measures the rates on one core and writes ``docs/scaling_rates.json``. Without it, the
table in ``docs/scaling.md`` is recomputed from those rates and the assumptions below, which are the
only invented numbers.
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
    """Numbers that were not measured; change them here and run the command again.

    Attributes:
        videos: Number of videos.
        video_bytes: Bytes per video.
        frames: Frames taken from each video.
        faces_found: Share of frames with a face.
        cores: Number of cores.
        efficiency: Throughput of a core among so many, relative to one alone.
        core_hour: Price of a core-hour in dollars.
        gigabyte_month: Price of storing 10^9 bytes for a month in dollars.
        months: Months of storage.
        shard_size: Bytes per shard.
        part: Videos per dataset.
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
    """Measurements on one core; times are CPU seconds.

    Attributes:
        clip_seconds: Time to decode a clip and to find, crop, and write eight faces.
        crop_bytes: Bytes of a face of 224 x 224 as PNG.
        pack_seconds_of_gigabyte: Time to pack 10^9 bytes of images into shards.
        pack_overhead: Size of all shards divided by that of their images.
        row_bytes: Memory of a row of a manifest.
    """

    clip_seconds: float
    crop_bytes: float
    pack_seconds_of_gigabyte: float
    pack_overhead: float
    row_bytes: float


def table(rates: Rates, given: Assumptions | None = None) -> str:
    """Format the plan as a Markdown table: quantity, value, formula."""
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
        ("videos", f"{a.videos * a.video_bytes / 1e12:,.1f} TB", "number × size"),
        ("faces", f"{images / 1e6:,.0f} million", "videos × frames × share with a face"),
        ("faces as files", f"{crops / 1e12:,.1f} TB", "faces × size per face (measured)"),
        ("shards", f"{packed / a.shard_size:,.0f}", "faces as files × overhead ÷ shard size"),
        ("shards, size", f"{packed / 1e12:,.1f} TB", "faces as files × overhead (measured)"),
        ("core-hours, preparing", f"{preparing:,.0f}", "videos × seconds per clip (measured)"),
        ("core-hours, packing", f"{packing:,.0f}", "faces as files × seconds per GB (measured)"),
        ("hours on all cores", f"{hours:,.1f}", "core-hours ÷ (cores × efficiency)"),
        ("reading, all cores", f"{bandwidth / 1e9:,.1f} GB/s", "size of videos ÷ preparing hours"),
        ("cost of computing", f"${computing:,.0f}", "core-hours × price"),
        ("cost of storing shards", f"${storing:,.0f}", "size × price × months"),
        ("parts", f"{a.videos / a.part:,.0f}", "videos ÷ videos per part"),
        ("shards per part", f"{packed / a.shard_size * a.part / a.videos:,.0f}", "shards ÷ parts"),
        (
            "memory for the tables of a part",
            f"{per_part * rates.row_bytes / 1e9:,.1f} GB",
            "faces per part × bytes per row (measured)",
        ),
        (
            "the same without parts",
            f"{images * rates.row_bytes / 1e9:,.0f} GB",
            "faces × bytes per row (measured)",
        ),
    ]
    lines = "".join(f"| {name} | {value} | {how} |\n" for name, value, how in rows)
    return f"| | | formula |\n|---|---:|---|\n{lines}"


def measured() -> Rates:
    """Read the recorded rates."""
    record = json.loads(RATES.read_text("utf-8"))
    return Rates(**record["rates"])


def measure(clips: int) -> dict:
    """Prepare a few rendered clips and pack many copies of their faces, on one core."""
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
    """Write many copies of a dataset's images, so that opening tables costs little."""
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
    """Replace the table between the marks in ``docs/scaling.md``."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + new + END + rest.split(END)[1]


def main(arguments: list[str] | None = None) -> int:
    """Write the table, with ``--measure`` after measuring."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__, allow_abbrev=False
    )
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
