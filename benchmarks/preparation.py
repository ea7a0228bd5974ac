"""Benchmark of preparing videos: ``python -m benchmarks.preparation``.

The importer is compared with a bare loop, and two workers with one. The release is written here:
H.264 videos of 640 x 480 with a rendered face and SiW's file names. The bare loop does only what is
necessary. It decodes each video up to the last wanted frame, finds and crops the face, and writes a
PNG, with no checks, no tables, and no way to resume. Both take turns and are timed in CPU seconds
of the process, so other work on the machine does not count. Two workers and one can be compared
only by the wall clock, on two idle cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
from PIL import Image

from benchmarks.record import origin, publish
from data_prep.media.faces import CropRules, EmbeddedDetector, FaceReport, cut_face
from data_prep.media.video import spread
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import render

WIDTH, HEIGHT, FACE = 640, 480, 288
PER_CORE, TWO_WORKERS = 0.85, 1.7  # targets
IDLE_LOAD = 0.5
RUNS = ("bare, core", "importer, core", "one worker, wall", "two workers, wall")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.preparation", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--clips", type=int, default=24, help="videos (24)")
    parser.add_argument("--length", type=int, default=90, help="frames per video (90)")
    parser.add_argument("--frames", type=int, default=8, help="frames to take from each video (8)")
    parser.add_argument("--gop", type=int, default=30, help="frames between key frames (30)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (5)")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def write_release(root: Path, clips: int, length: int, gop: int) -> None:
    """Write videos of faces that move over noise."""
    faces = render(sample_identities(4, 0), sample_sessions(4, 0), FACE).radiance
    faces = (255 * faces.clamp(0, 1) ** (1 / 2.2)).round().byte().permute(0, 2, 3, 1).numpy()
    noise = np.random.default_rng(0).integers(60, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    for clip in range(clips):
        subject = clip // 3
        path = root / f"{'Test' if subject % 3 == 0 else 'Train'}/{subject:03d}"
        path.mkdir(parents=True, exist_ok=True)
        name = f"{subject:03d}-1-{clip % 3 + 1}-1-1.mp4"
        with av.open(str(path / name), "w") as output:
            stream = output.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.gop_size = gop
            for number in range(length):
                picture = np.roll(noise, number, axis=1)
                left = WIDTH // 4 + number % 60
                picture[96 : 96 + FACE, left : left + FACE] = faces[clip % 4]
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode())


def bare_loop(root: Path, out: Path, length: int, frames: int, crop: CropRules) -> None:
    """Decode, crop, and encode."""
    detector, report, wanted = EmbeddedDetector(), FaceReport(), set(spread(length, frames))
    for path in sorted(root.rglob("*.mp4")):
        (out / path.stem).mkdir(parents=True)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted:
                    face = cut_face(frame.to_ndarray(format="rgb24"), detector, crop, report)
                    if face is not None:
                        Image.fromarray(face).save(out / path.stem / f"{number:06d}.png")
                if number == max(wanted):
                    break


def timed(work: Callable[[Path], object]) -> tuple[float, float]:
    """Return CPU seconds and wall-clock seconds of one run into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        core, wall = time.process_time(), time.perf_counter()
        work(Path(folder) / "out")
        return time.process_time() - core, time.perf_counter() - wall


def measure(options: argparse.Namespace, root: Path) -> dict[str, list[float]]:
    """Time every run, in turns."""
    wishes = Wishes(frames=options.frames, allow_missing=True)

    def prepare(workers: int) -> Callable[[Path], object]:
        return lambda out: prepare_subset("siw", root, out, wishes, workers)

    def bare(out: Path) -> None:
        bare_loop(root, out, options.length, options.frames, wishes.crop)

    timed(prepare(2))  # the workers start once
    seconds: dict[str, list[float]] = {name: [] for name in RUNS}
    for _ in range(options.rounds):
        seconds["bare, core"].append(timed(bare)[0])
        core, wall = timed(prepare(1))
        seconds["importer, core"].append(core)
        seconds["one worker, wall"].append(wall)
        seconds["two workers, wall"].append(timed(prepare(2))[1])
    return seconds


def time_all(options: argparse.Namespace) -> dict:
    """Measure everything and return a record."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        write_release(Path(folder), options.clips, options.length, options.gop)
        seconds = measure(options, Path(folder))

    def ratio(over: str, under: str) -> float:
        return median(a / b for a, b in zip(seconds[over], seconds[under], strict=True))

    made, idle = origin("preparation", options.given), load <= IDLE_LOAD
    per_core, two = ratio(*RUNS[:2]), ratio(*RUNS[2:])
    return {
        **made,
        "versions": made["versions"] | {"av": av.__version__},
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "clips": options.clips,
        "frames_of_a_clip": [options.frames, options.length],
        "picture": [WIDTH, HEIGHT],
        "seconds": seconds,
        "clips_per_second_of_a_core": options.clips / median(seconds["importer, core"]),
        "targets": [
            {
                "target": "importer's throughput over the bare loop's, per core",
                "measured": per_core,
                "at_least": PER_CORE,
                "met": per_core >= PER_CORE,
            },
            {
                "target": "two workers' throughput over one's",
                "measured": two,
                "at_least": TWO_WORKERS,
                "met": two >= TWO_WORKERS if idle else None,
                "cores_were_idle": idle,
            },
        ],
    }


def report(record: dict) -> str:
    """Format the record as lines."""
    lines = [
        f"{record['hardware']}, load {record['load_before']:.1f} to {record['load_after']:.1f}",
        f"{record['clips_per_second_of_a_core']:.2f} clips per core-second",
    ]
    verdicts = {True: "met", False: "MISSED", None: "no verdict: the cores were not idle"}
    for row in record["targets"]:
        lines.append(
            f"{row['target']}: {row['measured']:.2f} (>= {row['at_least']}) {verdicts[row['met']]}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    record = time_all(options)
    publish(record, report(record), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
