"""The paper's premise, in spaces where the answer is known."""

import numpy as np
import pytest

from lasoftmoe.metrics.spaces import STATISTICS, effective_dimension, measure_space, standardized

PEOPLE, IMAGES = 24, 6


def world(shift=0.0, width=8, seed=0):
    """Images of 24 people, half live and half attacks of two families, ``shift`` apart."""
    rng = np.random.default_rng(seed)
    subject = np.repeat([f"person {i}" for i in range(PEOPLE)], IMAGES).astype(object)
    family = np.tile(["live"] * 3 + ["physical", "editing", "editing"], PEOPLE).astype(object)
    features = rng.normal(size=(len(subject), width))
    features[family == "physical", 0] += shift
    features[family == "editing", 0] -= shift
    return features, subject, family


def measured(shift=0.0, **options):
    return measure_space(*world(shift, **options), resamples=40)


def test_two_far_families_make_fake_wide():
    found = measured(shift=30.0)
    assert found["fake_over_live"].low > 1.05
    assert found["family_gap"].low > 1.05


def test_one_family_is_as_wide_as_live():
    found = measured()
    for name in ("fake_over_live", "family_gap"):
        assert found[name].low < 1 < found[name].high
        assert found[name].estimate == pytest.approx(1, abs=0.1)


def test_the_same_images_are_wide_in_one_space_and_narrow_in_another():
    features, subject, family = world(30.0)
    wide = measure_space(features, subject, family, resamples=5)
    narrow = measure_space(features[:, 1:], subject, family, resamples=5)
    assert wide["family_gap"].estimate > 1.05 * narrow["family_gap"].estimate


def test_isolation_is_near_one_for_sparse_and_small_for_dense_points():
    """In 500 dimensions everybody is equally far away; in clumps of equal images nobody is."""
    features, subject, family = world(width=500)
    sparse = measure_space(features, subject, family, resamples=5)
    assert sparse["isolation_live"].estimate > 0.85
    clump = np.random.default_rng(1).integers(3, size=len(subject))
    dense = np.eye(3)[clump] + 0.01 * features[:, :3]
    found = measure_space(dense, subject, family, resamples=5)
    assert found["isolation_fake"].estimate < 0.1


def test_effective_dimension_counts_equal_directions():
    rng = np.random.default_rng(0)
    points = np.zeros((4000, 9))
    points[:, :4] = rng.normal(size=(4000, 4))
    assert effective_dimension(points) == pytest.approx(4, abs=0.05)
    assert effective_dimension(np.ones((5, 3))) == 0


def test_units_and_constant_features_do_not_matter():
    features, subject, family = world(2.0)
    scaled = np.hstack([features * np.arange(1, 9), np.full((len(features), 1), 7.0)])
    assert standardized(scaled)[:, -1].max() == 0
    a, b = (measure_space(x, subject, family, resamples=5) for x in (features, scaled))
    for name in STATISTICS:
        assert a[name].estimate == pytest.approx(b[name].estimate)


def test_images_of_one_person_are_no_pair_and_no_neighbor():
    """Doubling every image of a person changes no statistic of pairs."""
    features, subject, family = world(1.0)
    twice = [np.concatenate([x, x]) for x in (features, subject, family)]
    a = measure_space(features, subject, family, resamples=2)
    b = measure_space(*twice, resamples=2)
    for name in STATISTICS:
        assert a[name].estimate == pytest.approx(b[name].estimate)


@pytest.mark.parametrize("width", [3, 60])
def test_an_estimate_lies_in_its_interval(width):
    """People drawn twice would move isolation and dimension, not only widen them."""
    for name, found in measured(shift=1.0, width=width).items():
        assert found.low <= found.estimate <= found.high, name


def test_people_are_drawn_so_that_few_give_wide_intervals():
    features, subject, family = world(1.0)
    few = np.isin(subject, np.unique(subject)[:6])
    wide = measure_space(features[few], subject[few], family[few], resamples=60)
    all_of_them = measure_space(features, subject, family, resamples=60)
    width = [found["family_gap"].high - found["family_gap"].low for found in (wide, all_of_them)]
    assert width[0] > width[1]


def test_what_cannot_be_measured_is_named():
    features, subject, family = world()
    with pytest.raises(ValueError, match="do not fit"):
        measure_space(features, subject[1:], family)
    with pytest.raises(ValueError, match="attacks of one family only"):
        measure_space(features, subject, np.where(family == "editing", "physical", family))
    with pytest.raises(ValueError, match="live images of one person only"):
        lonely = (family != "live") | (subject == "person 0")
        measure_space(features[lonely], subject[lonely], family[lonely])
    features[3, 2] = np.nan
    with pytest.raises(ValueError, match="image 3 are not finite"):
        measure_space(features, subject, family)
