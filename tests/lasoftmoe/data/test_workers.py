"""Workers of a loader are not waited for without end."""

import tempfile

import pytest

from lasoftmoe.data.workers import worker_options


def test_a_temporary_folder_with_a_long_path_is_told_before_work(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(OSError, match=r"set TMPDIR to a writable folder with a short path"):
        worker_options(2)
    assert worker_options(0) == {"num_workers": 0}
    assert list(long.iterdir()) == []


def test_workers_have_a_time_limit(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    options = worker_options(2)
    assert options["num_workers"] == 2 and 0 < options["timeout"] < 3600
