"""The command ``python -m benchmarks.gpu [--minutes 10] [--only NAME]``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.measurements import MEASUREMENTS, Measurement
from benchmarks.gpu.setting import Disagreement, Setting, Unavailable
from benchmarks.record import origin
from data_prep.commands.options import at_least
from data_prep.reading import read_json
from lasoftmoe.paths import runs_folder
from lasoftmoe.records.recorded import FOLDER, write_recorded

NAMES = [measurement.name for measurement in MEASUREMENTS]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10, help="start nothing that may take longer (10)"
    )
    parser.add_argument(
        "--only", choices=NAMES, action="append", metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument("--list", action="store_true", help="only say what is recorded")
    parser.add_argument("--again", action="store_true", help="also what is recorded")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to prove that it works")
    parser.add_argument("--threads", type=at_least(1), help="CPU threads (torch's default)")
    parser.add_argument("--work", type=Path, help="folder for rendered faces and runs (runs/gpu)")
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder of the records (those of the package)"
    )
    options = parser.parse_args(arguments)
    if (options.device == "cpu" or options.tiny) and options.out == FOLDER and not options.list:
        parser.error("the package's records are of a GPU in full size; name another folder: --out")
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing; return 0 if nothing is missing afterwards, else 1."""
    options = parse(arguments)
    if options.device == "cuda" and not torch.cuda.is_available() and not options.list:
        print("benchmarks.gpu: torch sees no GPU here; --device cpu --tiny --out DIR tries all "
              "measurements without one", file=sys.stderr)  # fmt: skip
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = [m for m in MEASUREMENTS if not options.only or m.name in options.only]
    missing, stop = {}, time.monotonic() + 60 * options.minutes
    for measurement in chosen:
        path = options.out / f"gpu_{measurement.name}.json"
        places = {path} if options.tiny else {path, FOLDER / path.name}
        if any(_is_recorded(place, measurement) for place in places) and not options.again:
            print(f"recorded  {measurement.name}", flush=True)
            continue
        left = (stop - time.monotonic()) / 60
        if options.list:
            missing[measurement.name] = "not recorded with this code"
        elif left < measurement.minutes:
            missing[measurement.name] = (
                f"may take {measurement.minutes:g} minutes, {max(left, 0):.1f} are left"
            )
        elif reason := _make(measurement, options, path):
            missing[measurement.name] = reason
    for name, reason in missing.items():
        print(f"missing   {name}: {reason}")
    return 1 if missing else 0


def _make(measurement: Measurement, options: argparse.Namespace, path: Path) -> str:
    """Make one measurement and write its record; return why not, empty if it is written."""
    work = options.work or runs_folder() / "gpu"
    work.mkdir(parents=True, exist_ok=True)
    setting = Setting(torch.device(options.device), options.tiny, work)
    start = time.monotonic()
    try:
        found = measurement.make(setting)
        write_recorded(_record(measurement, options, setting, found), path)
    except (Unavailable, Disagreement, ImportError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # one failure must not cost the other measurements their minutes
        return f"failed, {type(error).__name__}: {str(error)[:300]}"
    print(
        f"measured  {measurement.name} in {time.monotonic() - start:.0f} s: {found['summary']}",
        flush=True,
    )
    return ""


def _record(
    measurement: Measurement, options: argparse.Namespace, setting: Setting, found: dict[str, Any]
) -> dict[str, Any]:
    return {
        **found,
        **origin("gpu", ["--only", measurement.name]),
        "measurement": measurement.name,
        "code": measurement.digest(),
        "device": options.device,
        "tiny": options.tiny,
        "compared": setting.compared,
    }


def _is_recorded(path: Path, measurement: Measurement) -> bool:
    return path.is_file() and read_json(path).get("code") == measurement.digest()


if __name__ == "__main__":
    raise SystemExit(main())
