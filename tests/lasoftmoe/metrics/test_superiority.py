"""P(A > B) against counting pairs."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from lasoftmoe.metrics.superiority import probability_better


def test_it_counts_pairs_of_runs():
    assert probability_better([1, 2], [3, 4]).estimate == 1
    assert probability_better([3, 4], [1, 2]).estimate == 0
    assert probability_better([1, 3], [2, 3]).estimate == pytest.approx((1 + 1 + 0 + 0.5) / 4)


def test_it_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=9), rng.normal(0.5, size=7)
    statistic = mannwhitneyu(b, a).statistic / (len(a) * len(b))
    assert probability_better(a, b).estimate == pytest.approx(statistic)


def test_equal_methods_are_a_coin_and_few_runs_leave_it_open():
    rng = np.random.default_rng(1)
    many = probability_better(rng.normal(size=200), rng.normal(size=200))
    few = probability_better(rng.normal(size=5), rng.normal(size=5))
    assert many.low < 0.5 < many.high
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("rates", [[0.1], [0.1, np.nan], [[0.1, 0.2]]])
def test_too_few_or_wrong_rates_are_named(rates):
    with pytest.raises(ValueError, match="second: expected two or more finite error rates"):
        probability_better([0.1, 0.2], rates)
