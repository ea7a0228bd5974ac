"""Error rates against naive counting, against scikit-learn, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from lasoftmoe import metrics

# A busy machine must not fail a test for taking long.
settings.register_profile("patient", deadline=None, max_examples=50)
settings.load_profile("patient")

# Few distinct values make ties common.
SCORE = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_nan=False, width=32))


@st.composite
def score_lists(draw):
    rows = draw(st.lists(st.tuples(SCORE, st.booleans()), min_size=2, max_size=40))
    scores, attacks = zip(*rows, strict=True)
    assume(any(attacks) and not all(attacks))
    return np.array(scores, draw(st.sampled_from([np.float64, np.float32]))), np.array(attacks)


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
def test_evaluate_agrees_with_the_functions_for_single_figures(data):
    report = metrics.evaluate(*data)
    assert report.auc == metrics.auc(*data)
    assert report.eer == metrics.eer(*data)
    assert report.threshold == metrics.eer_threshold(*data)
    assert report.tpr_at_1_percent_fpr == metrics.tpr_at_fpr(*data, 0.01)


@given(score_lists(), st.sampled_from([0.0, 0.01, 0.2, 1.0]))
def test_threshold_at_bpcer_is_the_lowest_that_keeps_the_promise(data, bpcer):
    scores, attacks = data
    threshold = metrics.threshold_at_bpcer(scores, attacks, bpcer)
    apcer, kept = naive_rates(scores, attacks, threshold)
    assert kept <= bpcer
    assert 1 - apcer == pytest.approx(metrics.tpr_at_fpr(scores, attacks, bpcer))
    thresholds, _, rates = metrics.operating_points(scores, attacks)
    assert threshold == thresholds[rates <= bpcer + 1e-12].min()


@given(score_lists())
def test_thresholds_decide_alike_in_the_precision_of_the_scores(data):
    scores, attacks = data
    for threshold in (metrics.eer_threshold(*data), metrics.threshold_at_bpcer(*data)):
        assert scores.dtype.type(threshold) == threshold
        single = metrics.evaluate(scores, attacks, threshold)
        double = metrics.evaluate(scores.astype(np.float64), attacks, threshold)
        assert single == double


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
    scores, attacks = data[0].astype(np.float64), data[1]
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


def test_a_rate_that_is_a_whole_number_of_images_is_allowed_in_full():
    live = np.arange(100.0)  # 0.29 x 100 is 28.999999999999996
    scores, attacks = np.append(live, 70.5), np.append(np.zeros(100, bool), True)
    assert metrics.threshold_at_bpcer(scores, attacks, 0.29) == 70.25
    assert metrics.tpr_at_fpr(scores, attacks, 0.29) == 1.0
    assert metrics.tpr_at_fpr(scores, attacks, 0.28) == 0.0


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
        (["1.0", "2.0"], [True, False], "must hold numbers"),
        ([1.0, None], [True, False], r"attack_score\[1\] is None"),
        ([1.0, 2.0], [0, 2], "not a boolean"),
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
    with pytest.raises(ValueError, match="fraction"):
        metrics.threshold_at_bpcer([0.0, 1.0], [False, True], math.nan)
    with pytest.raises(ValueError, match=r"row 1 .* attack_type is missing"):
        metrics.evaluate([0.0, 1.0], [False, True], 0.5, ["live", None])


def test_types_may_be_words_categories_or_a_series_with_its_own_index():
    scores, attacks = [0.0, 1.0, 2.0, 3.0], [False, True, True, True]
    words = ["live", "cw", "pgd", "cw"]
    expected = {"cw": 0.5, "pgd": 0.0}
    for types in (words, np.array(words), pd.Categorical(words), pd.Series(words, [7, 7, 5, 4])):
        assert metrics.evaluate(scores, attacks, 1.5, types).apcer_per_type == expected


def frames() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "split": "test",
            "id": ["a", "b", "c", "d", "e"],
            "attack_score": [1.0, 4.0, 2.0, 5.0, 9.0],
            "is_attack": [False, True, False, True, True],
            "attack_type": ["live", "print", "live", "print", "cw"],
            "subject": ["s", "s", "s", "s", "s"],
            "video": ["v", "w", "v", "w", ""],
        }
    )


def test_a_video_scores_the_mean_of_its_images_and_an_image_stands_for_itself():
    videos = metrics.per_video(frames())
    assert videos["id"].tolist() == ["v", "w", "e"]
    assert videos["attack_score"].tolist() == [1.5, 4.5, 9.0]
    assert videos["is_attack"].tolist() == [False, True, True]
    assert videos["images"].tolist() == [2, 2, 1]
    assert metrics.per_video(frames().assign(video=None))["images"].tolist() == [1] * 5
    named_alike = frames().assign(id=["a", "b", "c", "d", "v"])
    assert len(metrics.per_video(named_alike)) == 3


@pytest.mark.parametrize("column", ["is_attack", "attack_type", "subject", "split"])
def test_a_video_of_two_kinds_is_refused_by_name(column):
    table = frames()
    table.loc[2, column] = table.loc[3, column] if column in ("is_attack", "attack_type") else "x"
    with pytest.raises(ValueError, match=f"images of video 'v' differ in {column}"):
        metrics.per_video(table)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_a_score_that_is_not_finite_is_refused_with_its_image(score):
    table = frames().astype({"attack_score": object})
    table.loc[2, "attack_score"] = score
    with pytest.raises(ValueError, match="attack_score of image 'c' is "):
        metrics.per_video(table)


def test_scores_without_videos_cannot_be_averaged_over_them():
    with pytest.raises(ValueError, match="no column 'video'"):
        metrics.per_video(frames().drop(columns="video"))
