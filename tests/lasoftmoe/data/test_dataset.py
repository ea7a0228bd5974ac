"""Opening a prepared dataset: right pixels in the right split, decoded once, errors in words."""

import errno
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.building.shards import write_shards
from data_prep.manifest import DatasetError, read_dataset, write_dataset
from lasoftmoe.data import batches, open_dataset
from lasoftmoe.data import dataset as opening
from lasoftmoe.data import decoded as data
from lasoftmoe.paths import EMBEDDED_DATA
from tests.lasoftmoe.tiny import write_tiny_dataset


def test_items_are_the_files_pixels_with_their_labels(tiny_folder, splits):
    for split in splits.values():
        for i in (0, len(split) - 1):
            item, row = split[i], split.table.iloc[i]
            with Image.open(tiny_folder / row["path"]) as image:
                expected = np.asarray(image).transpose(2, 0, 1)
            assert np.array_equal(item["image"].numpy(), expected)
            assert item["image"].dtype == torch.uint8
            assert item["id"] == row["id"]
            assert item["attack_type"] == row["attack_type"]
            assert bool(item["is_attack"]) == (row["label"] == "fake") == (row["family"] != "live")


def test_splits_share_no_subject_and_hold_every_image(splits):
    subjects = [set(split.table["subject"]) for split in splits.values()]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 16
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [32, 16, 16]


def test_order_of_a_protocol_file_does_not_mix_up_images(tiny_folder, splits):
    swapped = open_dataset(tiny_folder, "swapped")["dev"]
    by_id = {item["id"]: item["image"] for item in splits["dev"]}
    assert len(swapped) == len(by_id)
    for item in swapped:
        assert torch.equal(item["image"], by_id[item["id"]])


def test_a_batch_is_its_items(splits):
    batch = next(iter(batches(splits["test"], 5)))
    assert batch["image"].shape == (5, 3, 16, 16)
    for i in range(5):
        item = splits["test"][i]
        assert torch.equal(batch["image"][i], item["image"])
        assert batch["is_attack"][i] == item["is_attack"]
        assert (batch["id"][i], batch["attack_type"][i]) == (item["id"], item["attack_type"])


def test_last_smaller_batch_is_kept_unless_dropped(splits):
    assert [len(b["id"]) for b in batches(splits["test"], 6)] == [6, 6, 4]
    assert [len(b["id"]) for b in batches(splits["test"], 6, drop_last=True)] == [6, 6]


def test_shuffle_follows_the_generators_seed(splits):
    def order(seed):
        generator = torch.Generator().manual_seed(seed)
        loader = batches(splits["train"], 8, shuffle=True, generator=generator)
        return [name for batch in loader for name in batch["id"]]

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(splits["train"].table["id"])


def test_worker_processes_deliver_the_same(splits):
    here = [b["image"] for b in batches(splits["test"], 6)]
    there = [b["image"] for b in batches(splits["test"], 6, num_workers=1)]
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_second_opening_decodes_nothing(tiny_folder, splits, monkeypatch):
    monkeypatch.setattr(data, "read_and_digest", lambda *_: pytest.fail("decoded again"))
    again = open_dataset(tiny_folder, "p1")
    assert torch.equal(again["test"][0]["image"], splits["test"][0]["image"])


def test_changed_dataset_is_decoded_afresh(tmp_path, runs):
    first = open_dataset(write_tiny_dataset(tmp_path / "a", subjects=4, seed=1))["test"][0]
    other = open_dataset(write_tiny_dataset(tmp_path / "b", subjects=4, seed=2))["test"][0]
    assert first["id"] == other["id"] and not torch.equal(first["image"], other["image"])


def test_an_image_changed_behind_the_decoded_cache_is_noticed(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    open_dataset(folder)
    path = folder / "images" / "s01-2.png"
    with Image.open(path) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    with pytest.raises(
        DatasetError, match=r"(?s)a file changed.*Newer than dataset\.json: .*s01-2\.png"
    ):
        open_dataset(folder)


def test_an_image_changed_before_the_first_opening_is_noticed(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    Image.new("RGB", (16, 16)).save(folder / "images" / "s01-2.png")
    with pytest.raises(DatasetError, match="a file changed after the dataset was written"):
        open_dataset(folder)
    assert not list(runs.glob(".decoded/*.npy"))


def test_files_that_were_only_touched_or_copied_need_no_decoding(tmp_path, runs, monkeypatch):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    first = open_dataset(folder)["test"][0]["image"]
    monkeypatch.setattr(data, "read_and_digest", lambda *_: pytest.fail("decoded again"))
    (folder / "images" / "s01-2.png").touch()
    assert torch.equal(open_dataset(folder)["test"][0]["image"], first)
    shutil.copytree(folder, tmp_path / "b")
    assert torch.equal(open_dataset(tmp_path / "b")["test"][0]["image"], first)
    monkeypatch.setattr(data, "check_files", lambda *_: pytest.fail("read all files again"))
    open_dataset(folder)
    open_dataset(tmp_path / "b")


def test_a_full_disk_is_said_before_anything_is_decoded(tmp_path, runs, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    monkeypatch.setattr(data.os, "posix_fallocate", no_room)
    with pytest.raises(DatasetError, match=r"cannot be written to .*No space left.*LASOFTMOE_RUNS"):
        open_dataset(folder)
    assert not list(runs.glob(".decoded/*.npy")) and not list(runs.glob(".decoded/*.partial"))


def test_a_disk_that_fills_up_while_decoding_leaves_nothing(tmp_path, runs, monkeypatch):
    resource = pytest.importorskip("resource")
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    monkeypatch.delattr(data.os, "posix_fallocate", raising=False)  # as on macOS
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # bytes; the images take 12288
    try:
        with pytest.raises(DatasetError, match=r"cannot be written to .*LASOFTMOE_RUNS"):
            open_dataset(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(runs.glob(".decoded/*.npy")) and not list(runs.glob(".decoded/*.partial"))


@pytest.mark.parametrize("block_bytes", [1, 3 * 768, 1 << 20])
def test_blocks_of_any_size_give_the_same_images(block_bytes, tiny_folder, runs, monkeypatch):
    monkeypatch.setattr(data, "BLOCK_BYTES", block_bytes)
    dataset = read_dataset(tiny_folder)
    images = data.decoded(dataset)
    for path, found in zip(dataset.manifest["path"], images, strict=True):
        with Image.open(tiny_folder / path) as image:
            assert np.array_equal(found, np.asarray(image).transpose(2, 0, 1))


def test_a_shard_changed_behind_the_decoded_cache_is_noticed(tmp_path, runs):
    write_shards(write_tiny_dataset(tmp_path / "a", subjects=4), tmp_path / "packed", workers=1)
    open_dataset(tmp_path / "packed")
    shard = min((tmp_path / "packed" / "shards").glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    at = content.index(b"IDAT") + 8
    content[at] ^= 0xFF
    shard.write_bytes(content)
    os.utime(shard, ns=(0, shard.stat().st_mtime_ns + 10**9))
    with pytest.raises(DatasetError, match=r"a file changed|is damaged"):
        open_dataset(tmp_path / "packed")


def test_a_dataset_sent_to_another_process_maps_the_same_file(splits):
    sent = pickle.dumps(splits["test"])
    assert len(sent) < splits["test"].images.nbytes
    there = pickle.loads(sent)
    assert isinstance(there.images, np.memmap) and there.images.filename.suffix == ".npy"
    assert torch.equal(there[3]["image"], splits["test"][3]["image"])


def test_interrupted_decoding_leaves_no_cache(tmp_path, runs, monkeypatch):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    real, calls = data.read_and_digest, []

    def fails_at_the_third(path, name):
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(path, name)

    monkeypatch.setattr(data, "read_and_digest", fails_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(folder)
    assert not list(runs.glob(".decoded/*.npy")) and not list(runs.glob(".decoded/*.partial"))
    monkeypatch.undo()


def test_images_can_be_delivered_in_another_size(tiny_folder, runs):
    assert open_dataset(tiny_folder, image_size=8)["test"][0]["image"].shape == (3, 8, 8)
    assert open_dataset(tiny_folder)["test"][0]["image"].shape == (3, 16, 16)


def test_missing_folder_says_how_to_make_it(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="data_prep --help"):
        open_dataset(tmp_path / "nowhere")
    monkeypatch.setattr(opening, "EMBEDDED_DATA", tmp_path / EMBEDDED_DATA.name)
    with pytest.raises(DatasetError, match="data_prep synthetic --preset laptop --out"):
        open_dataset(tmp_path / EMBEDDED_DATA.name)


def test_unknown_protocol_lists_the_known(tiny_folder, runs):
    with pytest.raises(DatasetError, match=r"no protocol 'p9' .* it has: p1, swapped"):
        open_dataset(tiny_folder, "p9")


def test_broken_image_is_named(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    (folder / "images" / "s01-2.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"s01-2\.png does not decode"):
        open_dataset(folder)


def test_image_of_another_size_is_named(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    Image.new("RGB", (9, 7)).save(folder / "images" / "s01-2.png")
    with pytest.raises(DatasetError, match=r"s01-2\.png is 9 x 7 pixels, .* 16 x 16"):
        open_dataset(folder)


def test_sizes_left_open_must_be_chosen(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4, declared=None)
    with pytest.raises(DatasetError, match="image_size=224"):
        open_dataset(folder)
    assert open_dataset(folder, image_size=12)["train"][0]["image"].shape == (3, 12, 12)


def test_empty_split_is_refused(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=3)
    with pytest.raises(DatasetError, match="no image in split 'test'"):
        open_dataset(folder)


def test_a_set_for_testing_only_is_opened_for_its_test_split(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=8)
    dataset = read_dataset(folder)
    protocol = dataset.protocols["p1"].assign(split="test")
    (folder / "protocols" / "swapped.parquet").unlink()
    write_dataset(folder, dataset.manifest, {"p1": protocol}, dataset.info)
    assert list(open_dataset(folder, splits=["test"])) == ["test"]
    with pytest.raises(DatasetError, match="no image in split 'train'"):
        open_dataset(folder)


def test_new_decoding_code_decodes_again_and_deletes_the_old_file(tmp_path, runs, monkeypatch):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    before = open_dataset(folder)["test"].images[0].copy()
    (old,) = runs.glob(".decoded/*.npy")
    monkeypatch.setattr(data, "decoder_digest", lambda: "0123456789")
    monkeypatch.setattr(data, "at_size", lambda image, *_: np.zeros((16, 16, 3), np.uint8))
    assert open_dataset(folder)["test"].images[0].max() == 0 < before.max()
    (new,) = runs.glob(".decoded/*.npy")
    assert new != old and "01234567" in new.name


def test_a_checksum_names_no_folder(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "a", subjects=4)
    dataset = read_dataset(folder)
    dataset.info["checksums"]["dataset"] = "../../../elsewhere"
    with pytest.raises(DatasetError):  # it is not the checksum of these files either
        data.decoded(dataset)
    assert not list(tmp_path.glob("**/elsewhere*"))


@pytest.fixture
def with_maps(tmp_path, runs):
    return open_dataset(write_tiny_dataset(tmp_path / "maps", subjects=8, maps=True))


def test_maps_come_to_those_who_need_them(with_maps):
    train = with_maps["train"]
    assert set(train[0]) == {"image", "is_attack", "attack_type", "id"}
    assert train.table["subject"][4] == "s01"  # the first subject lacks some maps
    batch = train.delivering(["depth", "mask", "family", "subject"]).batch([4, 5, 6, 7])
    assert batch["depth"].shape == batch["mask"].shape == (4, 1, 16, 16)
    assert batch["has_depth"].tolist() == [True, True, False, False]
    assert batch["has_mask"].tolist() == [False, False, True, True]
    assert batch["depth"][2:].max() == 0 and batch["depth"][0, 0, 0].tolist() == sorted(
        batch["depth"][0, 0, 0].tolist()
    )
    assert batch["mask"][3, 0, :, :8].min() == 255 and batch["mask"][3, 0, :, 8:].max() == 0
    assert batch["family"] == ["live", "live", "physical", "adversarial"]
    assert batch["subject"] == ["s01"] * 4
    lacking = train.delivering(["depth", "mask"]).batch([0, 1, 2, 3])
    assert lacking["has_depth"].tolist() == [False, True, False, False]
    assert lacking["has_mask"].tolist() == [False, False, False, True]


def test_maps_survive_the_way_to_a_worker(with_maps):
    train = with_maps["train"].delivering(["depth"])
    there = pickle.loads(pickle.dumps(train))
    assert torch.equal(there.batch([0, 1])["depth"], train.batch([0, 1])["depth"])
    loaded = next(iter(batches(train, 4, num_workers=1)))
    assert torch.equal(loaded["depth"], train.batch([0, 1, 2, 3])["depth"])


def test_maps_that_are_not_there_are_named(splits, with_maps):
    with pytest.raises(DatasetError, match=r"train split has no depth for any image.*--with-maps"):
        splits["train"].delivering(["depth"])
    with pytest.raises(ValueError, match="no 'pulse' in a batch; known: mask, depth, family"):
        with_maps["train"].delivering(["pulse"])
