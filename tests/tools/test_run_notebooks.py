"""A notebook that cannot finish is named, with the cause and what to do."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import pytest
import zmq
from nbclient.exceptions import CellTimeoutError
from nbformat.v4 import new_code_cell, new_notebook

from tools.run_notebooks import NotebookClient, Run, Store, execute, explain


def run(folder: Path, code: str, timeout: int = 60) -> Run:
    path = folder / "chapter.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1"), new_code_cell(code)]), path)
    return asyncio.run(execute(path, "mark", timeout, Store(folder / "store")))


@pytest.mark.slow
def test_a_notebook_whose_process_is_killed_is_named_with_a_remedy(tmp_path: Path) -> None:
    error = run(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)").error
    assert "chapter.ipynb, cell 2 of 2" in error
    assert "memory" in error.splitlines()[-1] and "JOBS=1" in error.splitlines()[-1]


@pytest.mark.slow
def test_a_cell_that_never_ends_is_stopped_at_the_limit(tmp_path: Path) -> None:
    done = run(tmp_path, "while True:\n    pass", timeout=2)
    assert "chapter.ipynb, cell 2 of 2" in done.error and "execute.timeout" in done.error
    assert done.seconds < 30


def test_an_error_before_the_first_cell_names_the_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: NotebookClient) -> None:
        raise zmq.ZMQError(36, "File name too long")

    monkeypatch.setattr(NotebookClient, "async_execute", fail)
    error = run(tmp_path, "2").error
    assert "chapter.ipynb" in error and "File name too long" in error


def test_a_process_that_does_not_start_is_told_in_words() -> None:
    assert "JOBS=1" in explain(RuntimeError("Kernel didn't respond in 60 seconds"))
    assert "_config.yml" in explain(CellTimeoutError("too long"))


@pytest.mark.slow
def test_a_finished_run_keeps_when_and_with_what_it_ran(tmp_path: Path) -> None:
    done = run(tmp_path, "2")
    kept = Store(tmp_path / "store").find("chapter", "mark")
    assert kept is not None and kept.date == done.date
    assert datetime.fromisoformat(kept.date).utcoffset() == timedelta(0)
    assert {"python", "torch", "lasoftmoe"} <= kept.versions.keys()
