"""Times that can be compared: taken in turns, next to a matrix product that sets the floor."""

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
    """Seconds of each step in each round, and of the matrix product beside it.

    Attributes:
        seconds: by step, one entry a round.
        product_seconds: one entry a round.
        product_flops: what that product computes.
    """

    seconds: dict[str, list[float]]
    product_seconds: list[float]
    product_flops: float

    def median(self, name: str) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds[name])

    def over_floor(self, name: str, flops: float) -> float:
        """How many times longer than ``flops`` take at the rate of the matrix product."""
        ratios = [
            seconds / (flops / self.product_flops * product)
            for seconds, product in zip(self.seconds[name], self.product_seconds, strict=True)
        ]
        return statistics.median(ratios)

    def ratio(self, name: str, other: str) -> float:
        """Time of one step over that of another, round by round."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    @property
    def rate(self) -> float:
        """FLOP a second of the matrix product."""
        return self.product_flops / statistics.median(self.product_seconds)


@dataclass(frozen=True)
class Method:
    """How steps are timed.

    Attributes:
        rounds: how often; two more are run first and not counted.
        device: where the steps run; a GPU is waited for.
        dtype: of the matrix product, and of the layers (by autocast).
        clock: ``"wall"``, or ``"process"``: seconds that this process had a core, which a
            crowded machine disturbs less, and which mean something with one thread only.
        product_size: rows and columns of the matrix product.
        repeats: runs of a step between two looks at the clock; a GPU needs several.
    """

    rounds: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    clock: str = "wall"
    product_size: int = 2048
    repeats: int = 1


def in_turns(steps: Mapping[str, Step], method: Method) -> Rounds:
    """Run every step, by name, and a large square product once a round.

    What slows the machine down for a while slows all of them down, and drops out of ratios.
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
    """Ask glibc to keep the memory of freed tensors instead of handing it back to the system.

    Otherwise every large tensor is fetched anew page by page, which costs all layers up to a
    tenth and varies from run to run. Does nothing, and returns False, with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    trim_threshold, mmap_max = -1, -4
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
