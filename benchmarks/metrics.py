"""Benchmark of the metrics on a million scores: ``python -m benchmarks.metrics``.

All metrics of a list of scores need one ``numpy.argsort``, so no function can be faster than
``numpy.sort``. The functions and the sort take turns. The result is the median ratio over rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.record import origin, publish, verdict
from benchmarks.timing import CLOCKS, Method, Rounds, in_turns
from lasoftmoe import metrics

FUNCTIONS = (metrics.evaluate, metrics.eer, metrics.auc, metrics.tpr_at_fpr)
MOST_OF_SORT = 6.0  # the limit; argsort alone takes two to three sorts


def time_metrics(
    scores: NDArray[np.floating], is_attack: NDArray[np.bool_], method: Method
) -> Rounds:
    """Time each function, and ``numpy.sort`` under the name "sort"."""
    steps = {f.__name__: lambda f=f: f(scores, is_attack) for f in FUNCTIONS}
    return in_turns({"sort": lambda: np.sort(scores), **steps}, method)


def random_scores(count: int, dtype: str) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return about as many live images as attacks in random order, the slowest case."""
    rng = np.random.default_rng(0)
    is_attack = rng.random(count) < 0.5
    return (rng.normal(size=count) + is_attack).astype(dtype), is_attack


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--count", type=int, default=10**6, help="scores (default: 1,000,000)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="process")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def measure(options: argparse.Namespace) -> dict:
    """Time all functions on scores of both types."""
    method = Method(options.rounds, torch.device("cpu"), clock=options.clock, product_size=512)
    record = {
        **origin("metrics", options.given),
        "clock": options.clock,
        "load_before": os.getloadavg()[0],
        "scores": options.count,
        "rows": [],
        "targets": [],
    }
    for dtype in ("float64", "float32"):
        rounds = time_metrics(*random_scores(options.count, dtype), method)
        ratios = {f.__name__: rounds.ratio(f.__name__, "sort") for f in FUNCTIONS}
        sort = rounds.median("sort")
        record["rows"].append({"dtype": dtype, "sort_seconds": sort, "times_sort": ratios})
        found = ratios["evaluate"]
        name = f"time of evaluate over numpy.sort's, {dtype}"
        limit = {"at_most": MOST_OF_SORT, "met": found <= MOST_OF_SORT}
        record["targets"].append({"target": name, "measured": found, **limit})
    return record


def report(record: dict) -> str:
    """Format the record as a table."""
    lines = [f"{record['hardware']}, {record['clock']} clock, {record['scores']:,} scores"]
    for row in record["rows"]:
        lines.append(f"{row['dtype']}: numpy.sort {row['sort_seconds']:.3f} s")
        lines += [
            f"  {name:12s} {x:5.2f} times numpy.sort" for name, x in row["times_sort"].items()
        ]
    lines += map(verdict, record["targets"])
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    torch.set_num_threads(1)
    record = measure(options)
    publish(record, report(record), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
