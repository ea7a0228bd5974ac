"""Worker processes are checked before work, waited for with a limit, and explained when lost."""

import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch

from lasoftmoe.data import dataset as dataset_module
from lasoftmoe.data import epoch_loader, workers
from lasoftmoe.data.sampling import EpochBatches
from lasoftmoe.data.workers import (
    LoaderError,
    lost_workers_explained,
    worker_options,
    worker_problems,
)
from lasoftmoe.experiment import load_config
from lasoftmoe.experiment.preflight import PresetError, check_requirements

MIB = 2**20


def order_of(dataset, batch_size=4):
    return EpochBatches(dataset.is_attack, batch_size, seed=0)


@pytest.fixture
def shared_memory(monkeypatch):
    """Say how many bytes of shared memory are free."""
    free = {"bytes": 2**40}
    status = lambda _: SimpleNamespace(f_bavail=free["bytes"], f_frsize=1)  # noqa: E731
    monkeypatch.setattr(workers.os, "statvfs", status)
    return free


@pytest.fixture
def long_folder(tmp_path, monkeypatch):
    """A folder of temporary files whose path is too long for sockets."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr(workers.tempfile, "tempdir", str(folder))
    return folder


def test_a_long_tmpdir_is_named_before_work(splits, tiny_folder, shared_memory, long_folder):
    message = r"(?s)set TMPDIR to a writable folder with a short path.*num_workers to 0"
    with pytest.raises(LoaderError, match=message):
        worker_options(2)
    with pytest.raises(LoaderError, match=message):
        epoch_loader(splits["train"], order_of(splits["train"]), num_workers=1)
    training = {"training": {"num_workers": 2}}
    with pytest.raises(PresetError, match=message):
        check_requirements(load_config("vanilla", "laptop", overrides=training), tiny_folder)
    assert worker_options(0) == {"num_workers": 0, "timeout": 0}
    assert list(long_folder.iterdir()) == []


def test_workers_have_a_time_limit(monkeypatch, shared_memory):
    monkeypatch.setattr(workers.tempfile, "tempdir", "/tmp")
    options = worker_options(2, MIB)
    assert options["num_workers"] == 2 and 0 < options["timeout"] < 3600


def test_too_little_shared_memory_is_named_before_work(splits, shared_memory):
    shared_memory["bytes"] = 4 * MIB
    assert worker_problems(2, MIB) == []
    shared_memory["bytes"] -= 1
    (problem,) = worker_problems(2, MIB)
    assert "2 workers need 4 MiB" in problem and "--shm-size" in problem
    assert "num_workers to 0" in problem
    train = splits["train"]
    shared_memory["bytes"] = 2 * 4 * train.item_bytes - 1
    with pytest.raises(LoaderError, match="shared memory"):
        epoch_loader(train, order_of(train), num_workers=1)
    assert train.item_bytes == 3 * 16 * 16


class Hanging(dataset_module.FaceDataset):
    """A dataset whose second batch never comes, or kills its worker."""

    def __init__(self, dataset, kill):
        self.__dict__.update(dataset.__dict__)
        self.kill, self.parent, self.count = kill, os.getpid(), 0

    def __getitems__(self, indices):
        self.count += 1
        if self.count > 1 and os.getpid() != self.parent:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return self.batch(indices)


@pytest.mark.parametrize("kill", [True, False])
def test_a_lost_worker_is_named_with_the_remedy(splits, monkeypatch, kill):
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", 1)
    train = Hanging(splits["train"], kill)
    loader = epoch_loader(train, order_of(train), num_workers=1)
    start = time.monotonic()
    message = r"died or hangs.*training\.num_workers to 0"
    with pytest.raises(LoaderError, match=message), lost_workers_explained():
        for _ in loader:
            time.sleep(0.2)
    assert time.monotonic() - start < 30


def test_other_errors_keep_their_words():
    with pytest.raises(RuntimeError, match=r"^out of memory$"), lost_workers_explained():
        raise torch.OutOfMemoryError("out of memory")
