"""Files that are either whole or absent, however the program ends: the one door for writing.

Whatever a command leaves behind is written here, first to a new file and then moved to its name.
Only a new name or a regular file is ever written: never a device, and never through a link.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

TEMPORARY_PREFIX = ".unfinished-"
_TEMPORARY_NAME = re.compile(re.escape(TEMPORARY_PREFIX) + r"[0-9a-f]{16}(\.[^.]+)?")
_announce: ContextVar[Callable[[Path], None] | None] = ContextVar("announce", default=None)


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then move it into place.

    Its permissions are those of any new file (0666 without the umask).

    Raises:
        FileExistsError: ``path`` is a link, a device, a folder or anything else but a file.
    """
    refuse_other_than_file(path)
    announce = _announce.get()
    if announce is not None:
        announce(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last because image writers read the format from it.
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{path.suffix}"
    temporary.touch(exist_ok=False)
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_other_than_file(path: Path) -> None:
    """Check that ``path`` is a new name or a regular file; call it before long work.

    Raises:
        FileExistsError: it is not; the message says what is there.
    """
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        kind = f"a link to {path.readlink()}"
    else:
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe, or a socket"
    raise FileExistsError(
        f"{path} is {kind}; expected a new name or a regular file. Nothing was written: choose "
        "another name"
    )


@contextmanager
def announced(announce: Callable[[Path], None]) -> Iterator[None]:
    """Within the block, call ``announce(path)`` before each file is written."""
    token = _announce.set(announce)
    try:
        yield
    finally:
        _announce.reset(token)


def announce_to(announce: Callable[[Path], None] | None) -> None:
    """Call ``announce(path)`` before each file that is written outside of ``announced`` blocks."""
    _announce.set(announce)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed calls of ``write_atomically`` left in ``folder`` itself."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if _TEMPORARY_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            Path(entry.path).unlink(missing_ok=True)
