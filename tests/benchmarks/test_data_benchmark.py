"""The benchmark of data loading runs, measures what it says and writes it down."""

from __future__ import annotations

import json

import pytest

from benchmarks import data


@pytest.mark.slow
def test_record_says_what_was_measured_and_against_what(tmp_path, capsys):
    out = tmp_path / "record.json"
    assert data.main(["--images", "128", "--rounds", "1", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert list(tmp_path.iterdir()) == [out]
    assert {"date", "commit", "command", "hardware", "versions", "clock"} <= record.keys()
    assert len(record["rows"]) == len(record["targets"]) == 4
    for row, target in zip(record["rows"], record["targets"], strict=True):
        assert row["ratio"] == target["measured"] > 0
        assert row["images_per_second"] > 0
    assert "images per core-second" in capsys.readouterr().out


def test_ratio_is_the_median_of_rounds():
    seconds = {"mine": [1.0, 2.0, 10.0], "other": [2.0, 2.0, 2.0]}
    row = data.row("mine", "other", seconds, images=20)
    assert row["ratio"] == 1.0
    assert row["images_per_second"] == 10 and row["against_images_per_second"] == 10


def test_bare_loop_and_first_opening_read_the_same_images(tmp_path):
    folder = data.write_faces(tmp_path / "faces", 8, 64, "jpg")
    assert data.bare_pillow(folder, 48) == 8 * 48
    splits = data.first_opening(folder, 48, tmp_path / "runs")
    assert sum(len(split) for split in splits.values()) == 8
    assert splits["train"][0]["image"].shape == (3, 48, 48)
    assert (tmp_path / "runs" / ".decoded").is_dir()
