"""Execute notebooks side by side and keep what they printed, one store per preset."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

HEARTBEAT_SECONDS = 20
# Kernels that start together can pick the same free TCP port; files do not collide.
SOCKETS = Config({"KernelManager": {"transport": "ipc"}} if os.name == "posix" else {})
ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Run:
    """One notebook: its fingerprint, the seconds it took and what went wrong, if anything."""

    notebook: str
    fingerprint: str
    seconds: float = 0.0
    reused: bool = False
    error: str | None = None


class Store:
    """Executed notebooks of one preset, each beside the fingerprint it was made under."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _paths(self, notebook: str) -> tuple[Path, Path]:
        return self.folder / f"{notebook}.ipynb", self.folder / f"{notebook}.json"

    def find(self, notebook: str, fingerprint: str) -> Run | None:
        """The finished run made under this very fingerprint, or None."""
        executed, record = self._paths(notebook)
        if not (executed.exists() and record.exists()):
            return None
        run = Run(**json.loads(record.read_text()))
        run.reused = True
        return run if run.fingerprint == fingerprint else None

    def read(self, notebook: str) -> nbformat.NotebookNode:
        """The executed notebook."""
        return nbformat.read(self._paths(notebook)[0], as_version=4)

    def write(self, run: Run, executed: nbformat.NotebookNode) -> None:
        """Keep a finished run; the record goes last, so a killed build leaves no half of one."""
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


def describe_failure(notebook: Path, client: NotebookClient, cell: int, error: Exception) -> str:
    """Say which notebook and which cell failed, with its code and the traceback."""
    source = client.nb.cells[cell].source
    reason = (
        error.traceback if isinstance(error, CellExecutionError) else f"{type(error).__name__}: "
    )
    if not isinstance(error, CellExecutionError):
        reason += str(error)
    code = "\n".join(f"    {line}" for line in source.splitlines())
    text = f"{notebook.name}, cell {cell + 1} of {len(client.nb.cells)}:\n{code}\n{reason}"
    return ANSI_COLOR.sub("", text)


async def heartbeat(name: str, progress: dict[str, int], total: int) -> None:
    """Say every now and then where a notebook is."""
    start = time.perf_counter()
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        seconds = time.perf_counter() - start
        print(f"  ... {name}: cell {progress['cell'] + 1} of {total}, {seconds:.0f} s", flush=True)


async def execute(path: Path, fingerprint: str, timeout: int, store: Store) -> Run:
    """Run one notebook in a kernel of its own, in the notebook's folder."""
    run = Run(path.stem, fingerprint)
    notebook = nbformat.read(path, as_version=4)
    progress = {"cell": 0}
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        config=SOCKETS,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=lambda cell, cell_index: progress.update(cell=cell_index),
    )
    print(f"  running  {path.name}", flush=True)
    pulse = asyncio.create_task(heartbeat(path.name, progress, len(notebook.cells)))
    start = time.perf_counter()
    try:
        await client.async_execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        run.error = describe_failure(path, client, progress["cell"], error)
    finally:
        pulse.cancel()
    run.seconds = round(time.perf_counter() - start, 1)
    print(f"  {'FAILED' if run.error else 'finished'} {path.name} {run.seconds} s", flush=True)
    if run.error is None:
        store.write(run, client.nb)
    return run


async def execute_all(
    notebooks: dict[Path, str], jobs: int, timeout: int, store: Store
) -> list[Run]:
    """Run ``notebooks`` (path to fingerprint), at most ``jobs`` at a time; read back the rest."""
    free = asyncio.Semaphore(jobs)

    async def one(path: Path, fingerprint: str) -> Run:
        found = store.find(path.stem, fingerprint)
        if found is not None:
            return found
        store.forget(path.stem)
        async with free:
            return await execute(path, fingerprint, timeout, store)

    return await asyncio.gather(*(one(path, mark) for path, mark in notebooks.items()))
