"""P(A > B): how often a run of one method errs less than a run of another.

A difference of means says how far two methods are apart; this says what one training may expect.
It is the Mann-Whitney statistic of the runs; see Bouthillier et al., "Accounting for Variance in
Machine Learning Benchmarks" (2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lasoftmoe.metrics.intervals import Interval


def probability_better(
    first: Sequence[float],
    second: Sequence[float],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Estimate the probability that a run of the first method errs less than one of the second.

    Args:
        first, second: Error rates of the runs, one for each seed. Negate a figure of which more
            is better. Equal rates count one half.
        resamples: Draws of runs, with replacement, for the interval.
        level: Share of the draws inside the interval.
        seed: Seed of the draws.

    Returns:
        A probability with its interval over runs; 0.5 means that the methods are alike.

    Raises:
        ValueError: A method has fewer than two runs, or a rate is not finite.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    for name, rates in (("first", a), ("second", b)):
        if rates.ndim != 1 or len(rates) < 2 or not np.isfinite(rates).all():
            raise ValueError(f"{name}: expected two or more finite error rates, got {rates!r}")
    wins = (a[:, None] < b) + (a[:, None] == b) / 2
    rng = np.random.default_rng(seed)
    times = [rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples) for x in (a, b)]
    draws = ((times[0] @ wins) * times[1]).sum(axis=1) / wins.size
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(wins.mean()), float(low), float(high))
