"""What lies close to what in a feature space, with intervals over people.

The paper calls the features of unified attack detection "sparse". If physical and digital attacks
are both called fake, it says, "the significant differences between these two types of attacks
increase the intra-class distance" of that category. It defines neither.
Here both get a definition that can be measured in any space of features, standardized first:

===================== ============================================================================
fake_over_live        median distance of two attacks over that of two live images
family_gap            median distance of two attacks of different families over that of two attacks
                      of one family; above 1, joining the families widens the class "fake"
isolation_fake        median distance of an attack to its nearest neighbor over that to any image:
                      near 1 is sparse (everybody is equally far away), near 0 is dense (clumps)
isolation_live        the same for live images
dimension             participation ratio of the covariance's eigenvalues: k equal directions give k
===================== ============================================================================

All pairs and neighbors are of different people, because images of one person are alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from lasoftmoe.metrics.intervals import Interval

STATISTICS = ("fake_over_live", "family_gap", "isolation_fake", "isolation_live", "dimension")
LIVE = "live"

Features = NDArray[np.floating]
Words = NDArray[np.object_]


def measure_space(
    features: Features,
    subject: Words,
    family: Words,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Measure all statistics of a space.

    Args:
        features: Features of the images, (images, width).
        subject: Person of each image, (images,).
        family: Attack family of each image, or "live", (images,).
        resamples: Draws of people, with replacement, that give the intervals.
        level: Share of the draws inside an interval.
        seed: Seed of the draws.

    Returns:
        An interval for each name of :data:`STATISTICS`, in the units of the table above.

    Raises:
        ValueError: Lengths differ, a feature is not finite, or there are too few people or
            families for pairs.
    """
    features = np.asarray(features, dtype=np.float64)
    subject, family = np.asarray(subject, dtype=object), np.asarray(family, dtype=object)
    _check(features, subject, family)
    scaled = standardized(features)
    people = np.unique(subject)
    number = np.searchsorted(people, subject)
    rng = np.random.default_rng(seed)
    whole = _statistics(scaled, number, family)
    drawn = [
        _of_drawn(scaled, number, family, rng.integers(len(people), size=len(people)))
        for _ in range(resamples)
    ]
    table = pd.DataFrame(drawn, columns=list(STATISTICS))
    # A person drawn twice leaves fewer different neighbors and directions, which shifts isolation
    # and dimension. The spread around the median of the draws is free of that shift.
    around = table - table.median()
    low, high = (around.quantile(q) for q in ((1 - level) / 2, (1 + level) / 2))
    return {
        name: Interval(whole[name], float(whole[name] + low[name]), float(whole[name] + high[name]))
        for name in STATISTICS
    }


def standardized(features: Features) -> Features:
    """Bring each feature to mean 0 and standard deviation 1; constant features stay 0."""
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)


def effective_dimension(features: Features) -> float:
    """Return the participation ratio (sum of eigenvalues)² / sum of squares of the covariance."""
    centered = features - features.mean(axis=0)
    values = np.linalg.svd(centered, compute_uv=False) ** 2
    total = values.sum()
    return float(total**2 / (values**2).sum()) if total > 0 else 0.0


def _of_drawn(
    scaled: Features, number: NDArray[np.intp], family: Words, drawn: NDArray[np.intp]
) -> dict[str, float]:
    """Statistics of drawn people; one drawn twice is the same person, and never their own pair."""
    rows = np.concatenate([np.flatnonzero(number == person) for person in drawn])
    return _statistics(scaled[rows], number[rows], family[rows])


def _statistics(scaled: Features, number: NDArray[np.intp], family: Words) -> dict[str, float]:
    distance = cdist(scaled, scaled)
    others = number[:, None] != number
    live = family == LIVE
    fakes = others & ~live[:, None] & ~live
    alike = family[:, None] == family
    both = np.median(distance[fakes]), np.median(distance[others & live[:, None] & live])
    gap = np.median(distance[fakes & ~alike]), np.median(distance[fakes & alike])
    return {
        "fake_over_live": float(both[0] / both[1]),
        "family_gap": float(gap[0] / gap[1]),
        **dict(_isolation(distance, others, live)),
        "dimension": effective_dimension(scaled),
    }


def _isolation(
    distance: Features, others: NDArray[np.bool_], live: NDArray[np.bool_]
) -> Iterator[tuple[str, float]]:
    near = np.where(others, distance, np.inf).min(axis=1)
    for name, mine in (("isolation_fake", ~live), ("isolation_live", live)):
        everybody = np.median(distance[mine][others[mine]])
        yield name, float(np.median(near[mine]) / everybody)


def _check(features: Features, subject: Words, family: Words) -> None:
    if features.ndim != 2 or not len(features) == len(subject) == len(family):
        raise ValueError(
            f"features {features.shape}, {len(subject)} subjects, and {len(family)} families do "
            "not fit: expected features (images, width) and one word for each image"
        )
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise ValueError(f"features of image {row} are not finite")
    live = family == LIVE
    kinds = {
        "live images": live,
        **{f"{name} attacks": family == name for name in set(family[~live])},
    }
    if len(kinds) < 3:
        raise ValueError(f"attacks of one family only ({', '.join(kinds)}); expected two or more")
    for what, mine in kinds.items():
        if len(np.unique(subject[mine])) < 2:
            raise ValueError(f"{what} of one person only; expected those of two or more")
