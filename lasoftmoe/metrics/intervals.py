"""Bootstrap intervals over test subjects and training seeds.

Images of one person resemble each other, so they are not independent observations. A resample
therefore draws whole subjects, with replacement, and takes all images of each. Two detectors are
compared in pairs: both get the same drawn subjects, so subjects that are hard for both cancel out.

A second training of the same method, with another seed, is another detector. Given the scores of
several seeds, a resample draws seeds as well, and the interval is that of the mean over seeds.
Given one seed, it covers the choice of test subjects only. Thresholds from dev stay fixed.

All intervals are percentiles of the resamples. Of k seeds, k - 1 are drawn, which gives their mean
the right spread (Rao and Wu, "Resampling inference with complex survey data", 1988). With k draws,
an interval over five seeds would be too narrow by a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lasoftmoe.metrics.columns import score_columns
from lasoftmoe.metrics.rates import eer_threshold
from lasoftmoe.metrics.statistics import (
    CHUNK,
    STATISTICS,
    Counts,
    Resample,
    ScoredImages,
    Values,
)
from lasoftmoe.progress import progress_bar

Function = Callable[[pd.DataFrame, float], float]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one detector on its test images and the threshold that it chose on dev.

    ``scores`` has one row per image with the columns subject, is_attack, attack_score, and, for
    "acer_worst", attack_type.
    """

    scores: pd.DataFrame
    threshold: float


Run = Scored | pd.DataFrame


@dataclass(frozen=True)
class Interval:
    """An estimate on the test set and the range of its resamples; fractions, not percent."""

    estimate: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether the sign of the estimate stays open."""
        return self.low <= 0 <= self.high

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.estimate:.1f} [{low:.1f}, {high:.1f}]"


def bootstrap_interval(
    statistic: str | Function,
    runs: Run | Sequence[Run],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    unit: str = "subject",
) -> Interval:
    """Estimate a statistic of a detector with its interval; with several seeds, its mean over them.

    Args:
        statistic: A name of :data:`~lasoftmoe.metrics.statistics.STATISTICS`, which takes a
            moment, or a function of the scores and the threshold, called once for each resample.
            A resample in which the function raises ValueError (without attacks, for example) is
            left out. "reprocessed_gap" needs a column nuisance.
        runs: One run, or one for each seed. A run is a :class:`Scored`, such as
            ``Run.test_scores()`` returns; or a table like ``Run.scores`` with a column split,
            whose dev part gives the EER threshold.
        resamples: Number of draws.
        level: Share of the resamples inside the interval.
        seed: Seed of the draws.
        unit: Column of what is drawn as a whole. "id" would draw single images, which treats them
            as independent and makes the interval too narrow.

    Raises:
        ValueError: If a run lacks a class or has a score that is not finite, runs have different
            units, or the statistic is unknown.
    """
    prepared, units = _prepared(_as_list(runs), unit)
    rng = np.random.default_rng(seed)
    estimate = _resampled(statistic, prepared, [np.ones((1, units), np.int64)]).mean()
    values = _resampled(statistic, prepared, _drawn(units, resamples, rng))
    return _interval(estimate, _mean_over_drawn_seeds(values, rng), level)


def paired_difference(
    runs_a: Run | Sequence[Run],
    runs_b: Run | Sequence[Run],
    statistic: str | Function = "acer",
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    unit: str = "subject",
) -> Interval:
    """Estimate a statistic of method a minus that of method b, on the same drawn subjects.

    For an error rate, an interval below zero says that a makes fewer errors. With several seeds, it
    is the difference of the means over seeds. Seeds of a and b are drawn independently, because
    seed 0 of one method has little in common with seed 0 of another.

    Args:
        runs_a, runs_b: As in :func:`bootstrap_interval`; their numbers of seeds may differ.
        statistic, resamples, level, seed, unit: As in :func:`bootstrap_interval`.

    Raises:
        ValueError: As in :func:`bootstrap_interval`, or if a and b were scored on different
            subjects.
    """
    first, second = _as_list(runs_a), _as_list(runs_b)
    prepared, units = _prepared(first + second, unit)
    rng = np.random.default_rng(seed)
    whole = _resampled(statistic, prepared, [np.ones((1, units), np.int64)])
    values = _resampled(statistic, prepared, _drawn(units, resamples, rng))
    seeds = len(first)
    estimate = whole[:seeds].mean() - whole[seeds:].mean()
    a = _mean_over_drawn_seeds(values[:seeds], rng)
    b = _mean_over_drawn_seeds(values[seeds:], rng)
    return _interval(estimate, a - b, level)


def acer_interval(run: Run, **options: Any) -> Interval:
    """Estimate the ACER (attacks pooled) of one detector; see :func:`bootstrap_interval`."""
    return bootstrap_interval("acer", run, **options)


def acer_difference(first: Run, second: Run, **options: Any) -> Interval:
    """Estimate the ACER of ``first`` minus that of ``second``; see :func:`paired_difference`."""
    return paired_difference(first, second, "acer", **options)


def _as_list(runs: Run | Sequence[Run]) -> list[Run]:
    found = [runs] if isinstance(runs, Run) else list(runs)
    if not found:
        raise ValueError("no runs: give the scores of at least one seed")
    return found


def _prepared(runs: list[Run], unit: str) -> tuple[list[ScoredImages], int]:
    """Return the runs' test scores and the number of units that all of them share."""
    every = [_scored(run) for run in runs]
    units = pd.Index(np.sort(every[0].scores[unit].unique()))
    prepared = []
    for scored in every:
        table = scored.scores
        if set(table[unit]) != set(units):
            raise ValueError(f"a paired comparison needs scores of the same {unit}s from all runs")
        columns = score_columns(table["attack_score"], table["is_attack"])
        unit_numbers = units.get_indexer(table[unit])
        prepared.append(ScoredImages(table, *columns, float(scored.threshold), unit_numbers))
    return prepared, len(units)


def _scored(run: Run) -> Scored:
    if isinstance(run, Scored):
        return run
    if not isinstance(run, pd.DataFrame):
        raise ValueError(
            f"expected Scored(scores, threshold) or a table of scores, got a {type(run).__name__}"
        )
    if "split" not in run or not {"dev", "test"} <= set(run["split"]):
        raise ValueError(
            "scores without a threshold need a column 'split' with test, and with dev to choose "
            "the threshold on; or give Scored(scores, threshold)"
        )
    dev = run[run["split"] == "dev"]
    threshold = eer_threshold(dev["attack_score"], dev["is_attack"])
    return Scored(run[run["split"] == "test"], threshold)


def _resampled(
    statistic: str | Function, runs: list[ScoredImages], counts: Iterable[Counts]
) -> Values:
    """Return the statistic of each run in each resample, (runs, resamples)."""
    functions = [_resample_function(statistic, run) for run in runs]
    return np.concatenate([[f(part) for f in functions] for part in counts], axis=1)


def _resample_function(statistic: str | Function, run: ScoredImages) -> Resample:
    if callable(statistic):
        return lambda counts: _one_by_one(statistic, run, counts)
    if statistic not in STATISTICS:
        known = ", ".join(STATISTICS)
        raise ValueError(f"no statistic {statistic!r}; known: {known}, or a function")
    return STATISTICS[statistic](run)


def _drawn(units: int, resamples: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Yield how often each unit is drawn, some resamples at a time: (some, units)."""
    part = max(1, CHUNK // units)
    for start in range(0, resamples, part):
        size = min(part, resamples - start)
        yield rng.multinomial(units, np.full(units, 1 / units), size=size)


def _mean_over_drawn_seeds(values: Values, rng: np.random.Generator) -> Values:
    """Turn (seeds, resamples) into (resamples,)."""
    seeds, resamples = values.shape
    if seeds == 1:
        return values[0]
    drawn = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=resamples)
    return (drawn.T * values).sum(axis=0) / (seeds - 1)


def _interval(estimate: float, draws: Values, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level is a fraction between 0 and 1, got {level}")
    defined = draws[~np.isnan(draws)]
    if len(defined) < len(draws) / 2:
        raise ValueError(
            f"the statistic is undefined in {len(draws) - len(defined)} of {len(draws)} "
            "resamples: too few subjects have images of both classes"
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high))


def _one_by_one(statistic: Function, run: ScoredImages, counts: Counts) -> Values:
    values = np.full(len(counts), np.nan)
    bar = progress_bar(counts, desc="resamples", leave=False, disable=len(counts) < 100)
    for i, drawn in enumerate(bar):
        rows = np.repeat(np.arange(len(run.unit)), drawn[run.unit])
        try:
            values[i] = statistic(run.table.iloc[rows], run.threshold)
        except ValueError:  # undefined: left out of the interval
            continue
    return values
