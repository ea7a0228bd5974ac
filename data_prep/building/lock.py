"""A lock on a folder: two commands must not build in the same place at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from data_prep.atomic import announce_to
from data_prep.errors import DatasetError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing keeps two commands apart
    fcntl = None

_held: dict[str, int] = {}
_taken: ContextVar[list[str] | None] = ContextVar("taken", default=None)


@contextmanager
def locks_released() -> Iterator[None]:
    """Release the locks that the block took, also when it raises; decorates functions that build.

    A notebook's process outlives a failed build and must not keep others out of the folder.
    """
    token = _taken.set([])
    try:
        yield
    finally:
        announce_to(None)
        for path in _taken.get() or []:
            if path in _held:
                os.close(_held.pop(path))
        _taken.reset(token)


def lock_folder(folder: Path, name: str) -> None:
    """Take the lock ``folder / name``, which this process may hold already.

    It ends with the process, however that ends, or with the block of ``locks_released`` around the
    call. File systems that know no locks are not locked.

    Raises:
        DatasetError: another process holds it.
    """
    path = Path(os.path.realpath(folder)) / name
    if str(path) in _held or fcntl is None:
        return
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DatasetError(
                f"another command is building in {folder}; wait until it has ended, or choose "
                "another folder"
            ) from None
        except OSError:
            os.close(descriptor)
            return
        try:  # the holder before may have removed the file that was just locked
            current = os.path.samestat(path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            current = False
        if current:
            _held[str(path)] = descriptor
            if (taken := _taken.get()) is not None:
                taken.append(str(path))
            return
        os.close(descriptor)


def unlock_folder(folder: Path, name: str) -> None:
    """Remove the lock, if this process holds it."""
    path = Path(os.path.realpath(folder)) / name
    descriptor = _held.pop(str(path), None)
    if descriptor is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
