import pytest

from data_prep.taxonomy import ATTACK_TYPES, FAMILIES, attack_type, family_of, types_of


def test_fifteen_types_in_three_families():
    assert {family: len(types_of(family)) for family in FAMILIES} == {
        "physical": 3,
        "editing": 6,
        "adversarial": 6,
    }
    assert sum(len(types_of(family)) for family in FAMILIES) == len(ATTACK_TYPES)


def test_every_type_says_what_its_strength_means():
    for row in ATTACK_TYPES.values():
        assert row.strength > 0
        assert row.strength_unit and row.description


def test_only_masks_are_held_out():
    assert [row.name for row in ATTACK_TYPES.values() if row.held_out] == ["mask"]
    assert types_of("physical", held_out=False) == ("print", "replay")
    assert types_of("editing", held_out=False) == types_of("editing")


def test_unknown_type_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown attack type 'doll'; known types: print, replay"):
        attack_type("doll")


def test_unknown_family_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown family 'digital'.*physical, editing"):
        types_of("digital")


def test_live_is_its_own_family():
    assert family_of("live") == "live"
    assert family_of("cw") == "adversarial"
