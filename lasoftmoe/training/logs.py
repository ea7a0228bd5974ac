"""Logs of a running training: a CSV file and, optionally, TensorBoard event files.

Each is a callback for ``train(on_step=...)``. A training that resumes from a checkpoint repeats
the steps after it, so their earlier entries are dropped.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from data_prep.reading import read_text

Row = dict[str, Any]
FLUSH_SECONDS = 1.0


class CsvLog:
    """A CSV file with a row per step, at most a second behind.

    The first row determines the columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._writer: csv.DictWriter[str] | None = None
        self._flushed = 0.0

    def __call__(self, row: Row) -> None:
        """Write one step's row."""
        if self._writer is None:
            self._open(row)
        self._writer.writerow(row)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()

    def _open(self, first: Row) -> None:
        kept = _rows_before(first["step"], self.path, set(first))
        self.path.unlink(missing_ok=True)  # what is there may be a pipe, or a link elsewhere
        self._file = file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(file, list(first))
        self._writer.writeheader()
        self._writer.writerows(kept)

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


def _rows_before(step: int, path: Path, columns: set[str]) -> list[Row]:
    """Whole rows of the steps before ``step``; none of a damaged file.

    They are for those who watch: the log of a finished run comes from the training's own state.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path)))) if step else []
        # a killed process may have left half a row
        whole = [row for row in rows if set(row) == columns and None not in row.values()]
        return [row for row in whole if int(row["step"]) < step]
    except (ValueError, csv.Error):
        return []


class TensorBoardLog:
    """Event files for ``tensorboard --logdir``, with one curve per column of the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = None

    def __call__(self, row: Row) -> None:
        """Write one step's row."""
        if self._writer is None:
            # Imported only here, because TensorBoard takes seconds to import.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=row["step"])
        for name, value in row.items():
            if name not in ("step", "epoch") and value is not None:
                self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Finish the files."""
        if self._writer is not None:
            self._writer.close()


class Logs:
    """All logs of a run as one callback and context manager, which closes its files."""

    def __init__(
        self,
        folder: Path,
        tensorboard: bool,
        on_step: Callable[[Row], None] | None = None,
    ) -> None:
        """Write ``folder/log.csv`` and, with ``tensorboard``, ``folder/tensorboard/``."""
        self._files: list[CsvLog | TensorBoardLog] = [CsvLog(folder / "log.csv")]
        if tensorboard:
            self._files.append(TensorBoardLog(folder / "tensorboard"))
        self._callbacks = [*self._files, *([on_step] if on_step else [])]

    def __call__(self, row: Row) -> None:
        """Pass one step's row to every log."""
        for callback in self._callbacks:
            callback(row)

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)
