"""What helper processes need is looked at before they start, and named when it is missing."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections import namedtuple
from multiprocessing.connection import Listener
from pathlib import Path

import pytest

from tools import machine

Usage = namedtuple("Usage", "total used free")


def test_this_machine_lacks_nothing() -> None:
    assert machine.problems(jobs=1) == []


def test_a_temporary_folder_too_deep_for_sockets_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * (103 - len(os.fsencode(tmp_path)) - 1))
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    (problem,) = machine.problems(jobs=1)
    assert str(deep) in problem and "103 bytes" in problem and "TMPDIR=/tmp" in problem


def test_the_longest_folder_that_passes_leaves_room_for_the_sockets_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Open a socket under the longest name that the check lets pass, as a worker would."""
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        folder = Path(base) / ("d" * (machine.SOCKET_PATH - machine.SOCKET_NAME - len(base) - 1))
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        assert machine.problems(jobs=1) == []
        workers = tempfile.mkdtemp(prefix="pymp-")
        address = tempfile.mktemp(prefix="listener-", dir=workers)
        Listener(address, family="AF_UNIX").close()


@pytest.mark.parametrize(
    ("full", "remedy"), [(tempfile.gettempdir(), "TMPDIR="), ("/dev/shm", "--shm-size")]
)
def test_too_little_space_is_told_with_what_is_needed(
    full: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage

    def usage(path: object) -> object:
        return Usage(10**9, 10**9 - 10**7, 10**7) if str(path) == full else real(path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    (problem,) = machine.problems(jobs=2)
    assert full in problem and "10 MB are free" in problem and remedy in problem


def test_a_machine_without_semaphores_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lock() -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(multiprocessing, "Lock", lock)
    (problem,) = machine.problems(jobs=1)
    assert "Function not implemented" in problem and "/dev/shm" in problem
