"""The untrusted side: imports torch once, forks one limited child per question, knows no answer.

Started by `lasoftmoe.exercises.grading.sandbox`. Reads one job per line on standard input and
writes one result per line on standard output, both as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import linecache
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any, NoReturn

# Imported once, before any fork: what the answers of all chapters need.
import numpy  # noqa: F401
import pandas
import PIL.Image  # noqa: F401
import torch
import torch.nn.functional

import lasoftmoe.metrics
import lasoftmoe.moe  # noqa: F401
from lasoftmoe.exercises import trials
from lasoftmoe.exercises.grading import limits
from lasoftmoe.exercises.values import decode, encode

EXERCISES = Path(trials.__file__).resolve().parent
HARMLESS = {"__init__", "trials", "values"}
ANSWER = "<your answer>"
KEPT_OUTPUT = 20_000
MOST_OUTPUT = 1_000_000
MOST_RESULT = 2_000_000
MEMORY = 1 << 30
PROCESSES = 64  # threads included
PR_SET_CHILD_SUBREAPER = 36


class Nothing(types.ModuleType):
    """A module in which every name is a function that does nothing.

    It stands for the checks of the book: a student's cells may import and call them.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def hide_exercises() -> None:
    """Make every module that holds right answers impossible to import."""
    package = sys.modules["lasoftmoe.exercises"]
    for path in EXERCISES.glob("*.py"):
        if path.stem not in HARMLESS:
            name = f"lasoftmoe.exercises.{path.stem}"
            sys.modules[name] = Nothing(name)
            setattr(package, path.stem, sys.modules[name])


def run_job(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run a student's function in this process; return outcomes, or why there are none."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(job["setup"], scope)
    for cell in job["cells"]:
        with contextlib.suppress(Exception):
            exec(compile(cell, "<an earlier cell>", "exec"), scope)
    code = job["answer"]
    linecache.cache[ANSWER] = (len(code), None, code.splitlines(keepends=True), ANSWER)
    try:
        exec(compile(code, ANSWER, "exec"), scope)
    except NotImplementedError:
        return {"failed": "blank"}
    except SyntaxError as error:
        return {"failed": f"SyntaxError: {error.msg} (in line {error.lineno})"}
    except Exception as error:
        return {"failed": f"{type(error).__name__}, before the function was called"}
    function = scope.get(job["function"])
    if not callable(function):
        return {"failed": f"NameError: the cell does not define `{job['function']}`"}
    cases = [tuple(decode(value) for value in case) for case in job["cases"]]
    outcomes = [trials.attempt(job["trial"], function, case) for case in cases]
    return {"outcomes": [{**vars(one), "value": encode(one.value)} for one in outcomes]}


def child(job: dict[str, Any], result: int, printed: int, scratch: Path) -> NoReturn:
    """Limit this process, run the job and write its result; never returns."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((null, 0), (printed, 1), (printed, 2)):
        os.dup2(number, target)
    os.dup2(result, 3)
    os.closerange(4, 1024)
    os.chdir(scratch)
    tempfile.tempdir = str(scratch)
    in_use = limits.memory_in_use()
    found = {"network": limits.leave_network(), "user": limits.become_nobody(scratch)}
    # A user of its own, or a namespace of its own, is a count of its own.
    processes = PROCESSES if found["user"] or found["network"] else None
    limits.limit_resources(job["seconds"], MEMORY, in_use, processes)
    found["files"] = limits.confine(scratch, EXERCISES)
    if not found["files"]:
        limits.keep_rights(0)
    try:
        answer = run_job(job, scratch)
    except MemoryError:
        answer = {"failed": "MemoryError: it took more memory than allowed"}
    except BaseException as error:
        answer = {"failed": f"{type(error).__name__}, which ended the program"}
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    text = json.dumps({**answer, "limits": found}).encode()
    while text:
        text = text[os.write(3, text) :]
    os._exit(0)


def watch(pid: int, result: int, printed: int, seconds: float) -> tuple[bytes, bytes, str]:
    """Read a child's result and output until it ends or breaks a limit; return both and why."""
    parts, shown, size, end = [], b"", 0, time.monotonic() + seconds
    pipes = {result, printed}
    while result in pipes:
        left = end - time.monotonic()
        if left <= 0:
            return b"", shown, "time limit"
        for pipe in select.select(list(pipes), [], [], left)[0]:
            data = os.read(pipe, 1 << 16)
            if not data:
                pipes.discard(pipe)
            elif pipe == result:
                parts.append(data)
            else:
                size += len(data)
                shown = (shown + data)[:KEPT_OUTPUT]
        if size > MOST_OUTPUT or sum(map(len, parts)) > MOST_RESULT:
            return b"", shown, "output limit"
    return b"".join(parts), shown, ""


def end_all(pid: int) -> int:
    """Kill a child, its group, and whatever it left behind; return the child's exit status."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(20):
        left = children.read_text().split() if children.exists() else []
        if not left:
            break
        for orphan in map(int, left):
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
    return status


def one_question(job: dict[str, Any], base: Path) -> dict[str, Any]:
    """Fork a child for a job and return its result, or the limit that it broke."""
    scratch = Path(tempfile.mkdtemp(dir=base))
    result, printed = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(job, result[1], printed[1], scratch)
        finally:
            os._exit(1)
    os.close(result[1])
    os.close(printed[1])
    try:
        data, shown, broken = watch(pid, result[0], printed[0], job["seconds"])
        status = end_all(pid)
    finally:
        os.close(result[0])
        os.close(printed[0])
        shutil.rmtree(scratch, ignore_errors=True)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        broken = "time limit"
    answer: dict[str, Any] = {"failed": broken or "process ended"}
    if data and not broken:
        with contextlib.suppress(ValueError):
            answer = json.loads(data)
    return {**answer, "printed": shown.decode(errors="replace")}


def warm_up() -> None:
    """Load what torch and pandas load at their first use, once for all children."""
    torch.ones(2, 2).softmax(0)
    table = pandas.DataFrame({"subject": ["a", "b"], "score": [0.0, 1.0]})
    pandas.concat([group for _, group in table.groupby("subject")])


def main() -> None:
    """Serve jobs until standard input closes."""
    torch.set_num_threads(1)
    warm_up()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hide_exercises()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="answers-") as folder:
        base = Path(folder)
        base.chmod(0o711)
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(one_question(json.loads(line), base)), file=answers, flush=True)


if __name__ == "__main__":
    main()
