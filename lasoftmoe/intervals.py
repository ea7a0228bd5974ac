"""How far a figure could move had other people been tested: bootstrap intervals over subjects.

Images of one person resemble each other, so they are not independent observations. A resample
therefore draws whole subjects, with replacement, and takes all images of each. Two detectors are
compared in pairs: both get the same drawn subjects, so that what is hard for both cancels.

Such an interval covers the choice of test subjects only. It knows nothing about the seed: a second
training of the same method is another detector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Counts = NDArray[np.float64]


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


def acer_interval(
    scores: pd.DataFrame,
    threshold: float,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The ACER (attacks pooled) of one detector and its interval.

    Args:
        scores: columns subject, is_attack, attack_score; one row a test image.
        threshold: score from which on an image is called an attack (chosen on dev).
        resamples: how many times the subjects are drawn anew.
        level: share of the resamples inside the interval.
        seed: of the draw.

    Raises:
        ValueError: no live image or no attack.
    """
    counts = _error_counts(scores, threshold)
    return _interval(_acer(counts.sum(0)), _acer(_resampled(counts, resamples, seed)), level)


def acer_difference(
    first: tuple[pd.DataFrame, float],
    second: tuple[pd.DataFrame, float],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """ACER of ``first`` minus ACER of ``second``, resampled in pairs; below zero: first is better.

    Args:
        first, second: scores (as in :func:`acer_interval`) and threshold of each detector.

    Raises:
        ValueError: the two were not scored on the same subjects.
    """
    (scores_a, threshold_a), (scores_b, threshold_b) = first, second
    if set(scores_a["subject"]) != set(scores_b["subject"]):
        raise ValueError(
            "a paired comparison needs scores of the same subjects from both detectors"
        )
    a, b = _error_counts(scores_a, threshold_a), _error_counts(scores_b, threshold_b)
    draws = _acer(_resampled(a, resamples, seed)) - _acer(_resampled(b, resamples, seed))
    return _interval(_acer(a.sum(0)) - _acer(b.sum(0)), draws, level)


def _error_counts(scores: pd.DataFrame, threshold: float) -> Counts:
    """Missed attacks, attacks, rejected live images, live images of each subject, (subjects, 4)."""
    attack = scores["is_attack"].to_numpy(bool)
    called = scores["attack_score"].to_numpy() >= threshold
    if attack.all() or not attack.any():
        raise ValueError("both live images and attacks are needed for an ACER")
    table = pd.DataFrame(
        {
            "missed": attack & ~called,
            "attacks": attack,
            "rejected": ~attack & called,
            "live": ~attack,
        }
    )
    return table.groupby(scores["subject"].to_numpy()).sum().to_numpy(float)


def _resampled(counts: Counts, resamples: int, seed: int) -> Counts:
    """Counts of ``resamples`` draws of as many subjects as there are, (resamples, 4)."""
    subjects = len(counts)
    draws = np.random.default_rng(seed).multinomial(
        subjects, np.full(subjects, 1 / subjects), size=resamples
    )
    return draws @ counts


def _acer(counts: Counts) -> NDArray[np.float64]:
    missed, attacks, rejected, live = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore"):  # a draw without live images, say: left out below
        return (missed / attacks + rejected / live) / 2


def _interval(estimate: float, draws: NDArray[np.float64], level: float) -> Interval:
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high))
