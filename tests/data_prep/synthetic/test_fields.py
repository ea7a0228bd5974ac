import pytest
import torch

from data_prep.synthetic.fields import Draws, in_chunks
from data_prep.synthetic.people.identity import sample_identities


def test_rows_repeat_side_by_side() -> None:
    people = sample_identities(3, seed=1)
    twice = people.repeat(2)
    assert len(twice) == 6
    assert twice.age.tolist() == people.age[[0, 0, 1, 1, 2, 2]].tolist()


@pytest.mark.parametrize("rows", [1, [1], slice(1, 2), torch.tensor([1])])
def test_every_way_of_choosing_a_row_gives_a_table(rows: object) -> None:
    people = sample_identities(3, seed=1)
    chosen = people[rows]
    assert len(chosen) == 1
    assert chosen.mole_xy.shape == (1, 3, 2)
    assert torch.equal(chosen.skin[0], people.skin[1])


def test_replace_changes_one_column_and_leaves_the_original() -> None:
    people = sample_identities(2, seed=1)
    older = people.replace(age=torch.ones(2))
    assert older.age.tolist() == [1, 1]
    assert torch.equal(older.skin, people.skin)
    assert not torch.equal(people.age, older.age)


def test_replace_names_the_wrong_column_and_shape() -> None:
    people = sample_identities(2, seed=1)
    with pytest.raises(ValueError, match=r"no column 'hight'.*eye_height"):
        people.replace(hight=torch.ones(2))
    with pytest.raises(ValueError, match=r"'age' has shape \(1,\), expected \(2,\)"):
        people.replace(age=torch.ones(1))


def test_a_row_holds_numbers_and_colors_ready_for_drawing() -> None:
    row = sample_identities(2, seed=1).row(0)
    assert isinstance(row.age, float)
    assert row.skin.shape == (3, 1, 1)
    assert row.mole_xy.shape == (3, 2)


def test_a_batch_holds_the_numbers_and_colors_of_its_rows() -> None:
    people = sample_identities(3, seed=1)
    batch = people.batch()
    assert batch.age.values.tolist() == [people.row(i).age for i in range(3)]
    assert batch.beard.values.tolist() == [people.row(i).beard for i in range(3)]
    assert torch.equal(batch.skin, torch.stack([people.row(i).skin for i in range(3)]))
    assert batch.mole_xy.values.shape == (3, 3, 2)
    assert isinstance(people.for_drawing(slice(1, 2)).age, float)
    assert people.for_drawing(slice(1, 3)).age.values.tolist() == batch.age.values[1:].tolist()


@pytest.mark.parametrize(
    ("device", "chunk", "expected"),
    [("cpu", None, [1] * 70), ("cuda", None, [64, 6]), ("cpu", 32, [32, 32, 6])],
)
def test_chunks_cover_the_rows_in_order(device: str, chunk: int | None, expected: list) -> None:
    chunks = in_chunks(70, torch.device(device), chunk)
    assert [rows.stop - rows.start for rows in chunks] == expected
    assert [i for rows in chunks for i in range(70)[rows]] == list(range(70))


def test_draws_follow_their_distributions() -> None:
    draws = Draws(4000, seed=3)
    uniform = draws.uniform(2, 4)
    assert 2 <= uniform.min() < 2.05
    assert 3.95 < uniform.max() <= 4
    normal = draws.normal(5, 2)
    assert normal.mean().item() == pytest.approx(5, abs=0.1)
    assert normal.std().item() == pytest.approx(2, abs=0.1)
    assert draws.normal(0, 10, -1, 1).abs().max() <= 1
    kinds = draws.choice(torch.tensor([1.0, 0.0, 3.0]))
    assert torch.bincount(kinds, minlength=3).tolist()[1] == 0
    assert (kinds == 2).float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_columns_of_one_row_are_not_copies_of_each_other() -> None:
    draws = Draws(2000, seed=3)
    pair = torch.stack([draws.unit(), draws.unit()])
    assert torch.corrcoef(pair)[0, 1].abs() < 0.06


def test_neighboring_rows_and_seeds_are_unrelated() -> None:
    first, second = Draws(2000, seed=3).unit(), Draws(2000, seed=4).unit()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.06
    assert torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1].abs() < 0.06


def test_running_out_of_draws_is_an_error() -> None:
    draws = Draws(1, seed=0)
    with pytest.raises(ValueError, match="draws"):
        draws.unit(1000)
