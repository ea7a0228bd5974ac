from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.synthetic.nuisance import NO_NUISANCE, NUISANCES
from data_prep.synthetic.plan import (
    ATTACK_DECK,
    LIVE_DECK,
    MEASURED_LIVE_DECK,
    PRESETS,
    SETTINGS,
    SplitSize,
    live_deck_of,
    plan_subjects,
    preset_named,
)
from data_prep.taxonomy import FAMILIES, family_of, types_of


def counts(plans, family):
    """How often each ordinary type of a family is planned; masks count apart."""
    names = (attack.type for plan in plans for attack in plan.attacks)
    return Counter(name for name in names if family_of(name) == family and name != "mask")


@given(st.integers(0, 10_000), st.sampled_from(sorted(PRESETS)))
def test_types_are_balanced_in_every_split(seed, preset):
    sizes = PRESETS[preset]
    plans = plan_subjects(sizes, seed)
    for split, size in sizes.items():
        members = [plan for plan in plans if plan.split == split]
        assert len(members) == size.subjects
        for family in FAMILIES:
            found = counts(members, family)
            assert set(found) == set(types_of(family, held_out=False))
            assert max(found.values()) - min(found.values()) <= 1
        masks = [sum(attack.type == "mask" for attack in plan.attacks) for plan in members]
        assert set(masks) == {size.mask}


@given(st.integers(0, 10_000))
def test_every_attack_type_meets_the_same_nuisances(seed):
    """What is done to a picture after its making must not tell which attack it is."""
    for split in PRESETS["laptop"]:
        members = [p for p in plan_subjects(PRESETS["laptop"], seed) if p.split == split]
        dealt = {"live": Counter(name for plan in members for name in plan.live)}
        for attack in (attack for plan in members for attack in plan.attacks):
            dealt.setdefault(attack.type, Counter())[attack.nuisance] += 1
        for kind, found in dealt.items():
            deck = live_deck_of(split) if kind == "live" else ATTACK_DECK
            assert set(found) <= set(deck)
            # Whole decks hold every kind as often as they say; only the last one may be cut.
            whole, rest = divmod(found.total(), sum(deck.values()))
            for name, times in deck.items():
                assert whole * times <= found[name] <= whole * times + min(times, rest)


@pytest.mark.parametrize(("split", "apart"), [("train", 0.05), ("dev", 0.1), ("test", 0.1)])
def test_noise_is_about_as_frequent_among_live_images_as_among_attacks(split, apart):
    """Noise that attacks make by themselves counts: a third of the types of p1 are adversarial."""
    plans = [plan for plan in plan_subjects(PRESETS["laptop"], seed=0) if plan.split == split]
    noises = {"sign_noise", "smooth_sign_noise"}
    live = [name in noises for plan in plans for name in plan.live]
    attacks = [
        family_of(attack.type) == "adversarial" or attack.nuisance in noises
        for plan in plans
        for attack in plan.attacks
        if attack.type != "mask"
    ]
    assert sum(live) / len(live) == pytest.approx(sum(attacks) / len(attacks), abs=apart)


def test_every_nuisance_meets_live_images_and_attacks():
    for deck in (LIVE_DECK, MEASURED_LIVE_DECK, ATTACK_DECK):
        assert set(deck) == {*NUISANCES, NO_NUISANCE}
        assert min(deck.values()) > 0 and sum(deck.values()) == 40


def test_prints_are_indoors_and_outdoors_alike():
    plans = plan_subjects(PRESETS["laptop"], seed=0)
    attacks = [attack for plan in plans for attack in plan.attacks]
    settings = Counter(attack.setting for attack in attacks if attack.type == "print")
    assert set(settings) == set(SETTINGS)
    assert abs(settings["indoor"] - settings["outdoor"]) <= 3
    assert {attack.setting for attack in attacks if attack.type != "print"} == {"none"}


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
    assert sizes["test"] == SplitSize(100, live=10, physical=3, editing=4, adversarial=4, mask=2)
    images = {
        split: size.subjects * (size.live + size.physical + size.editing + size.adversarial)
        for split, size in sizes.items()
    }
    assert images["train"] <= 3500
    assert sum(images.values()) + sum(s.subjects * s.mask for s in sizes.values()) <= 7000


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown preset 'desktop'; known presets: laptop, tiny"):
        preset_named("desktop")
