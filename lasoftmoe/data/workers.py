"""Worker processes of a loader: what they need from the machine, and how long to wait for one."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 600
"""How long to wait for a batch; a worker that was stopped or killed would never bring it."""


def worker_options(num_workers: int) -> dict[str, Any]:
    """Return the options of a ``DataLoader`` with so many workers, once they can start.

    Raises:
        OSError: if workers could not send batches, because the temporary folder takes no sockets.
            They would be waited for without end.
    """
    if num_workers == 0:
        return {"num_workers": 0}
    _check_sockets()
    return {"num_workers": num_workers, "timeout": PATIENCE_SECONDS}


def _check_sockets() -> None:
    """Bind a socket where torch's workers will; a path may have only about 100 bytes."""
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
            f"worker processes cannot talk through the temporary folder {tempfile.gettempdir()} "
            f"({error}): set TMPDIR to a writable folder with a short path, such as /tmp, or "
            "num_workers to 0"
        ) from error
