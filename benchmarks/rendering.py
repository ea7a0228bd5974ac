"""Live captures a second: ``python -m benchmarks.rendering [--workers 2] [--device cpu]``.

Each worker draws people with one thread. On a busy machine the wall clock says little: the
processor seconds of an image, divided into the number of workers, give the rate of idle cores.

Then pictures are drawn in batches, some at once, in turns: on one core, and on a GPU if there is
one. There the clock on the wall counts, JPEG and the noise of the sensor included, which a CPU
makes for it picture by picture.
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
"""Images a second that two cores should reach."""
CAPTURES = 5
AT_ONCE = {"cpu": (1, 4, 16), "cuda": (1, 64, 256)}
"""Pictures in a batch."""
_BATCHES = {"cpu": 1, "cuda": 4}


def main() -> int:
    """Measure, print, and write what ``--json`` asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=at_least(1), default=20, help="five captures each")
    parser.add_argument("--workers", type=at_least(1), default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="of drawing in batches")
    options = parser.parse_args()
    figures = measure(options.people, options.workers, options.device)
    print(
        f"{figures['cpu_ms_an_image']:.1f} CPU-ms an image (render {figures['render_ms']:.1f}, "
        f"camera {figures['camera_ms']:.1f}): {figures['images_a_second_idle']:.0f} images/s on "
        f"{options.workers} idle cores, {figures['images_a_second_wall']:.0f} now; bar {BAR:.0f}"
    )
    figures["images_a_second_at_once"] = {
        device: measure_batches(device, options.rounds) for device in AT_ONCE
    }
    for device, rates in figures["images_a_second_at_once"].items():
        told = rates if isinstance(rates, str) else _tell(rates)
        print(f"one {device}, by the number of pictures drawn at once: {told}")
    if options.json:
        given = {name: getattr(options, name) for name in ("people", "workers", "device", "rounds")}
        made = origin("rendering", [f"--{name} {value}" for name, value in given.items()])
        seconds = round(figures["images"] * figures["cpu_ms_an_image"] / 1e3)
        write_recorded(made | {"seed": 0, "cpu_seconds": seconds} | figures, options.json)
    return 0


def measure(people: int, workers: int, device: str) -> dict[str, float]:
    """Draw ``people``, five captures each; returns milliseconds an image and images a second."""
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
    """Live captures a second by the number of pictures drawn at once; why not, without a device.

    Args:
        device: ``"cpu"`` (one thread, processor seconds) or ``"cuda"``.
        rounds: how often each number is measured, in turns.
        at_once: the numbers; None takes those of ``AT_ONCE``.
        size: pixels of the rendered pictures.
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
    """Processor seconds of rendering and of the camera, for one person's captures."""
    identity = sample_identities(1, derive_seed("benchmark"), number).repeat(CAPTURES)
    sessions = sample_sessions(CAPTURES, derive_seed("benchmark", number))
    # A GPU works beside the processor: waiting for it is what its time looks like here.
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
