"""Cuts, counts, and thresholds against plain counting and scikit-learn: every bit counts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from lasoftmoe import metrics
from lasoftmoe.metrics.ranking import Ranking, at_least

FINITE = {"allow_nan": False, "allow_infinity": False}
KINDS = {
    "any": st.floats(**FINITE),
    "few": st.sampled_from([-1.0, -0.0, 0.0, 1.0, 5e-324, -5e-324]),
    "last bit": st.integers(0, 4).map(lambda k: 1 + k * 2.0**-52),
    "far apart": st.sampled_from([-1.7e308, -1.0, 0.0, 5e-324, 1.7e308]),
    "single, any": st.floats(width=32, **FINITE),
    "single, shares": st.floats(0, 1, width=32),
    "single, few": st.sampled_from([-3e38, -1.0, -0.0, 0.0, 2.0**-149, 3e38]),
}


@st.composite
def ranked(draw, kind):
    pairs = draw(st.lists(st.tuples(KINDS[kind], st.booleans()), min_size=1, max_size=30))
    pairs += [(pairs[0][0], True), (pairs[-1][0], False)]
    scores, attacks = zip(*pairs, strict=True)
    return np.array(scores, np.float32 if "single" in kind else np.float64), np.array(attacks)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_cut_decides_what_plain_counting_says(kind, data):
    scores, attacks = data.draw(ranked(kind))
    ranking = Ranking(scores, attacks)
    thresholds = ranking.thresholds()
    assert thresholds.dtype == scores.dtype
    assert np.array_equal(ranking.values, sorted(set(scores.tolist())))
    assert len(thresholds) == len(ranking.values) + 1
    for cut, threshold in enumerate(thresholds):
        called_live = scores < threshold
        assert ranking.missed[cut] == np.count_nonzero(called_live & attacks)
        assert ranking.accepted[cut] == np.count_nonzero(called_live & ~attacks)
    assert (ranking.missed + ranking.accepted)[[0, -1]].tolist() == [0, len(scores)]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_auc_is_the_nearest_float_to_the_exact_share_of_pairs(kind, data):
    scores, attacks = data.draw(ranked(kind))
    live, fake = scores[~attacks], scores[attacks][:, None]
    twice_won = int((2 * (fake > live) + (fake == live)).sum())
    assert metrics.auc(scores, attacks) == float(Fraction(twice_won, 2 * live.size * fake.size))
    with np.errstate(all="ignore"):  # scikit-learn subtracts the largest scores
        assert metrics.auc(scores, attacks) == pytest.approx(roc_auc_score(attacks, scores))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_eer_lies_on_scikit_learns_curve(kind, data):
    scores, attacks = data.draw(ranked(kind))
    with np.errstate(all="ignore"):
        fpr, tpr, _ = roc_curve(attacks, scores, drop_intermediate=False)
    eer = metrics.eer(scores, attacks)
    # The curve may be vertical at the crossing, so compare along the falling diagonal.
    along = fpr - (1 - tpr)
    assert eer == pytest.approx(np.interp(0, along, fpr), abs=1e-12)
    assert eer == pytest.approx(np.interp(0, along, 1 - tpr), abs=1e-12)


def test_ten_thousand_scores_are_ranked_as_scikit_learn_ranks_them():
    rng = np.random.default_rng(0)
    attacks = rng.random(10_000) < 0.3
    scores = (rng.normal(size=10_000) + attacks).round(2)
    fpr, tpr, thresholds = roc_curve(attacks, scores, drop_intermediate=False)
    _, apcer, bpcer = metrics.operating_points(scores, attacks)
    assert len(thresholds) > 500
    np.testing.assert_allclose(bpcer[::-1], fpr, atol=1e-12)
    np.testing.assert_allclose(1 - apcer[::-1], tpr, atol=1e-12)


def test_comparison_does_not_round_the_threshold():
    scores = np.array([0.1, 0.3], np.float32)  # a little above 0.1, a little above 0.3
    assert at_least(scores, 0.1).tolist() == [True, True]
    assert at_least(scores, float(np.nextafter(np.float64(scores[0]), 1))).tolist() == [False, True]
    assert not at_least(scores, 1e300).any()
    assert at_least(scores, -1e300).all()
