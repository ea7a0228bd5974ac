import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from data_prep.building.parallel import UNITS_IN_FLIGHT, run_units
from data_prep.cli import main
from data_prep.manifest import read_dataset
from tests.data_prep.releases import jfsfdb as releases


def square_and_process(number: int) -> tuple[int, int, int]:
    return number**2, os.getpid(), torch.get_num_threads()


def test_results_keep_the_order_of_the_units_with_one_thread_each():
    results = run_units(square_and_process, range(12), workers=2)
    assert [square for square, _, _ in results] == [number**2 for number in range(12)]
    assert os.getpid() not in {process for _, process, _ in results}
    assert {threads for _, _, threads in results} == {1}


def test_one_worker_gives_the_threads_back():
    before = torch.get_num_threads()
    assert run_units(square_and_process, [3], workers=1)[0][0] == 9
    assert torch.get_num_threads() == before


def test_no_units_are_no_error():
    assert run_units(square_and_process, [], workers=2) == []


def test_workers_have_to_be_positive():
    with pytest.raises(ValueError, match="workers is 0; expected 1 or more"):
        run_units(square_and_process, [1], workers=0)


class Recorded(list):
    """Units that note how many others were handed out and not finished when they were asked for."""

    def __init__(self, folder, units):
        super().__init__(units)
        self.folder, self.open = folder, []

    def handed_out(self):
        for number, unit in enumerate(self):
            self.open.append(number - len(list(self.folder.iterdir())))
            yield unit


def touch(place: tuple[Path, int]) -> None:
    folder, number = place
    time.sleep(0.2 if number == 0 else 0)  # the others may not run ahead of it without end
    (folder / str(number)).touch()


def test_units_in_flight_are_bounded(tmp_path, monkeypatch):
    import data_prep.building.parallel

    units = Recorded(tmp_path, [(tmp_path, number) for number in range(400)])
    parallel = data_prep.building.parallel
    monkeypatch.setattr(parallel, "enumerate", lambda _: _counted(units), raising=False)
    run_units(touch, units, workers=2)
    assert len(list(tmp_path.iterdir())) == 400
    assert 0 < max(units.open) <= 2 * UNITS_IN_FLIGHT


def _counted(units):
    return enumerate(units.handed_out())


def test_unknown_backend_and_misplaced_address_are_told(capsys):
    with pytest.raises(ValueError, match="unknown backend 'spark'; expected one of: loky, dask"):
        run_units(square_and_process, [1], backend="spark")
    with pytest.raises(ValueError, match="loky has no address"):
        run_units(square_and_process, [1], backend="loky@head:1")
    places = ["--root", "none", "--out", "none"]
    assert main(["jfsfdb", "siw", *places, "--cluster", "tcp://head:8786"]) == 2
    assert "--cluster needs --backend dask or --backend ray" in capsys.readouterr().err


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_missing_extra_is_told(backend, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"needs {package}, .* pip install 'lasoftmoe\[scale\]'"):
        run_units(square_and_process, [1], 1, backend=backend)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_cluster_on_this_machine_writes_the_same_files(backend, tmp_path):
    pytest.importorskip("distributed" if backend == "dask" else "ray")
    root = releases.threedmask(tmp_path / "release")
    command = ["jfsfdb", "threedmask", "--root", str(root), "--frames", "2", "--size", "32"]
    command += ["--allow-missing", "--workers", "2"]
    assert main([*command, "--out", str(tmp_path / "loky")]) == 0
    assert main([*command, "--out", str(tmp_path / backend), "--backend", backend]) == 0
    assert contents(tmp_path / backend) == contents(tmp_path / "loky")
    found, expected = read_dataset(tmp_path / backend), read_dataset(tmp_path / "loky")
    assert found.manifest.equals(expected.manifest)


@pytest.mark.slow
def test_running_dask_cluster_is_used(monkeypatch):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=False, **options) as cluster:
        address = cluster.scheduler_address
        results = run_units(square_and_process, range(3), 1, backend=f"dask@{address}")
        monkeypatch.setenv("DATA_PREP_CLUSTER", address)
        assert run_units(square_and_process, range(3), 1, backend="dask") == results
    assert {process for _, process, _ in results} == {os.getpid()}  # that cluster is threads here


def test_no_cluster_at_the_address_is_told(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("data_prep.building.parallel.CONNECT_SECONDS", 1)
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'tcp:"):
        run_units(square_and_process, [1], backend="dask@tcp://127.0.0.1:9")


def end_badly(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def never_answer(number: int) -> int:
    time.sleep(60 if number == 3 else 0)
    return number


def test_a_killed_worker_is_told_in_our_words():
    with pytest.raises(OSError, match=r"a worker process was killed.*Run the same command again"):
        run_units(end_badly, range(8), workers=2)


def test_a_worker_that_never_answers_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setenv("DATA_PREP_PATIENCE", "1")
    with pytest.raises(OSError, match=r"no answer for 1 seconds.*set DATA_PREP_PATIENCE to more"):
        run_units(never_answer, range(8), workers=2)


@pytest.mark.slow
def test_a_worker_of_dask_that_never_answers_is_not_waited_for_without_end(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("DATA_PREP_PATIENCE", "4")
    with pytest.raises(OSError, match=r"no answer for 4 seconds"):
        run_units(never_answer, range(8), workers=2, backend="dask")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_patience_is_a_number_of_seconds(text, monkeypatch):
    monkeypatch.setenv("DATA_PREP_PATIENCE", text)
    with pytest.raises(ValueError, match=r"DATA_PREP_PATIENCE is .*expected a number of seconds"):
        run_units(square_and_process, [1], workers=1)


def test_a_machine_without_shared_memory_is_told_before_work(monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(multiprocessing.get_context("spawn"), "Lock", refuse, raising=False)
    with pytest.raises(OSError, match=r"/dev/shm.*--workers 1"):
        run_units(square_and_process, [1, 2], workers=2)
    assert run_units(square_and_process, [3], workers=1)[0][0] == 9
