"""Comparable times, taken in turns, with a matrix product as a floor."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from tqdm import tqdm

Step = Callable[[], object]
CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


@dataclass(frozen=True)
class Rounds:
    """Seconds of each step and of the matrix product in each round.

    Attributes:
        seconds: One entry per round, by step.
        product_seconds: One entry per round.
        product_flops: FLOPs of the product.
    """

    seconds: dict[str, list[float]]
    product_seconds: list[float]
    product_flops: float

    def median(self, name: str) -> float:
        """Return a step's median seconds."""
        return statistics.median(self.seconds[name])

    def over_floor(self, name: str, flops: float) -> float:
        """Return a step's time divided by that of ``flops`` at the matrix product's rate."""
        ratios = [
            seconds / (flops / self.product_flops * product)
            for seconds, product in zip(self.seconds[name], self.product_seconds, strict=True)
        ]
        return statistics.median(ratios)

    def ratio(self, name: str, other: str) -> float:
        """Return the median ratio of two steps' times, round by round."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    @property
    def rate(self) -> float:
        """FLOPs per second of the matrix product."""
        return self.product_flops / statistics.median(self.product_seconds)


@dataclass(frozen=True)
class Method:
    """Settings for timing steps.

    Attributes:
        rounds: Number of rounds, after two that do not count.
        device: Device of the steps; a GPU is synchronized.
        dtype: Type of the matrix product and, by autocast, of the layers.
        clock: ``"wall"`` or ``"process"``. CPU seconds of the process suffer less from other work,
            but are meaningful only with one thread.
        product_size: Rows and columns of the matrix product.
        repeats: Runs of a step per measurement; a GPU needs several.
    """

    rounds: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    clock: str = "wall"
    product_size: int = 2048
    repeats: int = 1


def in_turns(steps: Mapping[str, Step], method: Method) -> Rounds:
    """Run every step, by name, and a large square product once per round.

    A temporary slowdown of the machine affects all of them and cancels in ratios.
    """
    size = method.product_size
    a = torch.randn(size, size, device=method.device, dtype=method.dtype)
    b, out = torch.randn_like(a), torch.empty_like(a)
    every = {"": lambda: torch.mm(a, b, out=out), **steps}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for i in tqdm(range(method.rounds + 2), desc="rounds", leave=False):
        for name, step in every.items():
            taken = _seconds(step, method)
            if i >= 2:
                seconds[name].append(taken)
    return Rounds(seconds, seconds.pop(""), 2.0 * size**3)


def _seconds(step: Step, method: Method) -> float:
    wait = torch.cuda.synchronize if method.device.type == "cuda" else lambda: None
    clock = CLOCKS[method.clock]
    wait()
    start = clock()
    for _ in range(method.repeats):
        step()
    wait()
    return (clock() - start) / method.repeats


def keep_freed_memory() -> bool:
    """Ask glibc to keep the memory of freed tensors instead of returning it to the system.

    Otherwise every large tensor needs new pages, which costs all layers up to 10% of their time
    and varies between runs. With another C library, does nothing and returns False.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    trim_threshold, mmap_max = -1, -4
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
