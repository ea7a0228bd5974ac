"""A folder appears whole or not at all."""

import json

import pytest

from data_prep.building.whole import whole_folder
from data_prep.contract.checks import DatasetError

RECIPE = {"generator": "test", "seed": 0}


def fill(folder, recipe=RECIPE, **more):
    with whole_folder(folder, recipe, **more) as inner:
        (inner / "dataset.json").write_text(json.dumps({"recipe": recipe}), "utf-8")
        (inner / "new").touch()


def test_a_folder_takes_its_place_and_nothing_else_is_left(tmp_path):
    fill(tmp_path / "deep/set")
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"set"}
    assert {path.name for path in (tmp_path / "deep/set").iterdir()} == {"dataset.json", "new"}


def test_an_error_changes_nothing(tmp_path):
    fill(tmp_path / "set")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "set", RECIPE) as inner:
        (inner / "half").touch()
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.rglob("*")} == {"set", "dataset.json", "new"}


def test_the_same_recipe_replaces_and_another_needs_overwrite(tmp_path):
    fill(tmp_path / "set")
    (tmp_path / "set/old").touch()
    fill(tmp_path / "set")
    assert not (tmp_path / "set/old").exists()
    other = {**RECIPE, "seed": 1}
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\)"):
        fill(tmp_path / "set", other)
    fill(tmp_path / "set", other, overwrite=True)
    assert json.loads((tmp_path / "set/dataset.json").read_text("utf-8"))["recipe"] == other
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


@pytest.mark.parametrize(
    "text",
    [None, "{", "[]", '{"recipe": []}', '{"name": "x"}', '{"recipe": {"generator": "other"}}'],
)
def test_what_is_foreign_is_never_replaced(tmp_path, text):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine").touch()
    if text is not None:
        (tmp_path / "set/dataset.json").write_text(text, "utf-8")
    message = "is not a dataset of this command|a dataset of another command"
    with pytest.raises(DatasetError, match=message):
        fill(tmp_path / "set", overwrite=True)
    assert (tmp_path / "set/mine").exists()


def test_a_link_keeps_pointing_to_the_folder(tmp_path):
    fill(tmp_path / "real")
    (tmp_path / "set").symlink_to(tmp_path / "real")
    fill(tmp_path / "set")
    assert (tmp_path / "set").is_symlink()
    assert (tmp_path / "real/new").exists()
