import dataclasses

import pytest
import torch

from data_prep.synthetic.people.identity import (
    _R3,
    BEARDS,
    GLASSES_SHARE,
    GREY,
    HAIR_NAMES,
    SKIN_COLORS,
    Identities,
    interpolate,
    sample_identities,
)


def rows_equal(first: Identities, second: Identities) -> bool:
    return all(
        torch.equal(getattr(first, field.name), getattr(second, field.name))
        for field in dataclasses.fields(first)
    )


def test_a_person_depends_on_seed_and_number_only() -> None:
    many = sample_identities(12, seed=5)
    assert rows_equal(many[7], sample_identities(8, seed=5)[7])
    assert rows_equal(many[7], sample_identities(1, seed=5, start=7))
    assert not rows_equal(many[7], sample_identities(8, seed=6)[7])
    assert not rows_equal(many[7], many[6])


def test_no_column_is_constant_and_all_are_finite() -> None:
    people = sample_identities(200, seed=0)
    for field in dataclasses.fields(people):
        column = getattr(people, field.name).float()
        assert len(column) == 200
        assert torch.isfinite(column).all(), field.name
        assert column.std(dim=0).min() > 0, field.name


@pytest.mark.parametrize(("seed", "n"), [(0, 60), (1, 240), (9, 600)])
def test_skin_tones_fill_every_sixth_equally(seed: int, n: int) -> None:
    tone = sample_identities(n, seed).skin_tone
    counts = torch.histc(tone, bins=6, min=0, max=5)
    assert (counts - n / 6).abs().max() <= 3


def test_tones_are_equal_within_each_sex_and_among_glasses() -> None:
    people = sample_identities(600, seed=2)
    for group in (people.male == 1, people.male == 0, people.glasses == 1):
        counts = torch.histc(people.skin_tone[group], bins=5, min=0, max=5)
        expected = group.sum() / 5
        assert ((counts - expected).abs() / expected).max() < 0.12


@pytest.mark.parametrize("start", [0, 100])
def test_shares_of_sex_and_glasses(start: int) -> None:
    people = sample_identities(200, seed=3, start=start)
    assert people.male.sum().item() == pytest.approx(100, abs=4)
    assert people.glasses.sum().item() == pytest.approx(200 * GLASSES_SHARE, abs=4)
    both = (people.male * people.glasses).sum().item()
    assert both == pytest.approx(100 * GLASSES_SHARE, abs=6)


def test_only_men_have_beards_and_bald_heads_and_only_women_makeup() -> None:
    people = sample_identities(400, seed=4)
    women = people.male == 0
    assert people.beard[women].max() == 0
    assert people.bald[women].max() == 0
    assert people.makeup[~women].max() == 0
    assert set(people.beard.tolist()) == set(range(len(BEARDS)))


def test_grey_hair_belongs_to_old_people_and_dark_skin_to_dark_hair() -> None:
    people = sample_identities(600, seed=5)
    assert people.age[people.hair_index == GREY].min() >= 0.7
    dark = people.skin_tone > 3
    names = {HAIR_NAMES[i] for i in people.hair_index[dark].tolist()}
    assert names == {"black", "dark brown", "grey"}
    assert set(people.hair_index.tolist()) == set(range(len(HAIR_NAMES)))


def test_skin_gets_darker_with_tone_and_stays_a_reflectance() -> None:
    people = sample_identities(600, seed=6)
    brightness = people.skin.mean(dim=1)
    assert torch.corrcoef(torch.stack([people.skin_tone, brightness]))[0, 1] < -0.95
    assert people.skin.min() > 0
    assert people.skin.max() < 1


def test_interpolation_hits_the_table_and_its_middles() -> None:
    colors = interpolate(SKIN_COLORS, torch.tensor([0.0, 1.0, 2.5, 5.0]))
    assert torch.allclose(colors[:2], SKIN_COLORS[:2])
    assert torch.allclose(colors[2], (SKIN_COLORS[2] + SKIN_COLORS[3]) / 2)
    assert torch.allclose(colors[3], SKIN_COLORS[5], atol=1e-4)


def test_the_even_sequence_uses_the_root_it_should() -> None:
    assert pytest.approx(_R3 + 1, rel=1e-12) == _R3**4
