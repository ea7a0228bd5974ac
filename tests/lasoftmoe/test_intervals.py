"""Bootstrap intervals over subjects: right center, right width, paired, reproducible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lasoftmoe import metrics
from lasoftmoe.intervals import acer_difference, acer_interval


def _scores(subjects: int = 60, shift: float = 1.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"subject": np.repeat([f"s{i}" for i in range(subjects)], 8)})
    table["is_attack"] = np.tile([False] * 3 + [True] * 5, subjects)
    table["attack_score"] = rng.normal(size=len(table)) + shift * table["is_attack"]
    return table


def test_estimate_is_the_acer_of_the_metrics_module():
    scores = _scores()
    report = metrics.evaluate(scores["attack_score"], scores["is_attack"], threshold=0.4)
    interval = acer_interval(scores, 0.4)
    assert interval.estimate == pytest.approx(report.acer)
    assert interval.low < report.acer < interval.high


def _resampled_acer(scores: pd.DataFrame, threshold: float, n: int) -> np.ndarray:
    """The obvious way: draw subjects, put their rows together, ask the metrics module."""
    rows = scores.groupby("subject").indices
    rng, draws = np.random.default_rng(0), []
    for _ in range(n):
        drawn = np.concatenate([rows[s] for s in rng.choice(sorted(rows), len(rows))])
        table = scores.iloc[drawn]
        draws.append(metrics.evaluate(table["attack_score"], table["is_attack"], threshold).acer)
    return np.array(draws)


def test_interval_agrees_with_naive_resampling_of_whole_subjects():
    scores = _scores()
    low, high = np.quantile(_resampled_acer(scores, 0.5, n=400), [0.025, 0.975])
    fast = acer_interval(scores, 0.5)
    assert (fast.low, fast.high) == pytest.approx((low, high), abs=0.015)


def test_intervals_repeat_by_seed():
    scores = _scores()
    assert acer_interval(scores, 0.5, seed=1) == acer_interval(scores, 0.5, seed=1)
    assert acer_interval(scores, 0.5, seed=1) != acer_interval(scores, 0.5, seed=2)


def test_width_agrees_with_the_binomial_formula_when_images_are_independent():
    scores = _scores(subjects=400)
    interval = acer_interval(scores, 0.5)
    p = interval.estimate
    live, attacks = (~scores["is_attack"]).sum(), scores["is_attack"].sum()
    expected = 2 * 1.96 * 0.5 * np.sqrt(p * (1 - p) * (1 / live + 1 / attacks))
    assert interval.high - interval.low == pytest.approx(expected, rel=0.15)


def test_images_of_one_subject_do_not_count_as_independent():
    scores = _scores(subjects=100)
    copied = pd.concat([scores] * 20, ignore_index=True)
    once, often = acer_interval(scores, 0.5), acer_interval(copied, 0.5)
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_difference_of_a_detector_with_itself_is_exactly_zero():
    scores = _scores()
    interval = acer_difference((scores, 0.5), (scores, 0.5))
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)
    assert interval.contains_zero


def test_pairing_ignores_the_order_of_rows_and_sees_a_real_difference():
    good, bad = _scores(shift=2.0), _scores(shift=0.2)
    interval = acer_difference((good, 1.0), (bad.sample(frac=1, random_state=0), 0.1))
    assert interval.high < 0
    assert not interval.contains_zero


def test_other_subjects_and_single_classes_are_refused():
    scores = _scores()
    with pytest.raises(ValueError, match="same subjects"):
        acer_difference((scores, 0.5), (scores.assign(subject="other"), 0.5))
    with pytest.raises(ValueError, match="both live images and attacks"):
        acer_interval(scores[scores["is_attack"]], 0.5)
