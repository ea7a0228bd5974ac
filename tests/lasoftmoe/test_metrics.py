"""Error rates against naive counting, against scikit-learn, and at the edges."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from lasoftmoe import metrics

# Few distinct values make ties common.
SCORE = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_nan=False, width=32))


@st.composite
def score_lists(draw):
    rows = draw(st.lists(st.tuples(SCORE, st.booleans()), min_size=2, max_size=40))
    scores, attacks = zip(*rows, strict=True)
    assume(any(attacks) and not all(attacks))
    return np.array(scores), np.array(attacks)


def naive_rates(scores, attacks, threshold):
    missed = [s < threshold for s, a in zip(scores, attacks, strict=True) if a]
    rejected = [s >= threshold for s, a in zip(scores, attacks, strict=True) if not a]
    return sum(missed) / len(missed), sum(rejected) / len(rejected)


@given(score_lists())
def test_auc_equals_scikit_learn_and_pair_counting(data):
    scores, attacks = data
    pairs = [(a > b) + (a == b) / 2 for a in scores[attacks] for b in scores[~attacks]]
    assert metrics.auc(scores, attacks) == pytest.approx(np.mean(pairs))
    assert metrics.auc(scores, attacks) == pytest.approx(roc_auc_score(attacks, scores))


@given(score_lists())
def test_eer_is_where_scikit_learns_curve_meets_the_diagonal(data):
    scores, attacks = data
    fpr, tpr, _ = roc_curve(attacks, scores, drop_intermediate=False)
    crossing = metrics.eer(scores, attacks)
    corners = np.flatnonzero((fpr[:-1] <= 1 - tpr[:-1]) & (fpr[1:] >= 1 - tpr[1:]))
    i = corners[0]
    line = interp1d([0, 1], [[fpr[i], fpr[i + 1]], [1 - tpr[i], 1 - tpr[i + 1]]])
    where = brentq(lambda t: line(t)[0] - line(t)[1], 0, 1)
    assert crossing == pytest.approx(float(line(where)[0]), abs=1e-9)
    assert 0 <= crossing <= 1


@given(score_lists())
def test_operating_points_are_all_decisions_that_naive_counting_finds(data):
    scores, attacks = data
    thresholds, apcer, bpcer = metrics.operating_points(scores, attacks)
    assert (np.diff(thresholds) > 0).all()
    assert len(thresholds) == len(set(scores)) + 1
    for threshold, a, b in zip(thresholds, apcer, bpcer, strict=True):
        assert (a, b) == pytest.approx(naive_rates(scores, attacks, threshold))


@given(score_lists())
def test_no_threshold_brings_the_rates_closer_than_the_eer_threshold(data):
    scores, attacks = data
    apcer, bpcer = naive_rates(scores, attacks, metrics.eer_threshold(scores, attacks))
    for threshold in [*scores, max(scores) + 1]:
        other_apcer, other_bpcer = naive_rates(scores, attacks, threshold)
        assert abs(apcer - bpcer) <= abs(other_apcer - other_bpcer) + 1e-9
        if math.isclose(abs(apcer - bpcer), abs(other_apcer - other_bpcer)):
            assert apcer + bpcer <= other_apcer + other_bpcer + 1e-9


@given(score_lists(), SCORE)
def test_report_equals_naive_counting(data, threshold):
    scores, attacks = data
    types = np.where(attacks, np.where(np.arange(len(scores)) % 2, "print", "fgsm"), "live")
    report = metrics.evaluate(scores, attacks, threshold, types)
    apcer, bpcer = naive_rates(scores, attacks, threshold)
    assert (report.apcer, report.bpcer) == pytest.approx((apcer, bpcer))
    assert report.acer == pytest.approx((apcer + bpcer) / 2)
    assert report.acc == pytest.approx(np.mean((scores >= threshold) == attacks))
    for name, rate in report.apcer_per_type.items():
        assert rate == pytest.approx(np.mean(scores[types == name] < threshold))
    assert report.apcer_worst == max(report.apcer_per_type.values()) >= report.apcer - 1e-12
    assert report.acer_worst == pytest.approx((report.apcer_worst + bpcer) / 2)


@given(score_lists(), st.sampled_from([0.0, 0.01, 0.2, 1.0]))
def test_tpr_at_fpr_is_the_best_among_allowed_thresholds(data, fpr):
    scores, attacks = data
    rates = [naive_rates(scores, attacks, t) for t in [*scores, max(scores) + 1]]
    expected = max(1 - apcer for apcer, bpcer in rates if bpcer <= fpr)
    assert metrics.tpr_at_fpr(scores, attacks, fpr) == pytest.approx(expected)


def test_a_case_by_hand():
    scores = [0.1, 0.4, 0.6, 0.2, 0.7, 0.9]
    attacks = [False, False, False, True, True, True]
    report = metrics.evaluate(scores, attacks, 0.5, ["live"] * 3 + ["print", "fgsm", "fgsm"])
    assert report.apcer == pytest.approx(1 / 3)
    assert report.bpcer == pytest.approx(1 / 3)
    assert report.acc == pytest.approx(4 / 6)
    assert report.auc == pytest.approx(7 / 9)
    assert report.apcer_per_type == {"fgsm": 0.0, "print": 1.0}
    assert report.acer_worst == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.eer_threshold(scores, attacks) == pytest.approx(0.5)  # midway in (0.4, 0.6)
    assert report.threshold_source == "given"


def test_a_score_at_the_threshold_is_called_an_attack():
    report = metrics.evaluate([0.0, 0.5, 0.5], [False, False, True], 0.5)
    assert (report.apcer, report.bpcer) == (0.0, 0.5)


def test_constant_scores_are_chance_and_flag_everything():
    report = metrics.evaluate([2.0] * 4, [True, False, True, False])
    assert (report.auc, report.eer, report.threshold) == (0.5, 0.5, 2.0)
    assert (report.apcer, report.bpcer) == (0.0, 1.0)


def test_equal_gaps_prefer_the_smaller_acer_then_the_lower_threshold():
    # thresholds between the scores give (apcer, bpcer): (0, 1), (1/2, 1), (1/2, 0), (1, 0)
    scores, attacks = [1.0, 2.0, 3.0], [True, False, True]
    assert metrics.eer_threshold(scores, attacks) == pytest.approx(2.5)
    # (0, 1), (1, 1), (1, 0) is a swapped detector: the middle one has no gap at all
    assert metrics.eer_threshold([1.0, 2.0], [True, False]) == pytest.approx(1.5)
    # (0, 1), (0, 1/2), (1/2, 1/2), ...: equal rates win
    assert metrics.eer_threshold([1.0, 2.0, 3.0, 4.0], [False, True, False, True]) == 2.5


def test_neighboring_floats_still_get_separated():
    high = 1.0
    low = np.nextafter(high, 0)
    threshold = metrics.eer_threshold([low, high], [False, True])
    assert low < threshold <= high


def test_huge_scores_do_not_overflow():
    threshold = metrics.eer_threshold([-1.7e308, 1.7e308], [False, True])
    assert math.isfinite(threshold)


@pytest.mark.parametrize(
    ("scores", "attacks", "message"),
    [
        ([], [], "no scores"),
        ([1.0, 2.0], [True, True], "only attacks"),
        ([1.0, 2.0], [False, False], "only live"),
        ([1.0, math.nan], [True, False], r"attack_score\[1\] is nan"),
        ([math.inf, 1.0], [True, False], r"attack_score\[0\] is inf"),
        ([1.0, 2.0], [True], "one length"),
        ([1.0, 2.0], ["live", "fake"], "label == 'fake'"),
        ([1.0, 2.0], [0, 2], "booleans"),
    ],
)
@pytest.mark.parametrize("function", [metrics.evaluate, metrics.auc, metrics.eer_threshold])
def test_unusable_input_is_refused_in_words(function, scores, attacks, message):
    with pytest.raises(ValueError, match=message):
        function(scores, attacks)


def test_zeros_and_ones_pass_as_booleans():
    assert metrics.auc([0.0, 1.0], [0, 1]) == 1.0


def test_other_bad_arguments():
    with pytest.raises(ValueError, match="threshold is NaN"):
        metrics.evaluate([0.0, 1.0], [False, True], math.nan)
    with pytest.raises(ValueError, match="attack_type has 1 entries"):
        metrics.evaluate([0.0, 1.0], [False, True], 0.5, ["live"])
    with pytest.raises(ValueError, match="row 1 is marked as an attack"):
        metrics.evaluate([0.0, 1.0], [False, True], 0.5, ["live", "live"])
    with pytest.raises(ValueError, match="fraction"):
        metrics.tpr_at_fpr([0.0, 1.0], [False, True], 5)


def test_report_as_dictionary_row_and_text():
    report = metrics.evaluate([0.0, 1.0, 2.0], [False, True, True], 1.5, ["live", "cw", "pgd"])
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert report.to_frame("mine").loc["mine", "ACER"] == pytest.approx(25.0)
    text = str(report)
    assert "ACER   25.00%" in text and "cw" in text and "from given" in text
    without_types = metrics.evaluate([0.0, 1.0], [False, True])
    assert without_types.apcer_worst is None
    assert without_types.threshold_source == "own EER"
    assert math.isnan(without_types.to_frame().iloc[0]["ACER worst type"])
