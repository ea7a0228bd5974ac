"""The trusted side of the worker: sends questions to it and outlives its end."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import lasoftmoe
from lasoftmoe.exercises.exercise import Case, Exercise
from lasoftmoe.exercises.values import encode

SECONDS = 10
START_SECONDS = 120
GRACE_SECONDS = 15


class Sandbox:
    """A worker process that runs students' functions; a context manager.

    Attributes:
        seconds: time limit of a question, CPU and wall.
        limits: what the system let us limit, after the first question: files, network, user.
    """

    def __init__(self, seconds: int = SECONDS) -> None:
        self.seconds = seconds
        self.limits: dict[str, bool] = {}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def run(
        self,
        exercise: Exercise,
        cases: Sequence[Case],
        answer: str,
        setup: str = "",
        cells: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Run a student's cell on some cases.

        Args:
            exercise: the task. Only the names of its function and of its trial are sent.
            cases: the arguments.
            answer: source of the student's cell.
            setup: import lines of the assignment.
            cells: other cells of the student that the answer needs.

        Returns:
            ``outcomes``, a list of states, values and errors, or ``failed``, why there are none;
            and ``printed``, the first characters that the code printed.
        """
        job = {
            "setup": setup,
            "cells": list(cells),
            "answer": answer,
            "function": exercise.function,
            "trial": exercise.trial,
            "cases": [[encode(value) for value in case] for case in cases],
            "seconds": self.seconds,
        }
        result = self._ask(json.dumps(job))
        self.limits.update(result.pop("limits", {}))
        return result

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._process or self._start()
        try:
            print(line, file=process.stdin, flush=True)
            answer = _read_line(process, self.seconds + GRACE_SECONDS)
            result = json.loads(answer)
        except (OSError, ValueError):
            self.close()  # the worker itself is gone: the next question gets a new one
            return {"failed": "process ended", "printed": ""}
        return result if isinstance(result, dict) else {"failed": "process ended", "printed": ""}

    def _start(self) -> subprocess.Popen[str]:
        root = str(Path(lasoftmoe.__file__).resolve().parent.parent)
        # Nothing of the teacher's environment: it may hold names of files, or passwords.
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": root,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lasoftmoe.exercises.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd="/",
        )
        if _read_line(self._process, START_SECONDS).strip() != "ready":
            self.close()
            raise RuntimeError("the worker did not start: see its message above")
        return self._process


def _read_line(process: subprocess.Popen[str], seconds: float) -> str:
    """One line of a process's output.

    Raises:
        ValueError: It wrote none in time.
    """
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise ValueError("no answer in time")
    return process.stdout.readline()
