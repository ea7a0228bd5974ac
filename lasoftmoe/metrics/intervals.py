"""How far a figure could move had other people been tested, or other seeds been trained.

Images of one person resemble each other, so they are not independent observations. A resample
therefore draws whole subjects, with replacement, and takes all images of each. Two detectors are
compared in pairs: both get the same drawn subjects, so that what is hard for both cancels.

A second training of the same method, with another seed, is another detector. Given the scores of
several seeds, a resample draws seeds as well, and the interval is that of the mean over seeds.
Given one seed it covers the choice of test subjects only. The threshold stays what dev made it.

All intervals are percentiles of the resamples. Of k seeds k - 1 are drawn, which makes the spread
of their mean right (Rao and Wu, "Resampling inference with complex survey data", 1988); k draws
would make it too narrow by a tenth for five seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_prep.synthetic.nuisance import NO_NUISANCE
from lasoftmoe import metrics
from lasoftmoe.progress import progress_bar

# Entries of the arrays that resamples are computed in: 32 MB.
CHUNK = 1 << 22

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Statistic = Callable[[pd.DataFrame, float], float]
Scored = pd.DataFrame | tuple[pd.DataFrame, float]
# From how often each unit was drawn, (resamples, units), to the statistic of each resample.
Resample = Callable[[Counts], Values]


@dataclass(frozen=True)
class Interval:
    """A figure on the test set and the range of its resamples; fractions, not percent."""

    estimate: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether the sign of the estimate is left open."""
        return self.low <= 0 <= self.high

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.estimate:.1f} [{low:.1f}, {high:.1f}]"


def bootstrap_interval(
    statistic: str | Statistic,
    runs: Scored | Sequence[Scored],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    unit: str = "subject",
) -> Interval:
    """Any figure of a detector and its interval; the mean over seeds, given several.

    Args:
        statistic: "acer", "acer_worst", "apcer", "apcer_worst", "bpcer", "acc", "auc" or
            "reprocessed_gap" (with an interval in a moment); or a function of the
            scores and the threshold, called once for every resample. Where that raises ValueError
            (a resample without attacks, say) the resample is left out. "reprocessed_gap" is the
            BPCER of re-processed live images minus that of clean ones and needs a column nuisance.
        runs: one run, or one for each seed. A run is a pair of scores (columns subject,
            is_attack, attack_score, and attack_type for "acer_worst"; one row a test image) and
            the threshold chosen on dev; or a table like ``Run.scores``, with a column split, from
            whose dev part the EER threshold is taken.
        resamples: how many times the subjects are drawn anew.
        level: share of the resamples inside the interval.
        seed: of the draw.
        unit: column that says what is drawn as a whole; "id" would draw single images, which
            takes them for independent and makes the interval too narrow.

    Raises:
        ValueError: no live image or no attack; runs on different units; an unknown statistic.
    """
    prepared, units = _prepared(_as_list(runs), unit)
    rng = np.random.default_rng(seed)
    estimate = _resampled(statistic, prepared, [np.ones((1, units), np.int64)]).mean()
    values = _resampled(statistic, prepared, _drawn(units, resamples, rng))
    return _interval(estimate, _mean_over_drawn_seeds(values, rng), level)


def paired_difference(
    runs_a: Scored | Sequence[Scored],
    runs_b: Scored | Sequence[Scored],
    statistic: str | Statistic = "acer",
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    unit: str = "subject",
) -> Interval:
    """A figure of method a minus that of method b, both on the same drawn subjects.

    Of an error rate, an interval below zero says that a errs less. Given several seeds it is the
    difference of the means over seeds; those of a and of b are drawn independently, since seed 0
    of one method has little in common with seed 0 of another.

    Args:
        runs_a, runs_b: as in :func:`bootstrap_interval`; the numbers of seeds may differ.

    Raises:
        ValueError: as :func:`bootstrap_interval`, and where the two were not scored on the same
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


def acer_interval(scores: pd.DataFrame, threshold: float, **options: Any) -> Interval:
    """The ACER (attacks pooled) of one detector; options as :func:`bootstrap_interval`'s."""
    return bootstrap_interval("acer", (scores, threshold), **options)


def acer_difference(
    first: tuple[pd.DataFrame, float], second: tuple[pd.DataFrame, float], **options: Any
) -> Interval:
    """ACER of ``first`` minus ACER of ``second``; see :func:`paired_difference`."""
    return paired_difference(first, second, "acer", **options)


@dataclass(frozen=True)
class _Run:
    """Test scores of one detector; ``codes`` (rows,) says to which unit each row belongs."""

    scores: pd.DataFrame
    threshold: float
    codes: NDArray[np.intp]


def _as_list(runs: Scored | Sequence[Scored]) -> list[Scored]:
    single = isinstance(runs, pd.DataFrame) or (
        isinstance(runs, tuple) and len(runs) == 2 and not isinstance(runs[1], pd.DataFrame | tuple)
    )
    found = [runs] if single else list(runs)
    if not found:
        raise ValueError("no runs: give the scores of one seed at least")
    return found


def _prepared(runs: list[Scored], unit: str) -> tuple[list[_Run], int]:
    """The runs' test scores, and how many units all of them share."""
    pairs = [_test_and_threshold(run) for run in runs]
    units = pd.Index(np.sort(pairs[0][0][unit].unique()))
    prepared = []
    for scores, threshold in pairs:
        attack = scores["is_attack"].to_numpy(bool)
        if attack.all() or not attack.any():
            raise ValueError("both live images and attacks are needed, in every run")
        if set(scores[unit]) != set(units):
            raise ValueError(f"a paired comparison needs scores of the same {unit}s from all runs")
        prepared.append(_Run(scores, float(threshold), units.get_indexer(scores[unit])))
    return prepared, len(units)


def _test_and_threshold(run: Scored) -> tuple[pd.DataFrame, float]:
    if isinstance(run, tuple):
        return run
    if "split" not in run or not {"dev", "test"} <= set(run["split"]):
        raise ValueError(
            "scores without a threshold need a column 'split' with dev, where it is chosen, and "
            "test; or give (scores, threshold)"
        )
    dev = run[run["split"] == "dev"]
    threshold = metrics.eer_threshold(dev["attack_score"], dev["is_attack"])
    return run[run["split"] == "test"], threshold


def _resampled(statistic: str | Statistic, runs: list[_Run], counts: Iterable[Counts]) -> Values:
    """The statistic of each run in each resample, (runs, resamples)."""
    functions = [_resample_function(statistic, run) for run in runs]
    return np.concatenate([[f(part) for f in functions] for part in counts], axis=1)


def _resample_function(statistic: str | Statistic, run: _Run) -> Resample:
    if callable(statistic):
        return lambda counts: _one_by_one(statistic, run, counts)
    if statistic == "auc":
        return _auc(run)
    if statistic == "reprocessed_gap":
        return _reprocessed_gap(run)
    if statistic in RATES:
        return _rate(RATES[statistic], run)
    known = ", ".join(("auc", "reprocessed_gap", *RATES))
    raise ValueError(f"no statistic {statistic!r}; known: {known}, or a function")


def _drawn(units: int, resamples: int, rng: np.random.Generator) -> Iterator[Counts]:
    """How often each unit is drawn, a part of the resamples at a time: (part, units)."""
    part = max(1, CHUNK // units)
    for start in range(0, resamples, part):
        size = min(part, resamples - start)
        yield rng.multinomial(units, np.full(units, 1 / units), size=size)


def _mean_over_drawn_seeds(values: Values, rng: np.random.Generator) -> Values:
    """(seeds, resamples) to (resamples,)."""
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


def _one_by_one(statistic: Statistic, run: _Run, counts: Counts) -> Values:
    values = np.full(len(counts), np.nan)
    bar = progress_bar(counts, desc="resamples", leave=False, disable=len(counts) < 100)
    for i, drawn in enumerate(bar):
        rows = np.repeat(np.arange(len(run.codes)), drawn[run.codes])
        try:
            values[i] = statistic(run.scores.iloc[rows], run.threshold)
        except ValueError:  # undefined: left out of the interval
            continue
    return values


def _rate(rate: Callable[..., Values], run: _Run) -> Resample:
    """Errors are counted once for each unit and type; a resample adds up the counts."""
    attack = run.scores["is_attack"].to_numpy(bool)
    called = run.scores["attack_score"].to_numpy() >= run.threshold
    types = run.scores["attack_type"] if "attack_type" in run.scores else pd.Series("", run.codes)
    codes = pd.factorize(types.to_numpy())[0]
    if (codes[attack] < 0).any():
        raise ValueError("an attack has no attack_type")
    kind = np.where(attack, codes + 1, 0)  # 0: live
    size = (run.codes.max() + 1, kind.max() + 1)
    both = np.ravel_multi_index((run.codes, kind), size)
    images, errors = (
        np.bincount(both, weights, minlength=size[0] * size[1]).reshape(size)
        for weights in (np.ones(len(both)), called != attack)
    )
    used = images.any(axis=0)
    used[0] = True
    images, errors = images[:, used], errors[:, used]

    def resample(counts: Counts) -> Values:
        with np.errstate(invalid="ignore", divide="ignore"):  # without live images, say: left out
            return rate(counts @ errors, counts @ images)

    return resample


def _reprocessed_gap(run: _Run) -> Resample:
    """Clean and re-processed live images are counted once for each unit."""
    if "nuisance" not in run.scores:
        raise ValueError("no column 'nuisance': what was done to each image is not known")
    live = ~run.scores["is_attack"].to_numpy(bool)
    called = run.scores["attack_score"].to_numpy() >= run.threshold
    changed = (run.scores["nuisance"] != NO_NUISANCE).to_numpy()
    units = run.codes.max() + 1

    def count(which: NDArray[np.bool_]) -> Counts:
        return np.bincount(run.codes[which], minlength=units)

    kinds = [(count(kind & called), count(kind)) for kind in (live & changed, live & ~changed)]

    def resample(counts: Counts) -> Values:
        with np.errstate(invalid="ignore"):  # without clean images, say: left out
            changed, clean = ((counts @ errors) / (counts @ images) for errors, images in kinds)
        return changed - clean

    return resample


def _auc(run: _Run) -> Resample:
    """Each row counts as often as its unit was drawn; rows are sorted once."""
    order = np.argsort(run.scores["attack_score"].to_numpy(), kind="stable")
    score = run.scores["attack_score"].to_numpy()[order]
    attack, codes = run.scores["is_attack"].to_numpy(bool)[order], run.codes[order]
    starts = np.flatnonzero(np.diff(score, prepend=np.nan) != 0)  # of each group of equals

    def some(counts: Counts) -> Values:
        weights = counts[:, codes]
        live = np.add.reduceat(weights * ~attack, starts, axis=1)
        fake = np.add.reduceat(weights * attack, starts, axis=1)
        below = np.cumsum(live, axis=1) - live / 2  # half of the equals
        with np.errstate(invalid="ignore"):
            return (below * fake).sum(axis=1) / (live.sum(axis=1) * fake.sum(axis=1))

    def resample(counts: Counts) -> Values:
        parts = np.array_split(counts, -(-counts.shape[0] * len(codes) // CHUNK))
        return np.concatenate([some(part) for part in parts])

    return resample


def _apcer(errors: Values, images: Values) -> Values:
    return errors[:, 1:].sum(axis=1) / images[:, 1:].sum(axis=1)


def _bpcer(errors: Values, images: Values) -> Values:
    return errors[:, 0] / images[:, 0]


def _worst(errors: Values, images: Values) -> Values:
    return np.fmax.reduce(errors[:, 1:] / images[:, 1:], axis=1)  # of the types that were drawn


# From errors and images in each resample, (resamples, 1 + types), live images first.
RATES: dict[str, Callable[[Values, Values], Values]] = {
    "acer": lambda errors, images: (_apcer(errors, images) + _bpcer(errors, images)) / 2,
    "acer_worst": lambda errors, images: (_worst(errors, images) + _bpcer(errors, images)) / 2,
    "apcer": _apcer,
    "apcer_worst": _worst,
    "bpcer": _bpcer,
    "acc": lambda errors, images: 1 - errors.sum(axis=1) / images.sum(axis=1),
}
