"""The whole dataset in its tiny preset: what lies in it, and that it comes out the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_prep.manifest import DatasetError, read_image, validate
from data_prep.synthetic.dataset import PROTOCOLS, write_synthetic_dataset
from data_prep.taxonomy import ATTACK_TYPES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return write_synthetic_dataset(folder, "tiny", workers=1, with_maps=True)


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_everything_in_it_is_valid(tiny):
    dataset = validate(tiny.folder)
    assert dataset.info["name"] == "synthetic-tiny"
    assert dataset.info["license"] == "CC0-1.0"
    assert set(dataset.manifest["type"]) == {"live", *ATTACK_TYPES}
    assert dataset.info["counts"]["subjects"] == 12


def test_protocols_hold_the_families_they_name(tiny):
    split_of = {}
    for name, (training, testing) in PROTOCOLS.items():
        table = tiny.protocols[name].merge(tiny.manifest, on="id")
        for split, families in (("train", training), ("dev", training), ("test", testing)):
            assert set(table.loc[table["split"] == split, "family"]) == set(families)
        for subject, split in zip(table["subject"], table["split"], strict=True):
            assert split_of.setdefault(subject, split) == split
        assert "mask" not in set(table["type"])
    masks = (tiny.manifest["type"] == "mask").sum()
    assert len(tiny.protocols["p1"]) == len(tiny.manifest) - masks


def test_masks_are_tested_and_never_trained_on(tiny):
    left_out = tiny.protocols["leave_out_mask"].merge(tiny.manifest, on="id")
    trained = left_out[left_out["split"] != "test"]
    ordinary = tiny.protocols["p1"]
    assert set(trained["id"]) == set(ordinary.loc[ordinary["split"] != "test", "id"])
    tested = left_out[left_out["split"] == "test"]
    assert tested.groupby("type").size().to_dict() == {"live": 6, "mask": 3}


def test_most_live_images_and_some_attacks_are_reprocessed(tiny):
    live = tiny.manifest["label"] == "live"
    reprocessed = tiny.manifest["nuisance"] != "none"
    assert 0.4 < reprocessed[live].mean() < 0.95
    assert 0.1 < reprocessed[~live].mean() < 0.6


def test_prints_say_where_they_were_captured(tiny):
    settings = tiny.manifest.groupby("type")["setting"].agg(set)
    assert settings.pop("print") == {"indoor", "outdoor"}
    assert all(found == {"none"} for found in settings)


def test_maps_belong_to_edits_and_to_live_faces(tiny):
    manifest = tiny.manifest
    assert (manifest["mask"].notna() == (manifest["family"] == "editing")).all()
    assert (manifest["depth"].notna() == (manifest["label"] == "live")).all()
    row = manifest[manifest["type"] == "inpainting"].iloc[0]
    mask = read_image(tiny.folder / row["mask"], row["id"])
    assert mask.shape == (96, 96, 3)
    assert 0.002 < (mask > 127).mean() < 0.3


def test_no_picture_is_black_or_flat(tiny):
    for row in tiny.manifest.to_dict("records"):
        image = read_image(tiny.folder / row["path"], row["id"])
        assert image.shape == (96, 96, 3)
        assert 20 < image.mean() < 235, row["id"]
        assert image.std() > 10, row["id"]


def test_attacks_resemble_the_live_capture_they_start_from(tiny):
    """The source of an attack is one of its subject's live sessions."""
    manifest = tiny.manifest
    captures = manifest[(manifest["label"] == "live") & (manifest["nuisance"] == "none")]
    attacks = manifest[(manifest["family"] == "adversarial") & (manifest["nuisance"] == "none")]
    pairs = attacks.merge(captures, on="source", suffixes=("", "_live"))
    assert len(pairs) > 2
    for pair in pairs.to_dict("records"):
        attacked, live = (
            read_image(tiny.folder / pair[path], pair["id"]).astype(float)
            for path in ("path", "path_live")
        )
        assert np.abs(attacked - live).mean() < 12, pair["id"]


def test_two_workers_write_the_same_bytes_as_one(tiny, tmp_path):
    again = write_synthetic_dataset(tmp_path / "again", "tiny", workers=2, with_maps=True)
    assert files(again.folder) == files(tiny.folder)


def test_maps_change_no_image(tiny, tmp_path):
    plain = write_synthetic_dataset(tmp_path / "plain", "tiny", workers=2)
    columns = ["id", "path", "type", "source", "nuisance", "setting"]
    pd.testing.assert_frame_equal(plain.manifest[columns], tiny.manifest[columns])
    for path in plain.manifest["path"]:
        assert (plain.folder / path).read_bytes() == (tiny.folder / path).read_bytes()
    assert plain.manifest[["mask", "depth"]].isna().all(axis=None)


def test_finished_folder_is_returned_at_once_and_others_are_refused(tiny):
    before = {path: path.stat().st_mtime_ns for path in tiny.folder.rglob("*.p*")}
    write_synthetic_dataset(tiny.folder, "tiny", workers=1, with_maps=True)
    assert {path: path.stat().st_mtime_ns for path in tiny.folder.rglob("*.p*")} == before
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\)"):
        write_synthetic_dataset(tiny.folder, "tiny", seed=1, with_maps=True)


def test_killed_run_goes_on_and_ends_the_same(tiny, tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "data_prep", "synthetic", "--preset", "tiny", "--with-maps"]
    command += ["--out", str(folder), "--workers", "1"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        _wait_for(lambda: len(list((folder / ".work").glob("s*.json"))) >= 3, process)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (folder / "dataset.json").exists()
    # What a kill in the middle of a write leaves behind.
    (folder / "images" / "s0004").mkdir(parents=True, exist_ok=True)
    (folder / "images" / "s0004" / ".unfinished-0123456789abcdef.png").write_bytes(b"half a pict")
    done = {path.name: path.stat().st_mtime_ns for path in folder.rglob("images/s0000/*.png")}
    resumed = write_synthetic_dataset(folder, "tiny", workers=2, with_maps=True)
    assert files(resumed.folder) == files(tiny.folder)
    after = {path.name: path.stat().st_mtime_ns for path in folder.rglob("images/s0000/*.png")}
    assert after == done, "a finished subject was made again"


def _wait_for(condition, process, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end, "the run made no progress"
        time.sleep(0.05)
