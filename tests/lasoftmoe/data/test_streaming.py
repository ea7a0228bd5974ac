"""Shards give the batches of arrays, in an order that any number of readers shares."""

from __future__ import annotations

import pickle
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from data_prep.building import shards as packing
from data_prep.building.shards import write_shards
from data_prep.contract import packed
from data_prep.manifest import DatasetError, read_dataset
from lasoftmoe.data import epoch_loader, open_dataset, open_shards, streaming
from lasoftmoe.data.stream_order import StreamOrder
from lasoftmoe.evaluation import score
from lasoftmoe.training.checkpoint import Checkpoint
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.training.loop import TrainingError, train
from tests.lasoftmoe.tiny import TinyDetector, write_tiny_dataset

LANES, WINDOW, GROUP = 4, 1, 3
CONFIG = TrainingConfig(epochs=2, batch_size=8, shift_pixels=1, learning_rate=1e-2)


@pytest.fixture(scope="module", autouse=True)
def small_groups():
    """Groups of three rows, so that tiny datasets have many."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (packed, packing, streaming):
            patch.setattr(module, "ROWS_IN_GROUP", GROUP)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    data = write_tiny_dataset(folder / "data", subjects=20)
    write_shards(data, folder / "packed", shard_size=6_000, workers=1)
    assert len(list((folder / "packed/shards").glob("train-*.parquet"))) > 2
    return data, folder / "packed"


@pytest.fixture
def both(folders, runs):
    """The training split as arrays and as shards, with the same order of batches."""
    data, packed_folder = folders
    arrays = open_dataset(data)
    stream = open_shards(packed_folder, lanes=LANES, window=WINDOW)["train"]
    arrays["train"].epochs = stream.epochs
    arrays["train"].delivering = lambda needs: arrays["train"]
    return arrays["train"], stream


def order(rows=100, **options):
    sizes = np.array([GROUP] * (rows // GROUP) + ([rows % GROUP] if rows % GROUP else []))
    return StreamOrder(sizes, **{"batch_size": 8, "seed": 0, "lanes": LANES, "window": 2} | options)


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == second[name].dtype and torch.equal(value, second[name]), name
        else:
            assert value == second[name], name


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_arrays(both, folders, workers):
    arrays, stream = both
    assert stream.checksum == read_dataset(folders[1]).checksum
    assert stream.protocol == arrays.protocol
    assert len(stream) == len(arrays)
    batches = stream.epochs(8, 0, "uniform")
    pairs = zip(
        epoch_loader(arrays, batches),
        epoch_loader(stream.delivering(["subject"]), batches, workers),
        strict=True,
    )
    count = 0
    for first, second in pairs:
        assert second.pop("subject") == [name.split("-")[0] for name in second["id"]]
        same(first, second)
        count += 1
    assert count == len(batches) == 5


def test_the_table_is_that_of_the_arrays(both):
    arrays, stream = both
    shared = [name for name in stream.table if name in arrays.table]
    assert {"id", "attack_type", "is_attack", "family", "subject"} <= set(shared)
    pd.testing.assert_frame_equal(stream.table[shared], arrays.table[shared])
    assert torch.equal(stream.is_attack, arrays.is_attack)
    detector = TinyDetector()
    pd.testing.assert_frame_equal(score(detector, stream), score(detector, arrays))


def test_training_from_shards_ends_with_the_same_weights(both):
    trained = []
    for dataset in both:
        detector = TinyDetector()
        log = train(detector, dataset, None, CONFIG, seed=3)
        trained.append((detector.state_dict(), log))
    same(trained[0][0], trained[1][0])
    pd.testing.assert_frame_equal(trained[0][1], trained[1][1])


@pytest.mark.parametrize("kill_after", [3, 7])
def test_a_killed_training_resumes_in_mid_epoch(both, tmp_path, kill_after):
    _, stream = both
    config = TrainingConfig(**{**vars(CONFIG), "checkpoint_every": 1})
    wanted = TinyDetector()
    train(wanted, stream, None, config, seed=3)

    def kill(row):
        if row["step"] == kill_after:
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(TinyDetector(), stream, None, config, 3, on_step=kill, checkpoint=Checkpoint(path))
    again, steps = TinyDetector(), []
    record = lambda row: steps.append(row["step"])  # noqa: E731
    train(again, stream, None, config, 3, on_step=record, checkpoint=Checkpoint(path))
    assert steps == list(range(kill_after + 1, 10))
    same(wanted.state_dict(), again.state_dict())


def test_an_epoch_shows_no_image_twice_and_leaves_out_less_than_a_batch():
    batches = order(rows=101)
    for batches.epoch in range(3):
        rows = list(chain.from_iterable(batches))
        assert len(rows) == len(set(rows)) == 8 * len(batches) == 96
        assert set(rows) <= set(range(101))
    first, second = (order(), order())
    second.epoch = 1
    assert list(first) != list(second)
    assert list(order()) != list(order(seed=1))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_the_batches_of_one(processes):
    parts = [
        order(batch_size=8 // processes, processes=processes, process=p) for p in range(processes)
    ]
    together = [list(chain.from_iterable(step)) for step in zip(*parts, strict=True)]
    assert together == list(order())


def test_a_process_opens_only_the_groups_of_its_lanes():
    """Apart from the one group that two neighboring lanes share."""
    parts = [order(batch_size=4, processes=2, process=p) for p in range(2)]
    opened = [{row // GROUP for row in chain.from_iterable(part)} for part in parts]
    assert len(opened[0] & opened[1]) <= 1
    assert all(len(groups) < 0.6 * 34 for groups in opened)


@pytest.mark.parametrize("first", [1, 4, 11])
def test_an_order_begins_at_any_batch(first):
    resumed = order()
    resumed.first = first
    assert list(resumed) == list(order())[first:]


def test_few_groups_are_open_at_a_time():
    """A window's groups are used up before the next one's are opened."""
    batches = order(rows=GROUP * 80, batch_size=4, lanes=1, window=5)
    seen = [row // GROUP for row in chain.from_iterable(batches)]
    for start in range(0, len(seen), 15):
        assert len(set(seen[start : start + 15])) == 5


def test_memory_holds_a_few_groups(both):
    _, stream = both
    for indices in stream.epochs(8, 0, "uniform"):
        stream.batch(indices)
        assert len(stream._open) <= 2 * LANES * WINDOW
    assert len(stream._groups) > 2 * LANES * WINDOW


def test_rows_of_several_folders_are_numbered_one_after_the_other(folders, tmp_path):
    _, first = folders
    other = write_tiny_dataset(tmp_path / "data", subjects=8, seed=1)
    write_shards(other, tmp_path / "packed", workers=1)
    alone = [open_shards(folder)["train"] for folder in (first, tmp_path / "packed")]
    together = open_shards([first, tmp_path / "packed"])["train"]
    assert len(together) == len(alone[0]) + len(alone[1])
    assert together.checksum not in {part.checksum for part in alone}
    same(together.batch([len(alone[0]) + 3]), alone[1].batch([3]))
    same(together.batch([2]), alone[0].batch([2]))


def test_another_process_opens_the_shards_itself(both):
    _, stream = both
    stream.batch([0])
    again = pickle.loads(pickle.dumps(stream))
    assert not again._open
    same(again.batch([5]), stream.batch([5]))


def test_images_are_resized_as_in_the_arrays(folders, runs):
    data, packed_folder = folders
    stream = open_shards(packed_folder, image_size=12)["train"]
    same(stream.batch([0, 3]), open_dataset(data, image_size=12)["train"].batch([0, 3]))


def test_damage_is_told(folders, tmp_path):
    data, packed_folder = folders
    with pytest.raises(DatasetError, match=r"has no shards/index\.json; pack a dataset"):
        open_shards(data)
    with pytest.raises(DatasetError, match="no image in split 'night'"):
        open_shards(packed_folder, splits=["night"])
    write_shards(data, tmp_path / "packed", workers=1)
    shard = next((tmp_path / "packed/shards").glob("train-*.parquet"))
    content = bytearray(shard.read_bytes())
    for at in range(len(content) - 8):
        if content[at : at + 4] == b"IDAT":
            content[at + 8] ^= 255
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{shard.name}: image 's00-0' does not decode"):
        open_shards(tmp_path / "packed")["train"].batch([0])


def test_what_shards_cannot_give_is_told(both, tmp_path):
    _, stream = both
    with pytest.raises(DatasetError, match="needs mask, which shards do not hold"):
        stream.delivering(["mask"])
    with pytest.raises(ValueError, match="no 'age' in a batch"):
        stream.delivering(["age"])
    balanced = TrainingConfig(**{**vars(CONFIG), "sampling": "class_balanced"})
    with pytest.raises(TrainingError, match="'class_balanced' needs all labels at once"):
        train(TinyDetector(), stream, None, balanced, seed=0)
    for wrong in ({"lanes": 3, "processes": 2}, {"batch_size": 6}, {"window": 0}, {"lanes": 0}):
        with pytest.raises(ValueError, match="choose lanes or batch_size"):
            order(**wrong)
