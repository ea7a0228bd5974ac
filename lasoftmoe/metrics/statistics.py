"""Statistics that a bootstrap resamples quickly, by name.

A statistic looks at the images once and returns a function from counts (resamples, units), how
often each unit was drawn, to its values (resamples,). A value is NaN if a resample lacks images
that the statistic needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lasoftmoe.metrics.ranking import at_least

# Entries of the arrays that resamples are computed in: 32 MB.
CHUNK = 1 << 22
CLEAN = "none"
"""Value of the column nuisance for an image that was not re-processed."""

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Resample = Callable[[Counts], Values]


@dataclass(frozen=True)
class ScoredImages:
    """Test images (rows,) of one detector.

    Attributes:
        table: The columns of the scores.
        score, is_attack: Two of these columns, checked.
        threshold: Score at or above which an image is called an attack.
        unit: Number of the unit that each image belongs to.
    """

    table: pd.DataFrame
    score: NDArray[np.floating]
    is_attack: NDArray[np.bool_]
    threshold: float
    unit: NDArray[np.intp]


Statistic = Callable[[ScoredImages], Resample]
# From numbers of errors and of images (resamples, groups) to values (resamples,).
Rate = Callable[[NDArray[Any], NDArray[Any]], Values]


def error_rate(rate: Rate) -> Statistic:
    """Return the statistic that computes ``rate`` from live images and then each attack type."""

    def statistic(scored: ScoredImages) -> Resample:
        types = scored.table.get("attack_type", pd.Series("", scored.table.index))
        codes = pd.factorize(types.to_numpy()[scored.is_attack])[0]
        if (codes < 0).any():
            raise ValueError("an attack has no attack_type")
        group = np.zeros(len(scored.unit), np.intp)
        group[scored.is_attack] = codes + 1
        return _counted(scored, group, rate)

    return statistic


def reprocessed_gap(scored: ScoredImages) -> Resample:
    """Compute the BPCER of re-processed live images minus that of clean ones.

    Raises:
        ValueError: If the scores have no column nuisance.
    """
    if "nuisance" not in scored.table:
        raise ValueError("no column 'nuisance': what was done to each image is not known")
    group = (scored.table["nuisance"].to_numpy() != CLEAN).astype(np.intp)
    group[scored.is_attack] = 2
    return _counted(scored, group, lambda e, n: e[:, 1] / n[:, 1] - e[:, 0] / n[:, 0])


def auc(scored: ScoredImages) -> Resample:
    """Compute the AUC; each image counts as often as its unit was drawn. Images are sorted once."""
    order = np.argsort(scored.score, kind="stable")
    score, attack, unit = scored.score[order], scored.is_attack[order], scored.unit[order]
    starts = np.flatnonzero(np.append(True, score[1:] != score[:-1]))  # of each group of equals

    def some(counts: Counts) -> Values:
        weights = counts[:, unit]
        live = np.add.reduceat(weights * ~attack, starts, axis=1)
        fake = np.add.reduceat(weights * attack, starts, axis=1)
        below = np.cumsum(live, axis=1) - live / 2  # half of the equals
        with np.errstate(invalid="ignore"):
            return (below * fake).sum(axis=1) / (live.sum(axis=1) * fake.sum(axis=1))

    def resample(counts: Counts) -> Values:
        parts = np.array_split(counts, -(-counts.shape[0] * len(unit) // CHUNK))
        return np.concatenate([some(part) for part in parts])

    return resample


def _counted(scored: ScoredImages, group: NDArray[np.intp], rate: Rate) -> Resample:
    """Count errors once for each unit and group of images; a resample adds up the counts."""
    wrong = at_least(scored.score, scored.threshold) != scored.is_attack
    size = (scored.unit.max() + 1, max(group.max() + 1, 2))
    both = np.ravel_multi_index((scored.unit, group), size)

    def count(weights: NDArray[np.bool_] | None = None) -> Counts:
        return np.bincount(both, weights, size[0] * size[1]).reshape(size)

    images, errors = count(), count(wrong)

    def resample(counts: Counts) -> Values:
        with np.errstate(invalid="ignore", divide="ignore"):  # a group of no images gives NaN
            return rate(counts @ errors, counts @ images)

    return resample


def _apcer(errors: NDArray[Any], images: NDArray[Any]) -> Values:
    return errors[:, 1:].sum(axis=1) / images[:, 1:].sum(axis=1)


def _apcer_worst(errors: NDArray[Any], images: NDArray[Any]) -> Values:
    return np.fmax.reduce(errors[:, 1:] / images[:, 1:], axis=1)  # of the types that were drawn


def _bpcer(errors: NDArray[Any], images: NDArray[Any]) -> Values:
    return errors[:, 0] / images[:, 0]


def _acc(errors: NDArray[Any], images: NDArray[Any]) -> Values:
    return 1 - errors.sum(axis=1) / images.sum(axis=1)


def _mean(first: Rate, second: Rate) -> Rate:
    return lambda errors, images: (first(errors, images) + second(errors, images)) / 2


STATISTICS: dict[str, Statistic] = {
    "acer": error_rate(_mean(_apcer, _bpcer)),
    "acer_worst": error_rate(_mean(_apcer_worst, _bpcer)),
    "apcer": error_rate(_apcer),
    "apcer_worst": error_rate(_apcer_worst),
    "bpcer": error_rate(_bpcer),
    "acc": error_rate(_acc),
    "auc": auc,
    "reprocessed_gap": reprocessed_gap,
}
"""Names that :func:`~lasoftmoe.metrics.intervals.bootstrap_interval` knows."""
