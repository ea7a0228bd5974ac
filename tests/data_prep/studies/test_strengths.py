import numpy as np
import pandas as pd
import pytest
import torch

from data_prep.studies.pictures import Person, last_step
from data_prep.studies.strength_figure import draw_strength_curves, finding, save_strength_curves
from data_prep.studies.strengths import (
    StrengthCurves,
    _aucs,
    measure_strengths,
    strengths_of,
)
from data_prep.synthetic.plan import ATTACK_DECK, LIVE_DECK, MEASURED_LIVE_DECK
from data_prep.taxonomy import ATTACK_TYPES
from lasoftmoe.records.recorded import read_recorded


def test_the_probe_finds_what_is_there_and_nothing_else():
    """72 numbers of noise; the third strength shifts them all, the first none."""
    rng = np.random.default_rng(0)
    live, fake = rng.normal(size=(40, 3, 72)), rng.normal(size=(40, 3, 72))
    fake += np.array([0.0, 0.5, 3.0])[None, :, None]
    weak, middle, strong = _aucs(live, fake, people=25, seed=0)
    assert weak < 0.75
    assert weak < middle
    assert strong > 0.95


@pytest.mark.parametrize("name", ATTACK_TYPES)
def test_five_strengths_with_the_shipped_one_among_them(name):
    strengths = strengths_of(name)
    assert len(strengths) >= 5
    assert ATTACK_TYPES[name].strength in strengths
    assert strengths == sorted(set(strengths))
    assert strengths[0] > 0


def test_every_type_at_two_strengths_is_a_picture():
    person = Person(0, seed=0)
    for name in ATTACK_TYPES:
        weak, strong = (person.attacked(name, s) for s in strengths_of(name)[::4])
        assert weak.shape == (1, 3, 96, 96)
        assert min(weak.min(), strong.min()) >= 0 and max(weak.max(), strong.max()) <= 1
        assert (weak - strong).abs().max() > 1e-3, name
        again = Person(0, seed=0).attacked(name, strengths_of(name)[0])
        assert torch.equal(weak, again), name


@pytest.mark.parametrize("deck", [LIVE_DECK, MEASURED_LIVE_DECK, ATTACK_DECK])
def test_last_step_leaves_as_many_pictures_alone_as_the_dataset_does(deck):
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    same = [
        torch.equal(last_step(image, deck, torch.Generator().manual_seed(seed)), image)
        for seed in range(1000)
    ]
    untouched = deck["none"] / sum(deck.values())
    assert abs(np.mean(same) - untouched / 2) < 0.04  # half are saved again as JPEG


def test_small_study(tmp_path):
    result = measure_strengths("test", 4, 3, workers=1, types=("inpainting", "reenactment"))
    assert len(result.table) == 10
    assert result.table["auc"].between(0, 1).all()
    assert result.table.groupby("type")["shipped"].sum().eq(1).all()
    assert "inpainting" in result.to_text() and "*" in result.to_text()
    save_strength_curves(result.table, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="1 people to learn on, 40 to read on"):
        measure_strengths("test", 1)


def test_the_title_says_what_the_curves_show():
    rows = [
        {"type": name, "strength": 1.0, "shipped": True, "auc": auc}
        for name, auc in (("gan", 0.97), ("pgd", 0.92), ("print", 0.8), ("semantic", 0.6))
    ]
    sentence = finding(pd.DataFrame(rows))
    assert "gives away gan and pgd" in sentence
    assert "semantic stays below 65 %" in sentence
    assert len(draw_strength_curves(pd.DataFrame(rows)).axes) == 5


def test_recorded_curves_are_of_the_strengths_in_the_table():
    """A strength that was changed since has to be measured again."""
    record = read_recorded("strength_curves").facts
    table = pd.DataFrame(record["curves"])
    assert isinstance(StrengthCurves(table, record).to_text(), str)
    shipped = table[table["shipped"]].set_index("type")["strength"]
    assert set(shipped.index) == set(ATTACK_TYPES)
    for name, row in ATTACK_TYPES.items():
        assert shipped[name] == pytest.approx(row.strength), name
    assert table.groupby("type").size().min() >= 5
