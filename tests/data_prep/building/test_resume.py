import functools
import json

import pytest

from data_prep.building.resume import build_units, clean_up, prepare_folder
from data_prep.manifest import DatasetError

RECIPE = {"generator": "tests", "seed": 0}


def make_one(folder, unit: str) -> list[dict]:
    """Writes its files, then fails if told so: what a unit leaves when it is killed."""
    with (folder / "made.txt").open("a", encoding="utf-8") as log:
        log.write(unit + "\n")
    if (folder / f"fail-{unit}").exists():
        raise RuntimeError(f"killed in {unit}")
    return [{"id": unit}]


def build(folder):
    units = {name: name for name in "abc"}
    return build_units(folder, units, functools.partial(make_one, folder), 1, "units")


def finish(folder):
    (folder / "dataset.json").write_text(json.dumps({"recipe": RECIPE}), "utf-8")
    clean_up(folder)


def test_goes_on_after_the_last_finished_unit(tmp_path):
    folder = tmp_path / "out"
    assert not prepare_folder(folder, RECIPE)
    (folder / "fail-b").touch()
    with pytest.raises(RuntimeError, match="killed in b"):
        build(folder)
    (folder / "fail-b").unlink()
    assert not prepare_folder(folder, RECIPE)
    assert [row["id"] for row in build(folder)] == ["a", "b", "c"]
    assert (folder / "made.txt").read_text("utf-8").split() == ["a", "b", "b", "c"]


def test_finished_folder_is_recognized_and_left_clean(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    (folder / "images").mkdir()
    (folder / "images" / ".unfinished-x.png").touch()
    finish(folder)
    assert prepare_folder(folder, RECIPE)
    assert [path.name for path in sorted(folder.rglob("*"))] == ["dataset.json", "images"]


def test_another_recipe_is_an_error_that_says_what_differs(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\)"):
        prepare_folder(folder, {"generator": "tests"})
    other = {**RECIPE, "seed": 1}
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\).*--overwrite"):
        prepare_folder(folder, other)
    finish(folder)
    with pytest.raises(DatasetError, match="different: seed"):
        prepare_folder(folder, other)
    assert not prepare_folder(folder, other, overwrite=True)
    assert not (folder / "dataset.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folder_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    with pytest.raises(DatasetError, match="is not a dataset of this command"):
        prepare_folder(tmp_path, RECIPE, overwrite)
    for text in ('{"name": "somebody else\'s"}', "[]", '{"recipe": 1}'):
        (tmp_path / "dataset.json").write_text(text, "utf-8")
        with pytest.raises(DatasetError, match="is not a dataset of this command"):
            prepare_folder(tmp_path, RECIPE, overwrite)
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"


def test_file_in_place_of_the_folder_is_an_error(tmp_path):
    path = tmp_path / "out"
    path.touch()
    with pytest.raises(DatasetError, match="is not a dataset of this command"):
        prepare_folder(path, RECIPE)


def test_a_dataset_of_another_command_is_never_deleted(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    finish(folder)
    with pytest.raises(DatasetError, match=r"a dataset of another command \(tests\)"):
        prepare_folder(folder, {"generator": "others", "seed": 0}, overwrite=True)
    assert (folder / "dataset.json").is_file()
    assert not prepare_folder(folder, {"generator": "tests 2", "seed": 0}, overwrite=True)
