"""Folders to read and the folder to write are apart, however links hide it."""

import pytest

from data_prep.building.recipes import refuse_nested
from data_prep.contract.checks import DatasetError


@pytest.fixture()
def home(tmp_path):
    (tmp_path / "out/raw").mkdir(parents=True)
    (tmp_path / "faces").mkdir()
    return tmp_path


def test_apart_is_fine_also_where_a_name_begins_alike(home):
    refuse_nested(home / "out", [home / "faces", home / "outer"])


@pytest.mark.parametrize("source", ["out/raw", "out", "link-to-raw", "faces/../out/raw"])
def test_a_source_in_the_folder_to_write_is_refused(home, source):
    (home / "link-to-raw").symlink_to(home / "out/raw")
    with pytest.raises(DatasetError, match="is inside"):
        refuse_nested(home / "out", [home / "faces", home / source])


@pytest.mark.parametrize("out", ["faces/new", "link-to-faces/new"])
def test_the_folder_to_write_in_a_source_is_refused(home, out):
    (home / "link-to-faces").symlink_to(home / "faces")
    with pytest.raises(DatasetError, match=r"is inside .*faces, a folder to be read"):
        refuse_nested(home / out, [home / "faces"])
