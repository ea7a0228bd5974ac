"""``python -m benchmarks.metrics``: the error rates of ten million scores against one sort of them.

Every figure of a score list comes from a single sort, so the time of ``numpy.sort`` is the floor.
The functions and the sort are run in turns; printed is the median of the ratios, round by round.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.timing import CLOCKS, Method, Rounds, in_turns
from lasoftmoe import metrics

FUNCTIONS = (metrics.evaluate, metrics.eer, metrics.auc, metrics.tpr_at_fpr)


def time_metrics(
    scores: NDArray[np.floating], is_attack: NDArray[np.bool_], method: Method
) -> Rounds:
    """Time each function, and ``numpy.sort`` under the name "sort"."""
    steps = {f.__name__: lambda f=f: f(scores, is_attack) for f in FUNCTIONS}
    return in_turns({"sort": lambda: np.sort(scores), **steps}, method)


def random_scores(count: int, dtype: str) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """As many live images as attacks in random order, the hardest case for branch prediction."""
    rng = np.random.default_rng(0)
    is_attack = rng.random(count) < 0.5
    return (rng.normal(size=count) + is_attack).astype(dtype), is_attack


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--count", type=int, default=10**7, help="scores (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="process")
    options = parser.parse_args(arguments)
    method = Method(options.rounds, torch.device("cpu"), clock=options.clock, product_size=512)
    torch.set_num_threads(1)
    for dtype in ("float64", "float32"):
        rounds = time_metrics(*random_scores(options.count, dtype), method)
        print(f"{options.count:,} {dtype} scores: numpy.sort {rounds.median('sort'):.3f} s")
        for function in FUNCTIONS:
            ratio = rounds.ratio(function.__name__, "sort")
            print(f"  {function.__name__:12s} {ratio:5.2f} times numpy.sort")


if __name__ == "__main__":
    main()
