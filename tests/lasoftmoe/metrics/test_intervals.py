"""Bootstrap intervals over subjects: right center, right width, paired, reproducible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from data_prep.synthetic.nuisance import NO_NUISANCE
from lasoftmoe import metrics
from lasoftmoe.metrics import intervals, statistics
from lasoftmoe.metrics.intervals import (
    Scored,
    acer_difference,
    acer_interval,
    bootstrap_interval,
    paired_difference,
)


def _scores(subjects: int = 60, shift: float = 1.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"subject": np.repeat([f"s{i}" for i in range(subjects)], 8)})
    table["is_attack"] = np.tile([False] * 3 + [True] * 5, subjects)
    table["attack_score"] = rng.normal(size=len(table)) + shift * table["is_attack"]
    table["attack_type"] = np.tile(["live"] * 3 + ["print"] * 2 + ["cw"] * 3, subjects)
    return table


def test_estimate_is_the_acer_of_the_metrics_module():
    scores = _scores()
    report = metrics.evaluate(scores["attack_score"], scores["is_attack"], threshold=0.4)
    interval = acer_interval(Scored(scores, 0.4))
    assert interval.estimate == pytest.approx(report.acer)
    assert interval.low < report.acer < interval.high


def _result(name):
    """Return a result of the report, as the slow way asks for it."""

    def statistic(scores, threshold):
        columns = scores["attack_score"], scores["is_attack"]
        report = metrics.evaluate(*columns, threshold, scores["attack_type"])
        return getattr(report, name)

    return statistic


@pytest.mark.parametrize("name", [n for n in statistics.STATISTICS if n != "reprocessed_gap"])
def test_quick_statistics_equal_the_report_on_every_resample(name):
    scores = _scores(subjects=12).round({"attack_score": 1})  # with ties
    scores["id"] = [str(i) for i in range(len(scores))]
    scores = scores.sample(frac=1, random_state=0)
    for unit in ("subject", "id"):
        options = {"resamples": 60, "unit": unit, "seed": 3}
        quick = bootstrap_interval(name, Scored(scores, 0.5), **options)
        slow = bootstrap_interval(_result(name), Scored(scores, 0.5), **options)
        assert (quick.estimate, quick.low, quick.high) == pytest.approx(
            (slow.estimate, slow.low, slow.high)
        )


def _gap(scores, threshold):
    """The slow way to the gap between re-processed and clean live images."""
    live = scores[~scores["is_attack"]]
    rejected = (live["attack_score"] >= threshold).groupby(live["nuisance"] == "none").mean()
    if len(rejected) < 2:
        raise ValueError("one kind only")
    return rejected[False] - rejected[True]


def test_gap_of_reprocessed_images_equals_the_slow_way_and_sees_a_real_gap():
    scores = _scores(subjects=6)
    scores["nuisance"] = np.tile(
        ["none", "jpeg", "blur", "none", "none", "jpeg", "jpeg", "none"], 6
    )
    options = {"resamples": 80, "seed": 2}
    quick = bootstrap_interval("reprocessed_gap", Scored(scores, 0.5), **options)
    assert quick == bootstrap_interval(_gap, Scored(scores, 0.5), **options)
    harmed = ~scores["is_attack"] & (scores["nuisance"] != "none")
    scores.loc[harmed, "attack_score"] += 5
    worse = bootstrap_interval("reprocessed_gap", Scored(scores, 0.5), **options)
    assert worse.estimate > quick.estimate and worse.low > 0


def test_gap_calls_clean_what_the_embedded_data_calls_clean():
    assert statistics.CLEAN == NO_NUISANCE


def test_gap_needs_to_know_what_was_done_to_the_images():
    with pytest.raises(ValueError, match="no column 'nuisance'"):
        bootstrap_interval("reprocessed_gap", Scored(_scores(), 0.5))


def test_resamples_in_parts_are_the_same_resamples(monkeypatch):
    scores = _scores(subjects=12)
    whole = [
        bootstrap_interval(name, Scored(scores, 0.5), resamples=50) for name in ("auc", "acer")
    ]
    for module in (intervals, statistics):
        monkeypatch.setattr(module, "CHUNK", 40)
    assert whole == [
        bootstrap_interval(name, Scored(scores, 0.5), resamples=50) for name in ("auc", "acer")
    ]


def test_interval_agrees_with_scipy():
    scores = _scores()
    rows = [group for _, group in scores.groupby("subject")]

    def accuracy(drawn):
        table = pd.concat([rows[i] for i in drawn])
        return np.mean((table["attack_score"] >= 0.5) == table["is_attack"])

    options = {"vectorized": False, "n_resamples": 300, "method": "percentile", "rng": 0}
    theirs = bootstrap((np.arange(len(rows)),), accuracy, **options).confidence_interval
    ours = bootstrap_interval("acc", Scored(scores, 0.5))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)


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
    fast = acer_interval(Scored(scores, 0.5))
    assert (fast.low, fast.high) == pytest.approx((low, high), abs=0.015)


def test_intervals_repeat_by_seed():
    scores = _scores()
    assert acer_interval(Scored(scores, 0.5), seed=1) == acer_interval(Scored(scores, 0.5), seed=1)
    assert acer_interval(Scored(scores, 0.5), seed=1) != acer_interval(Scored(scores, 0.5), seed=2)


def test_width_agrees_with_the_binomial_formula_when_images_are_independent():
    scores = _scores(subjects=400)
    interval = acer_interval(Scored(scores, 0.5))
    p = interval.estimate
    live, attacks = (~scores["is_attack"]).sum(), scores["is_attack"].sum()
    expected = 2 * 1.96 * 0.5 * np.sqrt(p * (1 - p) * (1 / live + 1 / attacks))
    assert interval.high - interval.low == pytest.approx(expected, rel=0.15)


def test_images_of_one_subject_do_not_count_as_independent():
    scores = _scores(subjects=100)
    copied = pd.concat([scores] * 20, ignore_index=True)
    once, often = acer_interval(Scored(scores, 0.5)), acer_interval(Scored(copied, 0.5))
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_difference_of_a_detector_with_itself_is_exactly_zero():
    scores = _scores()
    interval = acer_difference(Scored(scores, 0.5), Scored(scores, 0.5))
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)
    assert interval.contains_zero


def test_pairing_ignores_the_order_of_rows_and_sees_a_real_difference():
    good, bad = _scores(shift=2.0), _scores(shift=0.2)
    interval = acer_difference(Scored(good, 1.0), Scored(bad.sample(frac=1, random_state=0), 0.1))
    assert interval.high < 0
    assert not interval.contains_zero


def test_threshold_of_a_whole_run_comes_from_its_dev_part():
    dev, test = _scores(seed=1), _scores(seed=2)
    run = pd.concat([dev.assign(split="dev"), test.assign(split="test")])
    threshold = metrics.eer_threshold(dev["attack_score"], dev["is_attack"])
    assert bootstrap_interval("acer", run) == bootstrap_interval("acer", Scored(test, threshold))
    assert paired_difference(run, [Scored(test, threshold)]).estimate == 0


def test_one_seed_in_a_list_is_that_seed():
    run = Scored(_scores(), 0.5)
    assert bootstrap_interval("acer", [run]) == bootstrap_interval("acer", run)
    assert bootstrap_interval("acer", (run, run)).estimate == pytest.approx(
        bootstrap_interval("acer", run).estimate
    )


def test_seeds_that_differ_widen_the_interval_of_their_mean():
    people = {"subjects": 200}
    alike = [Scored(_scores(**people, shift=1.0, seed=i), 0.5) for i in range(4)]
    apart = [
        Scored(_scores(**people, shift=s, seed=i), 0.5) for i, s in enumerate((0.2, 0.8, 1.2, 1.8))
    ]
    quiet, loud = bootstrap_interval("acer", alike), bootstrap_interval("acer", apart)
    assert loud.high - loud.low > 3 * (quiet.high - quiet.low)
    assert loud.estimate == pytest.approx(
        np.mean([bootstrap_interval("acer", run).estimate for run in apart])
    )


def test_spread_over_seeds_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(size=5)
    repeated = np.tile(values[:, None], 40000)
    means = intervals._mean_over_drawn_seeds(repeated, np.random.default_rng(1))
    assert means.std() == pytest.approx(values.std(ddof=1) / np.sqrt(5), rel=0.02)


def test_one_seed_finds_differences_between_equal_methods_and_five_seeds_do_not():
    rng, found = np.random.default_rng(0), {1: 0, 5: 0}
    for seeds in found:
        for _ in range(60):
            runs = [
                Scored(_scores(30, 1 + 0.4 * rng.normal(), int(rng.integers(1e9))), 0.5)
                for _ in range(2 * seeds)
            ]
            gap = paired_difference(runs[:seeds], runs[seeds:], resamples=200)
            found[seeds] += not gap.contains_zero
    assert found[1] > 18 and found[5] < 12


def test_undefined_resamples_are_left_out_but_not_most_of_them():
    scores = _scores(subjects=6)
    scores = scores[scores["is_attack"] | scores["subject"].isin(["s0", "s1", "s2"])]
    interval = bootstrap_interval("acer", Scored(scores, 0.5))
    assert np.isfinite([interval.low, interval.high]).all()

    def undefined(table, threshold):
        if table["subject"].nunique() < 6:
            raise ValueError("not on this draw")
        return 0.5

    with pytest.raises(ValueError, match=r"undefined in .* of 200 resamples"):
        bootstrap_interval(undefined, Scored(scores, 0.5), resamples=200)


def test_unusable_requests_are_refused_in_words():
    scores = _scores()
    with pytest.raises(ValueError, match="no statistic 'eer2'"):
        bootstrap_interval("eer2", Scored(scores, 0.5))
    with pytest.raises(ValueError, match="column 'split' with test"):
        bootstrap_interval("acer", scores)
    for pair in ((scores, 0.5), (0.5, scores)):
        with pytest.raises(ValueError, match=r"Scored\(scores, threshold\)"):
            bootstrap_interval("acer", pair)
    with pytest.raises(ValueError, match="no runs"):
        paired_difference(Scored(scores, 0.5), [])
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval("acer", Scored(scores, 0.5), level=95)
    with pytest.raises(ValueError, match="an attack has no attack_type"):
        bootstrap_interval("acer_worst", Scored(scores.assign(attack_type=None), 0.5))


def test_other_subjects_and_single_classes_are_refused():
    scores = _scores()
    with pytest.raises(ValueError, match="same subjects"):
        acer_difference(Scored(scores, 0.5), Scored(scores.assign(subject="other"), 0.5))
    with pytest.raises(ValueError, match="only attacks among 300 scores"):
        acer_interval(Scored(scores[scores["is_attack"]], 0.5))


@pytest.mark.parametrize("name", statistics.STATISTICS)
def test_scores_that_are_not_finite_are_refused(name):
    scores = _scores().assign(nuisance="none")
    scores.loc[3, "attack_score"] = np.nan
    with pytest.raises(ValueError, match=r"attack_score\[3\] is nan"):
        bootstrap_interval(name, Scored(scores, 0.5))


def test_a_threshold_between_two_single_precision_numbers_is_not_rounded():
    scores = _scores().assign(attack_score=np.float32(0.1))
    above = float(np.nextafter(np.float64(np.float32(0.1)), 1))
    assert acer_interval(Scored(scores, 0.1)).estimate == 0.5  # all are called attacks
    assert bootstrap_interval("bpcer", Scored(scores, above)).estimate == 0
