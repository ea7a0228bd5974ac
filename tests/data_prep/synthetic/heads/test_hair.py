import numpy as np
import pytest
import torch

from data_prep.synthetic.heads.figure import make_figure
from data_prep.synthetic.heads.hair import facial_hair
from data_prep.synthetic.heads.hair_styles import STYLES
from data_prep.synthetic.heads.mesh import SKIN, load_head
from data_prep.synthetic.heads.people import BEARDS, HAIR_STYLES, HEADWEAR, People, sample_people
from data_prep.synthetic.heads.strand import BEARD, BROW, HAIR
from data_prep.synthetic.heads.tables import row_of


@pytest.fixture(scope="module")
def man() -> People:
    people = sample_people(36, seed=2)
    return people[int(people.male.argmax())].replace(
        beard=torch.zeros(1, dtype=torch.long), headwear=torch.zeros(1, dtype=torch.long)
    )


def styled(person: People, style: str) -> People:
    return person.replace(hair_style=torch.tensor([HAIR_STYLES.index(style)]))


def test_every_style_but_bald_has_strands() -> None:
    assert set(HAIR_STYLES) == {"bald", *STYLES}
    assert len(STYLES) >= 14


@pytest.mark.parametrize("style", [*STYLES, "bald"])
def test_a_style_grows_outside_the_head(man: People, style: str) -> None:
    figure = make_figure(row_of(styled(man, style), 0))
    hair = figure.hair.chosen(np.nonzero(figure.hair.kind == HAIR)[0])
    if style == "bald":
        assert len(hair.tint) == 0
        return
    assert len(hair.tint) > 10000
    assert np.isfinite(hair.place).all()
    assert np.allclose((hair.tangent**2).sum(axis=0), 1, atol=1e-3)
    assert hair.tint.min() > 0
    head = load_head()
    skin = figure.fine[head.fine_vertex_kind == SKIN]
    middle = np.array([0, 7.5, 0.4])
    inner = np.linalg.norm(hair.place.T - middle, axis=1).min()
    assert inner > 0.6 * np.linalg.norm(skin - middle, axis=1).min()


def test_long_hair_reaches_the_shoulders_and_short_hair_does_not(man: People) -> None:
    lowest = {
        style: make_figure(row_of(styled(man, style), 0)).hair.place[1].min()
        for style in ("long", "bob", "crop")
    }
    assert lowest["long"] < 5.6 < lowest["bob"] < 6.6
    assert lowest["crop"] > lowest["bob"]


def test_hair_has_volume_on_top(man: People) -> None:
    figure = make_figure(row_of(styled(man, "long").replace(hair_volume=torch.ones(1)), 0))
    assert 0.05 < figure.hair.place[1].max() - figure.top < 0.45


def test_a_fringe_ends_above_the_eyes(man: People) -> None:
    hair = make_figure(row_of(styled(man, "fringe"), 0)).hair
    x, y, z = hair.place[:, hair.kind == HAIR]
    in_front = (np.abs(x) < 0.35) & (z > 1.1)
    assert in_front.any()
    assert np.quantile(y[in_front], 0.02) > 7.3


@pytest.mark.parametrize("name", BEARDS[1:])
def test_beards_grow_on_the_lower_face(man: People, name: str) -> None:
    bearded = man.replace(beard=torch.tensor([BEARDS.index(name)]))
    hair = make_figure(row_of(bearded, 0)).hair
    beard = hair.place[:, hair.kind == BEARD]
    assert beard.shape[1] > 500
    assert beard[1].max() < 7.4
    assert np.abs(beard[0]).max() < 1.0


def test_brows_lie_above_the_eyes(man: People) -> None:
    hair = make_figure(row_of(man, 0)).hair
    brows = hair.place[:, hair.kind == BROW]
    assert brows[1].min() > 7.2
    assert brows[1].max() < 7.9
    assert (brows[0] < 0).mean() == pytest.approx(0.5, abs=0.15)


def test_hats_press_hair_flat_and_scarves_hide_it(man: People) -> None:
    long = styled(man, "long")
    counts = {}
    for name in ("none", "hat", "scarf"):
        worn = long.replace(headwear=torch.tensor([HEADWEAR.index(name)]))
        figure = make_figure(row_of(worn, 0))
        counts[name] = int((figure.hair.kind == HAIR).sum())
        if name == "hat":
            assert figure.hair.place[1, figure.hair.kind == HAIR].max() < figure.top
    assert counts["none"] > counts["hat"] > counts["scarf"] == 0


def test_facial_hair_leaves_the_scalp_bare(man: People) -> None:
    row = row_of(man.replace(beard=torch.tensor([1])), 0)
    kinds = set(facial_hair(row, make_figure(row).shape).kind.tolist())
    assert kinds == {BEARD, BROW}


def test_more_detail_has_more_points(man: People) -> None:
    row = row_of(styled(man, "crop"), 0)
    plain, fine = (make_figure(row, detail).hair for detail in (1.0, 2.0))
    assert len(fine.tint) > 3 * len(plain.tint)
