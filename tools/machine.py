"""What the build's helper processes need from this machine, looked at before any of them starts.

Each notebook runs in a kernel of its own, which may start loader workers. All of them talk through
sockets in the temporary folder, and workers pass tensors through shared memory.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Bytes in the path of a Unix socket, without its closing zero.
SOCKET_PATH = 103 if sys.platform == "darwin" else 107
# What is appended to the temporary folder by `multiprocessing`, whose names are the longest.
SOCKET_NAME = len("/pymp-12345678/listener-12345678")
TEMPORARY_MB = 100  # for each notebook at a time
SHARED_MEMORY = Path("/dev/shm")
SHARED_MB = (
    64  # for each notebook at a time: two batches of 224 x 224 pixels for each of its workers
)


def problems(jobs: int) -> list[str]:
    """Say what ``jobs`` notebooks at a time would lack here, and what to do; empty if nothing."""
    folder = tempfile.gettempdir()
    checks = (_sockets(folder), _space(folder, jobs), _shared_memory(jobs), _semaphores())
    return [problem for problem in checks if problem]


def _sockets(folder: str) -> str | None:
    length, longest = len(os.fsencode(folder)), SOCKET_PATH - SOCKET_NAME
    if os.name != "posix" or length <= longest:
        return None
    return (
        f"temporary folder {folder}: its path has {length} bytes, and at most {longest} leave room "
        "for the sockets through which notebooks and their workers talk. Name a shorter one: "
        "TMPDIR=/tmp make book"
    )


def _space(folder: str, jobs: int) -> str | None:
    free, needed = shutil.disk_usage(folder).free // 10**6, TEMPORARY_MB * jobs
    if free >= needed:
        return None
    return (
        f"temporary folder {folder}: {free:,} MB are free, and {jobs} notebooks at a time need "
        f"{needed:,} MB. Free some space, or name another folder: TMPDIR=/path make book"
    )


def _shared_memory(jobs: int) -> str | None:
    if not SHARED_MEMORY.is_dir():
        return None  # macOS has no such folder, and no such limit
    free, needed = shutil.disk_usage(SHARED_MEMORY).free // 10**6, SHARED_MB * jobs
    if free >= needed:
        return None
    return (
        f"shared memory {SHARED_MEMORY}: {free:,} MB are free, and {jobs} notebooks at a time need "
        f"{needed:,} MB for their workers. Run fewer at a time (make book JOBS=1), or give the "
        "container more (docker run --shm-size=1g)"
    )


def _semaphores() -> str | None:
    try:
        multiprocessing.Lock()
    except OSError as error:
        return (
            f"locks between processes cannot be created ({error}). On Linux they need a writable "
            f"{SHARED_MEMORY}: mount it, or ask the administrator of this machine"
        )
    return None
