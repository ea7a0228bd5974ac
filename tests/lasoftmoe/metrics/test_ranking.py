"""The packed sort against plain counting: every bit of a score matters, in every range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasoftmoe import metrics
from lasoftmoe.metrics import ranking
from lasoftmoe.metrics.ranking import Ranking, at_least

KINDS = {
    "spread": lambda rng, n: rng.normal(size=n) * 10 ** rng.uniform(-3, 3),
    "equal": lambda rng, n: rng.integers(-2, 3, n) * -1.0,
    "negative zero": lambda rng, n: rng.choice([-0.0, 0.0, 5e-324, -5e-324], n),
    "last bit": lambda rng, n: 1 + rng.integers(0, 4, n) * 2.0**-52,
    "all ranges": lambda rng, n: np.exp(rng.uniform(-700, 700, n)) * rng.choice([-1, 0, 1], n),
    "largest": lambda rng, n: rng.choice([-1, 1e-308, 1], n) * np.finfo(np.float64).max,
    "single": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "single, equal": lambda rng, n: rng.integers(-3, 3, n).astype(np.float32),
    "single, shares": lambda rng, n: rng.choice([0, 0.25, 1 - 2**-24, 1], n).astype(np.float32),
    "single, all ranges": lambda rng, n: (
        np.exp(rng.uniform(-100, 88, n)) * rng.choice([-1, 0, 1], n)
    ).astype(np.float32),
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_too_far_apart_to_be_packed_in_their_own_width(dtype):
    info, attacks = np.finfo(dtype), np.array([True, False, True, False])
    scores = np.array([info.smallest_subnormal, info.min, info.max, 0.0], dtype)
    assert ranking._unused_codes(scores) is None
    ordered = Ranking(scores, attacks)
    assert ordered._keys.dtype == np.int64
    assert ordered.auc() == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("too_many", [0, 1])
def test_the_last_code_that_fits_is_not_one_too_many(dtype, too_many):
    codes = np.array([1, 1 << (8 * np.dtype(dtype).itemsize - 2)]) + 5
    codes[1] += too_many - 1
    sizes = codes.astype(f"i{np.dtype(dtype).itemsize}").view(dtype)
    scores = np.concatenate([sizes, -sizes, [dtype(0)]])
    assert (ranking._unused_codes(scores) is None) == bool(too_many)
    _check_order(scores, np.array([True, False, False, True, True]))


@pytest.mark.parametrize("scores", [[0.0, 1.0, 0.5, 1e-30], [-9.5, 7.25, -1e-4, 0.0]])
def test_probabilities_and_logits_in_single_precision_stay_as_wide(scores):
    keys = Ranking(np.array(scores, np.float32), np.array([True, False, True, False]))._keys
    assert keys.dtype == np.int32


def _check_order(scores, attacks):
    """Keys are in the order of score, then class, and give both back."""
    ordered, expected = Ranking(scores, attacks), np.lexsort((attacks, scores))
    decoded = np.array([ordered._decode(key) for key in ordered._keys], scores.dtype)
    assert np.array_equal(decoded, scores[expected])
    assert np.array_equal(ordered._keys & 1, attacks[expected])
    return ordered


FINITE = {"allow_nan": False, "allow_infinity": False}
SINGLE = {
    "any": st.floats(width=32, **FINITE),
    "shares": st.floats(0, 1, width=32),
    "logits": st.floats(-100, 100, width=32, allow_subnormal=False),
    "subnormal": st.floats(-(2.0**-126), 2.0**-126, width=32),
    "few": st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0**-149, -(2.0**-149)]),
    "few, far apart": st.sampled_from([-3e38, -1.0, -0.0, 0.0, 2.0**-149, 3e38]),
}


@pytest.mark.parametrize("kind", SINGLE)
@given(data=st.data())
def test_single_precision_is_ordered_exactly(kind, data):
    pairs = data.draw(st.lists(st.tuples(SINGLE[kind], st.booleans()), min_size=1, max_size=20))
    pairs += [(pairs[0][0], True), (pairs[-1][0], False)]
    scores = np.array([score for score, _ in pairs], np.float32)
    attacks = np.array([attack for _, attack in pairs])
    ordered = _check_order(scores, attacks)
    live, fake = scores[~attacks], scores[attacks][:, None]
    assert ordered.auc() == pytest.approx(np.mean((fake > live) + (fake == live) / 2))


def test_comparison_does_not_round_the_threshold():
    scores = np.array([0.1, 0.3], np.float32)  # a little above 0.1, a little above 0.3
    assert at_least(scores, 0.1).tolist() == [True, True]
    assert at_least(scores, float(np.nextafter(np.float64(scores[0]), 1))).tolist() == [False, True]
    assert not at_least(scores, 1e300).any()
    assert at_least(scores, -1e300).all()
