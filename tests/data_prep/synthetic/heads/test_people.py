import pytest
import torch

from data_prep.synthetic.heads import shape
from data_prep.synthetic.heads.mesh import load_head
from data_prep.synthetic.heads.people import (
    HAIR_STYLES,
    HEADWEAR,
    OLDEST,
    YOUNGEST,
    count_people,
    sample_people,
)
from data_prep.synthetic.heads.session import FACE_NAMES, sample_sessions
from data_prep.synthetic.heads.tables import fingerprint, row_of


def test_a_table_of_counts_is_even() -> None:
    """Both sexes, six skin tones, and three age groups, in all combinations alike."""
    table = count_people(sample_people(288, seed=4))
    assert table.shape == (12, 3)
    assert (table == 8).all(axis=None)
    table = count_people(sample_people(250, seed=4, start=100))
    assert table.min(axis=None) >= 5
    assert table.max(axis=None) <= 9


def test_glasses_are_spread_over_everybody() -> None:
    people = sample_people(144, seed=4)
    assert people.glasses.sum() == 36
    wearers = people[people.glasses > 0]
    assert (count_people(wearers) == 1).all(axis=None)


def test_other_seeds_have_other_people_in_another_order() -> None:
    first, second = (sample_people(36, seed) for seed in (1, 2))
    assert not torch.equal(first.male, second.male)
    assert not torch.equal(first.axes, second.axes)


def test_a_person_depends_on_its_number_alone() -> None:
    many, one = sample_people(40, seed=3), sample_people(1, seed=3, start=37)
    assert fingerprint(row_of(many, 37)) == fingerprint(row_of(one, 0))
    assert fingerprint(row_of(many, 36)) != fingerprint(row_of(one, 0))
    sessions = sample_sessions(40, seed=3)
    assert torch.equal(sessions.light[37], sample_sessions(1, seed=3, start=37).light[0])


def test_people_stay_in_their_ranges() -> None:
    people = sample_people(400, seed=5)
    assert people.age.min() >= YOUNGEST
    assert people.age.max() <= OLDEST
    assert people.skin_tone.min() >= 0
    assert people.skin_tone.max() <= 5
    assert torch.allclose(people.ancestry.sum(-1), torch.ones(400))
    assert people.axes.abs().max() <= 0.85
    women = people.male == 0
    assert (people.beard[women] == 0).all()
    assert (people.stubble[women] == 0).all()
    assert (people.makeup[~women] == 0).all()
    for color in (people.hair_color, people.iris, people.lipstick, people.headwear_color):
        assert color.min() > 0
        assert color.max() < 1


def test_every_style_and_hat_is_worn_by_somebody() -> None:
    people = sample_people(1500, seed=6)
    assert len(set(people.hair_style.tolist())) == len(HAIR_STYLES)
    assert len(HAIR_STYLES) - 1 >= 14
    assert len(set(people.headwear.tolist())) == len(HEADWEAR)
    assert 0.7 < (people.headwear == 0).float().mean() < 0.95


def test_womens_faces_are_spread_less() -> None:
    people = sample_people(600, seed=7)
    men, women = (people.axes[people.male == flag].std(0).mean() for flag in (1, 0))
    assert women < 0.85 * men


def test_dark_skin_goes_with_dark_hair() -> None:
    people = sample_people(600, seed=8)
    assert (people.hair_index[people.skin_tone > 4] <= 2).all()


def test_axes_have_two_ends_and_sides_are_alike() -> None:
    names = [name for name, *_ in shape.axes()]
    assert len(names) >= 118
    assert all(low or high for _, low, high in shape.axes())
    people = sample_people(50, seed=9)
    left = names.index("eyes/l-eye-scale-incr")
    right = names.index("eyes/r-eye-scale-incr")
    difference = (people.axes[:, left] - people.axes[:, right]).std()
    assert 0 < difference < 0.5 * people.axes[:, left].std()


def test_everybody_has_the_eyes_in_one_place() -> None:
    eyes = shape.eye_vertices(load_head())
    aim = shape.template()[eyes].mean(axis=0)
    people = sample_people(3, seed=10)
    for i in range(3):
        vertices = shape.person_shape(row_of(people, i))
        assert vertices[eyes].mean(axis=0) == pytest.approx(aim, abs=1e-3)


def test_age_and_sex_change_the_shape() -> None:
    row = row_of(sample_people(1, seed=11), 0)
    before = shape.person_shape(row)
    for name, value in (("age", 78.0), ("sex", 1 - round(row.sex))):
        changed = row_of(sample_people(1, seed=11), 0)
        setattr(changed, name, value)
        assert abs(shape.person_shape(changed) - before).max() > 0.02


def test_sessions_look_at_the_camera_more_often_than_not() -> None:
    sessions = sample_sessions(500, seed=12)
    looking = sessions.yaw + sessions.gaze[:, 0]
    assert looking.abs().mean() < 0.75 * sessions.yaw.abs().mean()
    assert (sessions.light.norm(dim=-1) - 1).abs().max() < 1e-5
    assert {FACE_NAMES[i] for i in sessions.face.tolist()} >= {"neutral", "smile", "laugh", "AA"}
