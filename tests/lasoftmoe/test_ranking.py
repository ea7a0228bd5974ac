"""The packed sort against plain counting: every bit of a score matters, in every range."""

from __future__ import annotations

import numpy as np
import pytest

from lasoftmoe import metrics, ranking
from lasoftmoe.ranking import Ranking, at_least

KINDS = {
    "spread": lambda rng, n: rng.normal(size=n) * 10 ** rng.uniform(-3, 3),
    "equal": lambda rng, n: rng.integers(-2, 3, n) * -1.0,
    "negative zero": lambda rng, n: rng.choice([-0.0, 0.0, 5e-324, -5e-324], n),
    "last bit": lambda rng, n: 1 + rng.integers(0, 4, n) * 2.0**-52,
    "all ranges": lambda rng, n: np.exp(rng.uniform(-700, 700, n)) * rng.choice([-1, 0, 1], n),
    "largest": lambda rng, n: rng.choice([-1, 1e-308, 1], n) * np.finfo(np.float64).max,
    "single": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "single, equal": lambda rng, n: rng.integers(-3, 3, n).astype(np.float32),
}


@pytest.mark.parametrize("block", [1, 4, 1 << 16])
@pytest.mark.parametrize("kind", KINDS)
def test_order_counts_and_thresholds(kind, block, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK", block)
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = int(rng.integers(2, 40))
        scores, attacks = KINDS[kind](rng, n), rng.random(n) < 0.5
        attacks[:2] = True, False
        live, fake = scores[~attacks], scores[attacks][:, None]
        ordered = Ranking(scores, attacks)
        assert ordered.auc() == pytest.approx(np.mean((fake > live) + (fake == live) / 2))
        cuts = [ordered.first_cut(lambda a, b, k=k: a + b >= k) for k in range(n + 1)]
        thresholds, apcer, _ = metrics.operating_points(scores, attacks)
        cuts = sorted(set(cuts))
        assert [ordered.threshold(cut) for cut in cuts] == thresholds.tolist()
        assert [ordered.below(cut)[0] / ordered.n_attack for cut in cuts] == apcer.tolist()
        assert [ordered.previous_cut(cut) for cut in cuts[1:]] == cuts[:-1]


@pytest.mark.parametrize("sizes", [(1, 1), (3, 1), (1, 40), (30, 30)])
def test_groups_of_equal_scores_of_any_length(sizes):
    live, fake = sizes
    scores = np.repeat([1.0, 2.0, 3.0], live + fake)
    attacks = np.tile(np.arange(live + fake) < fake, 3)
    ordered = Ranking(scores, attacks)
    assert ordered.auc() == pytest.approx(0.5)
    assert ordered.first_cut(lambda a, b: a + b > 0) == live + fake


def test_scores_too_far_apart_to_be_packed_are_ranked():
    scores = np.array([5e-324, -1e308, 1e308, 0.0])
    assert ranking._unused_codes(scores) is None
    assert Ranking(scores, np.array([True, False, True, False])).auc() == 1.0


def test_comparison_does_not_round_the_threshold():
    scores = np.array([0.1, 0.3], np.float32)  # a little above 0.1, a little above 0.3
    assert at_least(scores, 0.1).tolist() == [True, True]
    assert at_least(scores, float(np.nextafter(np.float64(scores[0]), 1))).tolist() == [False, True]
    assert not at_least(scores, 1e300).any()
    assert at_least(scores, -1e300).all()
