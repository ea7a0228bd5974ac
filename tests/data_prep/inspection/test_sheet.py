import numpy as np
import pytest
from PIL import Image

from data_prep.inspection.sheet import write_sheet
from data_prep.manifest import DatasetError, write_dataset
from tests.data_prep.small import INFO, manifest, write_images, write_small


def test_a_row_a_type_and_a_column_a_subject(tmp_path):
    write_small(tmp_path / "set")
    out = tmp_path / "sheets" / "sheet.png"
    write_sheet(tmp_path / "set", out)
    picture = np.asarray(Image.open(out).convert("L"))
    rows, columns = 2, 2
    assert picture.shape == (rows * 166, 130 + columns * 148)
    assert (picture[:, :130] < 128).any(), "no labels"
    # Flat test images: each cell holds one gray level of its type.
    cells = [picture[166 * r + 40, 130 + 148 * c + 70] for r in range(2) for c in range(2)]
    assert sorted(cells[:2]) == [0, 80]
    assert sorted(cells[2:]) == [40, 120]


def test_protocol_and_split_narrow_the_choice(tmp_path):
    write_small(tmp_path / "set")
    write_sheet(tmp_path / "set", tmp_path / "sheet.png", protocol="p1", split="test")
    assert Image.open(tmp_path / "sheet.png").width == 130 + 148


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": 0}, "subjects is 0"),
        ({"split": "test"}, "needs the protocol"),
        ({"protocol": "p9"}, "unknown protocol 'p9'.*has: p1"),
        ({"protocol": "p1", "split": "dev"}, "unknown split 'dev'.*has: train, test"),
    ],
)
def test_wrong_options_are_errors(tmp_path, options, message):
    write_small(tmp_path / "set")
    with pytest.raises(ValueError, match=message):
        write_sheet(tmp_path / "set", tmp_path / "sheet.png", **options)


def test_missing_dataset_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no dataset folder"):
        write_sheet(tmp_path / "nothing", tmp_path / "sheet.png")


def test_types_that_a_release_declares_have_their_rows_and_images_may_lie_in_its_root(tmp_path):
    write_images(tmp_path / "release")
    kinds = ["live", "screen-rs", "live", "print"]
    table = manifest().assign(path="../release/" + manifest()["path"], type=kinds)
    declared = {"screen-rs": {"family": "physical", "description": "a replay", "source": "tests"}}
    info = {**INFO, "root": "../release", "attack_types": declared}
    write_dataset(tmp_path / "set", table, {}, info)
    write_sheet(tmp_path / "set", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").height == 3 * 166
