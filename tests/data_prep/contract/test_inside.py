"""The folder that a dataset may read images from."""

from pathlib import Path

import pytest

from data_prep.contract.checks import DatasetError
from data_prep.contract.inside import common_folder


def test_the_nearest_folder_that_holds_all(tmp_path):
    a, b = tmp_path / "data/a", tmp_path / "data/b/c"
    assert common_folder([a, b], "") == tmp_path / "data"
    assert common_folder([a], "") == a
    assert common_folder([a, a / "in"], "") == a


def test_links_are_followed_first(tmp_path):
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data/a")
    assert common_folder([tmp_path / "link", tmp_path / "data/b"], "") == tmp_path / "data"


def test_the_whole_file_system_is_no_folder_in_common():
    with pytest.raises(DatasetError, match=r"/one/a and /two/b have no folder in common.*move it"):
        common_folder([Path("/one/a"), Path("/two/b")], "move it")
