"""Options for a loader's worker processes."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 600
"""Longest wait for a batch; a stopped or killed worker would never send it."""


def worker_options(num_workers: int) -> dict[str, Any]:
    """Return the options of a ``DataLoader`` with ``num_workers`` workers.

    Raises:
        OSError: If workers could not send batches, because the temporary folder allows no sockets.
            Otherwise the loader would wait forever.
    """
    if num_workers == 0:
        return {"num_workers": 0}
    _check_sockets()
    return {"num_workers": num_workers, "timeout": PATIENCE_SECONDS}


def _check_sockets() -> None:
    """Bind a socket as torch's workers do; its path may have only about 100 bytes."""
    if not hasattr(socket, "AF_UNIX"):
        return
    try:
        with (
            tempfile.TemporaryDirectory(prefix="pymp-") as folder,
            socket.socket(socket.AF_UNIX) as probe,
        ):
            probe.bind(str(Path(folder, "listener-12345678")))
    except OSError as error:
        raise OSError(
            f"worker processes cannot use sockets in the temporary folder {tempfile.gettempdir()} "
            f"({error}): set TMPDIR to a writable folder with a short path, such as /tmp, or "
            "num_workers to 0"
        ) from error
