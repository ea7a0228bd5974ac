"""Worker processes that load batches: what they need, and what is said of lost ones."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 600
"""Longest wait for a batch; a stopped worker would never send it."""
BATCHES_EACH = 2
"""Batches that a worker loads ahead: torch's default."""
SHARED_MEMORY = Path("/dev/shm")
REMEDY = "set training.num_workers to 0, which needs no worker processes and changes no result"
_LOST = re.compile(r"DataLoader (worker \(pid|timed out)|Pin memory thread exited")


class LoaderError(RuntimeError):
    """Worker processes cannot work on this machine, or one of them was lost."""


def worker_options(num_workers: int, batch_bytes: int = 0) -> dict[str, Any]:
    """Return the options of a ``DataLoader`` with ``num_workers`` workers.

    Raises:
        LoaderError: If workers could not send batches of ``batch_bytes``. Without this check, the
            loader would wait for them.
    """
    if problems := worker_problems(num_workers, batch_bytes):
        raise LoaderError(f"worker processes lack {' '.join(problems)}")
    return {"num_workers": num_workers, "timeout": PATIENCE_SECONDS if num_workers else 0}


def worker_problems(num_workers: int, batch_bytes: int) -> list[str]:
    """Return what worker processes lack on this machine and how to get it.

    Args:
        num_workers: Number of processes; 0 needs nothing.
        batch_bytes: Size of one batch of images and maps.
    """
    if not num_workers:
        return []
    return [*_socket_problems(), *_memory_problems(num_workers, batch_bytes)]


def _socket_problems() -> list[str]:
    """Bind a socket as torch's workers do; its path may have only about 100 bytes."""
    if not hasattr(socket, "AF_UNIX"):
        return []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="pymp-") as folder,
            socket.socket(socket.AF_UNIX) as probe,
        ):
            probe.bind(str(Path(folder, "listener-12345678")))
    except OSError as error:
        return [
            f"sockets in the folder of temporary files ({error}); set TMPDIR to a writable folder "
            f"with a short path, such as /tmp, or {REMEDY}."
        ]
    return []


def _memory_problems(num_workers: int, batch_bytes: int) -> list[str]:
    try:
        status = os.statvfs(SHARED_MEMORY)
    except OSError:  # not Linux
        return []
    need, free = num_workers * BATCHES_EACH * batch_bytes, status.f_bavail * status.f_frsize
    if need <= free:
        return []
    return [
        f"shared memory: {num_workers} workers need {need / 2**20:.0f} MiB in {SHARED_MEMORY}, "
        f"which has {free / 2**20:.0f} MiB free; enlarge it (docker run --shm-size), or {REMEDY}."
    ]


@contextmanager
def lost_workers_explained() -> Generator[None]:
    """Replace torch's errors about dead and hanging workers.

    Torch may raise them anywhere in the main process, not only where a batch is awaited.

    Raises:
        LoaderError: A worker died, or gave no batch within ``PATIENCE_SECONDS``.
    """
    try:
        yield
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        raise LoaderError(
            f"a worker process that loads batches died or hangs ({error}). Usual causes are too "
            f"little memory or shared memory ({SHARED_MEMORY}), a full TMPDIR, or a disk that does "
            f"not answer; {REMEDY}. The last checkpoint is as it was"
        ) from error
