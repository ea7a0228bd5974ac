from pathlib import Path

import pytest
from PIL import Image

from data_prep.synthetic.heads.sheet import contact_sheet, main


def test_a_sheet_has_a_row_per_person(tmp_path: Path) -> None:
    out = tmp_path / "people.png"
    assert main(["--out", str(out), "--people", "2", "--images", "3", "--size", "32"]) == 0
    with Image.open(out) as sheet:
        assert sheet.size == (96, 64)


def test_a_sheet_starts_anywhere() -> None:
    first = contact_sheet(2, 1, seed=1, size=32)
    second = contact_sheet(1, 1, seed=1, size=32, start=1)
    assert (first[32:] == second).all()


def test_an_empty_sheet_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "people.png"
    assert main(["--out", str(out), "--people", "0"]) == 2
    assert "0 people with 6 images each; expected 1 or more" in capsys.readouterr().err
    assert not out.exists()


def test_a_sheet_of_edits_shows_each_with_its_mask(tmp_path: Path) -> None:
    out = tmp_path / "edits.png"
    assert main(["--edits", "--out", str(out), "--people", "1", "--size", "32"]) == 0
    with Image.open(out) as sheet:
        columns = 2 + 2 * 4 + 2 * 3
        assert sheet.size == (columns * 32, 32)
    assert main(["--edits", "--out", str(out), "--people", "0"]) == 2
