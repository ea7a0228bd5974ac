"""Benchmark of the renderer: ``python -m benchmarks.rendering [--workers 2] [--device cpu]``.

Each worker draws people with one thread. On a busy machine, the wall clock says little; the number
of workers divided by the CPU seconds per image gives the rate on idle cores.

Then images are drawn in batches of several sizes, in turns, on one core and on a GPU if there is
one. A GPU is timed by the wall clock, including JPEG and sensor noise, which a CPU computes image
by image.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.record import origin
from benchmarks.timing import Method, in_turns
from data_prep.building.parallel import run_units
from data_prep.commands.options import at_least
from data_prep.seeds import derive_seed
from data_prep.synthetic.camera import capture
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import RENDER_SIZE, render
from lasoftmoe.records.recorded import write_recorded

BAR = 25.0
"""Target for two cores, in images per second."""
CAPTURES = 5
AT_ONCE = {"cpu": (1, 4, 16), "cuda": (1, 64, 256)}
"""Batch sizes."""
_BATCHES = {"cpu": 1, "cuda": 4}


def main() -> int:
    """Measure and print; write the record with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--people", type=at_least(1), default=20, help="five captures each")
    parser.add_argument("--workers", type=at_least(1), default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="rounds of batches")
    options = parser.parse_args()
    results = measure(options.people, options.workers, options.device)
    print(
        f"{results['cpu_ms_an_image']:.1f} CPU-ms per image (render {results['render_ms']:.1f}, "
        f"camera {results['camera_ms']:.1f}): {results['images_a_second_idle']:.0f} images/s on "
        f"{options.workers} idle cores, {results['images_a_second_wall']:.0f} now; target {BAR:.0f}"
    )
    results["images_a_second_at_once"] = {
        device: measure_batches(device, options.rounds) for device in AT_ONCE
    }
    for device, rates in results["images_a_second_at_once"].items():
        text = rates if isinstance(rates, str) else _tell(rates)
        print(f"one {device}, by batch size: {text}")
    if options.json:
        given = {name: getattr(options, name) for name in ("people", "workers", "device", "rounds")}
        made = origin("rendering", [f"--{name} {value}" for name, value in given.items()])
        seconds = round(results["images"] * results["cpu_ms_an_image"] / 1e3)
        write_recorded(made | {"seed": 0, "cpu_seconds": seconds} | results, options.json)
    return 0


def measure(people: int, workers: int, device: str) -> dict[str, float]:
    """Draw five captures of each person; return milliseconds per image and images per second."""
    draw = functools.partial(_draw, device=device)
    run_units(draw, range(workers), workers, "warm up")
    started = time.perf_counter()
    seconds = torch.tensor(run_units(draw, range(people), workers, "people"))
    wall = time.perf_counter() - started
    images = CAPTURES * people
    render_ms, camera_ms = (1e3 * seconds.sum(0) / images).tolist()
    milliseconds = render_ms + camera_ms
    return {
        "images": images,
        "workers": workers,
        "render_ms": round(render_ms, 2),
        "camera_ms": round(camera_ms, 2),
        "cpu_ms_an_image": round(milliseconds, 2),
        "images_a_second_idle": round(1e3 * workers / milliseconds, 1),
        "images_a_second_wall": round(images / wall, 1),
        "bar": BAR,
    }


def _tell(rates: dict[int, float]) -> str:
    return ", ".join(f"{at_once}: {rate:.1f} images/s" for at_once, rate in rates.items())


def measure_batches(
    device: str, rounds: int, at_once: Sequence[int] | None = None, size: int = RENDER_SIZE
) -> dict[int, float] | str:
    """Return live captures per second by batch size, or a reason if the device is missing.

    Args:
        device: ``"cpu"`` (one thread, CPU seconds) or ``"cuda"``.
        rounds: Number of rounds.
        at_once: Batch sizes; None means ``AT_ONCE``.
        size: Side of the rendered images in pixels.
    """
    if device == "cuda" and not torch.cuda.is_available():
        return "skipped, this machine has no CUDA device"
    at_once = at_once or AT_ONCE[device]
    pictures = _BATCHES[device] * max(at_once)
    people = sample_identities(pictures, derive_seed("benchmark"))
    sessions = sample_sessions(pictures, derive_seed("benchmark"))

    def draw(chunk: int) -> None:
        capture(render(people, sessions, size, device=device, chunk=chunk).radiance, sessions)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    clock = "process" if device == "cpu" else "wall"
    method = Method(rounds, torch.device(device), clock=clock, product_size=512)
    taken = in_turns({str(chunk): functools.partial(draw, chunk) for chunk in at_once}, method)
    torch.set_num_threads(threads)
    return {chunk: round(pictures / taken.median(str(chunk)), 1) for chunk in at_once}


def _draw(number: int, device: str) -> tuple[float, float]:
    """Return CPU seconds of rendering and of the camera for one person's captures."""
    identity = sample_identities(1, derive_seed("benchmark"), number).repeat(CAPTURES)
    sessions = sample_sessions(CAPTURES, derive_seed("benchmark", number))
    # A GPU runs asynchronously, so only the wall clock measures it.
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    radiance = render(identity, sessions, device=device).radiance
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    rendered = clock()
    capture(radiance, sessions)
    return rendered - started, clock() - rendered


if __name__ == "__main__":
    raise SystemExit(main())
