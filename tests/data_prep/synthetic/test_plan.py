from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.synthetic.plan import PRESETS, SplitSize, plan_subjects, preset_named
from data_prep.taxonomy import FAMILIES, family_of, types_of


def counts(plans, family):
    return Counter(name for plan in plans for name in plan.attacks if family_of(name) == family)


@given(st.integers(0, 10_000), st.sampled_from(sorted(PRESETS)))
def test_types_are_balanced_in_every_split(seed, preset):
    sizes = PRESETS[preset]
    plans = plan_subjects(sizes, seed)
    for split, size in sizes.items():
        members = [plan for plan in plans if plan.split == split]
        assert len(members) == size.subjects
        for family in FAMILIES:
            found = counts(members, family)
            assert set(found) == set(types_of(family))
            assert max(found.values()) - min(found.values()) <= 1


def test_a_subjects_number_does_not_tell_its_types():
    """A plan that misleads: ``(subject * 3 + k) % 6`` tied whole families to even subjects."""
    plans = plan_subjects(PRESETS["laptop"], seed=0)
    for divisor in (2, 3, 4):
        for family in FAMILIES:
            even = counts([p for p in plans if p.number % divisor == 0], family)
            share = sum(even.values()) / sum(counts(plans, family).values())
            for name, total in counts(plans, family).items():
                # Four standard deviations of a binomial count.
                slack = 4 * (share * (1 - share) * total) ** 0.5
                assert abs(even[name] - share * total) < slack, (divisor, name)


@given(st.integers(0, 10_000))
def test_donors_are_others_of_the_same_split(seed):
    plans = plan_subjects(PRESETS["laptop"], seed)
    for plan in plans:
        donor = plans[plan.donor]
        assert donor.number == plan.donor != plan.number
        assert donor.split == plan.split


def test_plan_depends_on_the_seed_only():
    sizes = PRESETS["tiny"]
    assert plan_subjects(sizes, 1) == plan_subjects(sizes, 1)
    assert plan_subjects(sizes, 1) != plan_subjects(sizes, 2)


def test_sizes_of_the_laptop_preset():
    sizes = preset_named("laptop")
    assert [size.subjects for size in sizes.values()] == [200, 50, 100]
    assert sizes["test"] == SplitSize(100, live=5, physical=3, editing=4, adversarial=4)


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown preset 'desktop'; known presets: laptop, tiny"):
        preset_named("desktop")
