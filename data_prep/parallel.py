"""Independent units of work on many processes, with one thread each.

Rendering is bound by memory and by small kernels: two threads on busy cores run many times slower
than one thread a process. Which process does a unit must never change its result, so a unit draws
its random numbers from ``derive_seed`` and from nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import joblib
import torch
from tqdm import tqdm


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2^62) that depends on all parts, the same on every machine."""
    text = "/".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 2


def run_units(
    function: Callable[[Any], Any],
    units: Iterable[Any],
    workers: int | None = None,
    description: str = "",
) -> list[Any]:
    """Call ``function`` on every unit and return the results in the order of the units.

    ``workers=None`` takes every CPU core that this process may use. Shows a progress bar.

    Raises:
        ValueError: ``workers`` is less than 1.
    """
    units = list(units)
    workers = joblib.cpu_count() if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers is {workers}; expected 1 or more")
    jobs = (joblib.delayed(_with_one_thread)(function, unit) for unit in units)
    pool = joblib.Parallel(n_jobs=max(1, min(workers, len(units))), return_as="generator")
    return list(tqdm(pool(jobs), total=len(units), desc=description, unit="unit"))


def _with_one_thread(function: Callable[[Any], Any], unit: Any) -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(unit)
    finally:
        # With one worker this is the caller's own process.
        torch.set_num_threads(threads)
