"""Packed shards: the same images as the folder's, in any order of work, after any kill."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from data_prep.building.shards import parse_size, write_shards
from data_prep.cli import main
from data_prep.contract.packed import ROWS_IN_GROUP
from data_prep.manifest import DatasetError, read_dataset, relative_root, validate, write_dataset
from lasoftmoe.data import open_dataset
from tests.data_prep.small import INFO

SPLITS = ("train", "dev", "test")
PEOPLE, SHOTS = 9, 7


def source(folder, images=None):
    """Noise of nine people, live and printed, as JPEG and PNG; one person in no split."""
    draw = np.random.default_rng(0)
    images = images or folder / "images"
    images.mkdir(parents=True)
    rows = []
    for person in range(PEOPLE):
        for shot in range(SHOTS):
            live = shot % 2 == 0
            name = f"p{person}-ü {shot}.{'png' if live else 'jpg'}"
            picture = Image.fromarray(draw.integers(0, 256, (8, 8, 3)).astype(np.uint8))
            picture.save(images / name)
            label, family, kind = ("live",) * 3 if live else ("fake", "physical", "print")
            row = {"id": f"{person}-{shot}", "path": f"images/{name}", "label": label}
            row |= {"family": family, "type": kind, "subject": f"p{person}", "source": name}
            rows.append({**row, "frame": shot, "mask": None})
    manifest = pd.DataFrame(rows)
    if images != folder / "images":
        root = relative_root(images.parent, folder)
        manifest["path"] = [f"{root}/{path}" for path in manifest["path"]]
        info = {**INFO, "root": root}
    else:
        info = INFO
    packed = manifest[manifest["subject"] != "p8"]
    split = [SPLITS[int(subject[1]) % 3] for subject in packed["subject"]]
    protocol = pd.DataFrame({"id": packed["id"], "split": split}).sample(frac=1, random_state=0)
    return write_dataset(folder, manifest, {"p1": protocol.reset_index(drop=True)}, info)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "runs"))


@pytest.mark.parametrize("in_place", [False, True])
def test_opens_to_the_same_images_as_the_folder(in_place, tmp_path, runs):
    release = tmp_path / "release" / "images" if in_place else None
    source(tmp_path / "set", release)
    write_shards(tmp_path / "set", tmp_path / "packed", shard_size=700, workers=1)
    expected = open_dataset(tmp_path / "set")
    shutil.rmtree(release or tmp_path / "set" / "images")  # shards refer to nothing outside
    found = open_dataset(tmp_path / "packed")
    for split in SPLITS:
        assert found[split].table["id"].tolist() == expected[split].table["id"].tolist()
        assert torch.equal(found[split].is_attack, expected[split].is_attack)
        assert found[split].table["attack_type"].equals(expected[split].table["attack_type"])
        every = list(range(len(found[split])))
        pictures = found[split].batch(every)["image"], expected[split].batch(every)["image"]
        assert torch.equal(*pictures)
    assert validate(tmp_path / "packed").info["counts"]["images"] == (PEOPLE - 1) * SHOTS


def test_files_are_kept_byte_for_byte_and_the_index_is_right(tmp_path):
    import pyarrow.parquet as pq

    dataset = source(tmp_path / "set")
    packed = write_shards(tmp_path / "set", tmp_path / "packed", shard_size=900, workers=1)
    for row in packed.manifest.to_dict("records"):
        original = dataset.locate(row["path"]).read_bytes()
        assert packed.locate(row["path"]).read_bytes() == original
    index = json.loads((tmp_path / "packed/shards/index.json").read_text("utf-8"))
    assert len(index["shards"]) > 6
    rows = 0
    for entry in index["shards"]:
        path = tmp_path / "packed/shards" / entry["file"]
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        table = pq.read_table(path)
        assert table.num_rows == entry["rows"] and entry["file"].startswith(
            table["split"][0].as_py()
        )
        assert sum(len(image["bytes"]) for image in table["image"].to_pylist()) <= 900
        rows += table.num_rows
    assert rows == len(packed.manifest)


def test_same_bytes_with_any_number_of_workers_and_again(tmp_path):
    source(tmp_path / "set")
    write_shards(tmp_path / "set", tmp_path / "one", shard_size=2000, workers=1)
    before = contents(tmp_path / "one")
    write_shards(tmp_path / "set", tmp_path / "two", shard_size=2000, workers=2)
    assert contents(tmp_path / "two") == before
    write_shards(tmp_path / "set", tmp_path / "one", shard_size=2000, workers=1)
    assert contents(tmp_path / "one") == before


KILLED = """
import os, signal, sys
import data_prep.building.shards as shards
pack, count = shards.pack, 0
def deadly(work):
    global count
    count += 1
    if count == 3:
        shards.pq.write_table = lambda table, path, **_: (
            path.write_bytes(b"half a shard"), os.kill(os.getpid(), signal.SIGKILL))
    return pack(work)
shards.pack = deadly
shards.write_shards(sys.argv[1], sys.argv[2], shard_size=900, workers=1)
"""


def test_goes_on_after_a_kill_in_the_middle_of_a_shard(tmp_path):
    source(tmp_path / "set")
    places = [str(tmp_path / "set"), str(tmp_path / "packed")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *places], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "packed/dataset.json").exists()
    finished = sorted((tmp_path / "packed/shards").glob("train-*.parquet"))
    assert len(finished) == 2 and list((tmp_path / "packed/shards").glob(".unfinished-*"))
    times = [path.stat().st_mtime_ns for path in finished]
    write_shards(*places, shard_size=900, workers=1)
    assert [path.stat().st_mtime_ns for path in finished] == times  # not made again
    write_shards(tmp_path / "set", tmp_path / "whole", shard_size=900, workers=1)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


def streamed(folder, cache):
    """The folder's shards through Hugging Face datasets, one split after the other."""
    datasets = pytest.importorskip("datasets")
    for split in SPLITS:
        files = sorted(str(path) for path in (folder / "shards").glob(f"{split}-*.parquet"))
        yield (
            split,
            datasets.load_dataset(
                "parquet", data_files=files, split="train", streaming=True, cache_dir=str(cache)
            ),
        )


@pytest.mark.parametrize("shard_size", [700, 10**6])
def test_two_nodes_stream_everything_once(shard_size, tmp_path, monkeypatch):
    distributed = pytest.importorskip("datasets.distributed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source(tmp_path / "set")
    packed = write_shards(tmp_path / "set", tmp_path / "packed", shard_size=shard_size, workers=1)
    table = packed.manifest.merge(packed.protocols["p1"], on="id")
    for split, stream in streamed(tmp_path / "packed", tmp_path / "cache"):
        parts = [distributed.split_dataset_by_node(stream, rank, 2) for rank in range(2)]
        ids = [[item["id"] for item in part] for part in parts]
        assert all(ids)
        assert sorted(ids[0] + ids[1]) == sorted(table.loc[table["split"] == split, "id"])


def test_stream_decodes_to_the_same_pixels(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    dataset = source(tmp_path / "set")
    write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    _, stream = next(streamed(tmp_path / "packed", tmp_path / "cache"))
    first = next(iter(stream.cast_column("image", datasets.Image())))
    with Image.open(dataset.locate(first["path"])) as image:
        assert np.array_equal(np.asarray(first["image"]), np.asarray(image))
    assert (first["label"], first["split"]) == ("live", "train")


def test_many_images_are_found_in_their_groups(tmp_path):
    source(tmp_path / "set")
    manifest = read_dataset(tmp_path / "set").manifest
    several = pd.concat(
        [manifest.head(7).assign(id=[f"{n}-{k}" for k in range(7)]) for n in range(40)]
    )
    several = several.assign(path=[f"images/{key}.png" for key in several["id"]], subject="p")
    for number, path in enumerate(several["path"]):
        color = Image.new("RGB", (2, 2), (number % 251, number // 251, 0))
        color.save(tmp_path / "set" / path)
    protocol = pd.DataFrame({"id": several["id"], "split": "train"})
    several = several.reset_index(drop=True)
    write_dataset(tmp_path / "set", several, {"p1": protocol}, {**INFO, "image_size": 2})
    packed = write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    assert len(several) > 2 * ROWS_IN_GROUP
    validate(tmp_path / "packed")
    for path in several["path"]:
        assert packed.locate(path).read_bytes() == (tmp_path / "set" / path).read_bytes()


def test_changed_or_missing_images_are_refused(tmp_path):
    dataset = source(tmp_path / "set")
    first = dataset.locate(dataset.manifest["path"][0])
    before = first.read_bytes()
    Image.new("RGB", (8, 8), "red").save(first)
    with pytest.raises(DatasetError, match="a file changed after the dataset was written"):
        write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    assert not (tmp_path / "packed/dataset.json").exists()
    first.unlink()
    with pytest.raises(DatasetError, match=r"image '0-0': images/p0-ü 0\.png cannot be read"):
        write_shards(tmp_path / "set", tmp_path / "other", workers=1)
    first.write_bytes(before)
    write_shards(tmp_path / "set", tmp_path / "packed", workers=1)


def test_damaged_shards_are_told(tmp_path):
    source(tmp_path / "set")
    write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    shard = next((tmp_path / "packed/shards").glob("dev-*.parquet"))
    data = bytearray(shard.read_bytes())
    shard.write_bytes(data[:-1])
    with pytest.raises(DatasetError, match=rf"{shard.name} has {len(data) - 1} bytes"):
        validate(tmp_path / "packed")
    place = data.find(b"\x89PNG") + 40
    data[place] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match=r"does not decode|the checksum of"):
        validate(tmp_path / "packed")
    shard.unlink()
    with pytest.raises(DatasetError, match=rf"{shard.name} is missing"):
        validate(tmp_path / "packed")
    index = tmp_path / "packed/shards/index.json"
    entry = {"file": "../../train-00000-of-00001.parquet", "rows": 1, "bytes": 1, "sha256": ""}
    index.write_text(json.dumps({"protocol": "p1", "shards": [entry]}))
    with pytest.raises(DatasetError, match="is no name of a shard"):
        validate(tmp_path / "packed")


def test_a_damaged_column_of_paths_is_told(tmp_path):
    source(tmp_path / "set")
    write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    shard = next((tmp_path / "packed/shards").glob("dev-*.parquet"))
    data = shard.read_bytes()
    assert data.count(b"images/p1") > 1  # in the column of paths, and in that of images
    shard.write_bytes(data.replace(b"images/p1", b"images/\xff1"))
    with pytest.raises(DatasetError, match=rf"{shard.name} is not a readable parquet table"):
        validate(tmp_path / "packed")


def test_command_line(tmp_path, capsys):
    source(tmp_path / "set")
    command = ["shards", str(tmp_path / "set"), "--out", str(tmp_path / "packed")]
    assert main([*command, "--protocol", "p9"]) == 2
    assert "no protocol 'p9'" in capsys.readouterr().err
    assert main([*command, "--shard-size", "many"]) == 2
    assert "'many' is no size; expected one such as 256MB" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()
    assert main([*command, "--shard-size", "1kB", "--workers", "1"]) == 0
    assert "56 images" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "packed")]) == 0
    assert main([*command, "--shard-size", "2kB", "--workers", "1"]) == 2
    assert "different: shard_size" in capsys.readouterr().err
    again = ["shards", str(tmp_path / "packed"), "--out", str(tmp_path / "twice")]
    assert main(again) == 2
    assert "is packed already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("256MB", 256 * 10**6), ("1.5 GiB", 1610612736), ("4096", 4096)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


def test_a_dataset_in_the_folder_of_shards_is_refused(tmp_path):
    source(tmp_path / "out/set")
    before = contents(tmp_path)
    for out in ("out", "out/set/packed"):
        with pytest.raises(DatasetError, match="is inside"):
            write_shards(tmp_path / "out/set", tmp_path / out, workers=1, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"damaged")])
def test_damaged_shards_are_packed_again(damage, tmp_path):
    source(tmp_path / "set")
    places = (tmp_path / "set", tmp_path / "packed")
    write_shards(*places, shard_size=900, workers=1)
    before = contents(tmp_path / "packed")
    damage(next((tmp_path / "packed/shards").glob("dev-*.parquet")))
    damage(tmp_path / "packed/shards/index.json")
    write_shards(*places, shard_size=900, workers=1)
    assert contents(tmp_path / "packed") == before


def test_a_file_that_is_no_image_is_not_packed(tmp_path):
    """A dataset names its files and its root itself; a file of the system must not leave so."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/secret.png").write_text("user:password")
    from data_prep.manifest import write_dataset

    dataset = source(tmp_path / "in")
    folder = dataset.folder
    info = {k: v for k, v in dataset.info.items() if k not in ("counts", "checksums")}
    table = dataset.manifest.copy()
    table.loc[0, "path"] = "../etc/secret.png"
    write_dataset(folder, table, dataset.protocols, {**info, "root": "../etc"})
    with pytest.raises(DatasetError, match=r"secret\.png is no image .*so it is not packed"):
        write_shards(folder, tmp_path / "out", workers=1)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_shard_that_is_a_link_to_elsewhere_is_refused(tmp_path):
    from data_prep.manifest import read_dataset

    out = tmp_path / "out"
    write_shards(source(tmp_path / "in").folder, out, workers=1)
    shard = next((out / "shards").glob("train*.parquet"))
    shard.rename(tmp_path / shard.name)
    shard.symlink_to(tmp_path / shard.name)
    with pytest.raises(DatasetError, match=r"train.*points outside"):
        dataset = read_dataset(out)
        dataset.locate(dataset.manifest["path"][0])


def test_shards_of_another_layout_and_a_wrong_index_are_told(tmp_path):
    import json

    import pyarrow.parquet as pq

    from data_prep.manifest import read_dataset

    out = tmp_path / "out"
    write_shards(source(tmp_path / "in").folder, out, workers=1)
    index = json.loads((out / "shards/index.json").read_text("utf-8"))
    shard = out / "shards" / index["shards"][0]["file"]
    pq.write_table(pq.read_table(shard), shard, row_group_size=1, compression="zstd")
    index["shards"][0]["bytes"] = shard.stat().st_size
    (out / "shards/index.json").write_text(json.dumps(index), "utf-8")
    dataset = read_dataset(out)
    with pytest.raises(DatasetError, match=r"is no shard of this format .*pack the dataset again"):
        dataset.locate(dataset.manifest["path"][0]).read_bytes()
    for wrong in ([], {"shards": 3}, {"shards": [{"file": 3, "bytes": "x"}]}):
        (out / "shards/index.json").write_text(json.dumps(wrong), "utf-8")
        with pytest.raises(DatasetError, match=r"index\.json.*(expected|lacks)"):
            dataset = read_dataset(out)
            dataset.locate(dataset.manifest["path"][0])


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "GB", "inf", "nan"])
def test_impossible_sizes_are_told(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
