"""Notebooks executed in parallel, and the store of what they printed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import textwrap
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from data_prep.provenance import versions

HEARTBEAT_SECONDS = 20
ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Run:
    """One executed notebook: fingerprint, seconds, and the error if it failed.

    ``date`` (UTC, ISO 8601) and ``versions`` say when and with what it ran.
    """

    notebook: str
    fingerprint: str
    seconds: float = 0.0
    reused: bool = False
    error: str | None = None
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)


class Store:
    """Executed notebooks of one preset, each with the fingerprint of what it depended on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _paths(self, notebook: str) -> tuple[Path, Path]:
        return self.folder / f"{notebook}.ipynb", self.folder / f"{notebook}.json"

    def find(self, notebook: str, fingerprint: str) -> Run | None:
        """Return the finished run with this fingerprint, or None."""
        executed, record = self._paths(notebook)
        if not (executed.exists() and record.exists()):
            return None
        run = Run(**json.loads(record.read_text()))
        run.reused = True
        return run if run.fingerprint == fingerprint else None

    def read(self, notebook: str) -> NotebookNode:
        """Return an executed notebook."""
        return nbformat.read(self._paths(notebook)[0], as_version=4)

    def write(self, run: Run, executed: NotebookNode) -> None:
        """Keep a finished run. The record is written last, so a killed build leaves no half run."""
        path, record = self._paths(run.notebook)
        self.folder.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)
        nbformat.write(executed, path)
        temporary = record.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(run)))
        temporary.replace(record)

    def forget(self, notebook: str) -> None:
        """Delete what is kept of a notebook."""
        for path in self._paths(notebook):
            path.unlink(missing_ok=True)


def describe_failure(path: Path, notebook: NotebookNode, cell: int, error: Exception) -> str:
    """Say which notebook and which cell failed, with its code, the cause, and what to do.

    The last line is the one to quote.
    """
    if isinstance(error, CellExecutionError):
        reason = error.traceback  # shows the code, too
    else:
        reason = f"{notebook.cells[cell].source}\n{explain(error)}"
    text = f"{path.name}, cell {cell + 1} of {len(notebook.cells)}:\n{reason}"
    return ANSI_COLOR.sub("", text)


def explain(error: Exception) -> str:
    """Say in one line why a notebook's kernel was lost, and what to do about it."""
    if isinstance(error, DeadKernelError):
        return (
            "The process that ran this notebook ended, most often because the system stopped it "
            "when memory ran out. Run fewer notebooks at a time: make book JOBS=1"
        )
    if isinstance(error, CellTimeoutError):
        return (
            "The cell reached the time limit. If it only needs longer here, raise execute.timeout "
            "(seconds) in _config.yml"
        )
    if isinstance(error, RuntimeError) and "Kernel" in str(error):  # from jupyter_client
        return (
            f"The process that should run this notebook did not start ({error}). Its own message, "
            "if any, is above. If the machine is busy, run fewer at a time: make book JOBS=1"
        )
    return f"{type(error).__name__}: {error}"


def sockets(folder: str) -> Config:
    """Return settings for kernels that talk through files in ``folder`` instead of open ports."""
    manager = {"transport": "ipc", "ip": f"{folder}/kernel"} if os.name == "posix" else {}
    return Config({"KernelManager": manager})


async def heartbeat(name: str, progress: dict[str, int], total: int) -> None:
    """Print regularly which cell a notebook has reached."""
    start = time.perf_counter()
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        seconds = time.perf_counter() - start
        print(f"  ... {name}: cell {progress['cell'] + 1} of {total}, {seconds:.0f} s", flush=True)


async def execute(path: Path, fingerprint: str, timeout: int, store: Store) -> Run:
    """Run one notebook in its own kernel, in the notebook's folder.

    Args:
        timeout: The limit of each cell, in seconds.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(path.stem, fingerprint, date=now, versions=versions())
    notebook = nbformat.read(path, as_version=4)
    progress = {"cell": 0}
    print(f"  running  {path.name}", flush=True)
    pulse = asyncio.create_task(heartbeat(path.name, progress, len(notebook.cells)))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,  # the execution cache wants none in the cells
            config=sockets(folder),
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_start=lambda cell, cell_index: progress.update(cell=cell_index),
        )
        try:
            await client.async_execute()
        except Exception as error:  # whatever was lost, the message names the notebook
            run.error = describe_failure(path, notebook, progress["cell"], error)
        finally:
            pulse.cancel()
    run.seconds = round(time.perf_counter() - start, 1)
    print(f"  {'FAILED' if run.error else 'finished'} {path.name} {run.seconds} s", flush=True)
    if run.error is None:
        store.write(run, notebook)
    else:  # at once: the other notebooks may take minutes more
        print(textwrap.indent(run.error, "  | "), file=sys.stderr, flush=True)
    return run


async def execute_all(
    notebooks: dict[Path, str], jobs: int, timeout: int, store: Store
) -> list[Run]:
    """Run ``notebooks`` (path to fingerprint), at most ``jobs`` at a time; load kept ones."""
    free = asyncio.Semaphore(jobs)

    async def one(path: Path, fingerprint: str) -> Run:
        found = store.find(path.stem, fingerprint)
        if found is not None:
            return found
        store.forget(path.stem)
        async with free:
            return await execute(path, fingerprint, timeout, store)

    return await asyncio.gather(*(one(path, mark) for path, mark in notebooks.items()))
