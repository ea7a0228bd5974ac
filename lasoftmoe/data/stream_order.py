"""Order in which shards are read: random, but only a few groups of rows are open at a time.

A group is what a shard gives in one read (100 rows). An epoch permutes all groups and cuts the
permuted rows into ``lanes`` of equal length. Each lane shuffles ``window`` groups after the other,
and a batch takes equally many images from every lane. So a batch mixes images from
``lanes * window`` random places, and a process opens no group outside its own lanes, except
those that two lanes share.

As in ``lasoftmoe.data.sampling``, the order depends on the seed and the epoch's number alone. With
the same number of lanes, any number of processes that divides it sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import Sampler


class StreamOrder(Sampler[list[int]]):
    """Batches of one epoch as lists of row numbers, for a ``DataLoader``'s ``batch_sampler``.

    Set ``epoch``, and ``first`` (the batch to begin with), before iterating. Images that do not
    fill the last batch are left out.
    """

    def __init__(
        self,
        group_rows: np.ndarray,
        batch_size: int,
        seed: int,
        processes: int = 1,
        process: int = 0,
        lanes: int = 8,
        window: int = 4,
    ) -> None:
        """Set the batches of process number ``process``, from 0; ``batch_size`` is per process.

        Args:
            group_rows: Number of rows of every group, (groups,), in the order of the row numbers.
            lanes, window: See the module; a larger product shuffles better and needs more memory.

        Raises:
            ValueError: If lanes cannot be shared equally by processes, or a batch by lanes.
        """
        own = lanes // processes
        if lanes < 1 or window < 1 or lanes % processes or batch_size % max(own, 1):
            raise ValueError(
                f"{lanes} lanes, windows of {window} groups, {processes} processes with batches "
                f"of {batch_size}; expected lanes that are a multiple of the processes, and "
                "batches that are a multiple of each process's lanes: choose lanes or batch_size"
            )
        self.group_rows, self.batch_size, self.seed = group_rows, batch_size, seed
        self.processes, self.process, self.lanes, self.window = processes, process, lanes, window
        self.epoch = self.first = 0
        self._starts = np.cumsum(group_rows) - group_rows
        self._lane_rows = int(group_rows.sum()) // lanes
        self._each = batch_size // own

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self._lane_rows // self._each

    def __iter__(self) -> Iterator[list[int]]:
        permuted = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.group_rows))
        own = self.lanes // self.processes
        numbers = range(self.process * own, (self.process + 1) * own)
        lanes = [self._lane(number, permuted, self.first * self._each) for number in numbers]
        for _ in range(self.first, len(self)):
            yield [row for lane in lanes for row in islice(lane, self._each)]

    def _lane(self, lane: int, permuted: np.ndarray, skip: int) -> Iterator[int]:
        """Rows of one lane, without the first ``skip``."""
        begin, end = lane * self._lane_rows, (lane + 1) * self._lane_rows
        ends = np.cumsum(self.group_rows[permuted])
        first = int(np.searchsorted(ends, begin, "right"))
        last = int(np.searchsorted(ends, end))
        for number, at in enumerate(range(first, last + 1, self.window)):
            rows = self._window(permuted, ends, range(at, min(at + self.window, last + 1)))
            before = ends[at] - self.group_rows[permuted[at]]
            rows = rows[max(0, begin - before) : end - before]
            generator = np.random.default_rng([self.seed, self.epoch, lane, number])
            yield from generator.permutation(rows)[skip:].tolist()
            skip = max(0, skip - len(rows))

    def _window(self, permuted: np.ndarray, ends: np.ndarray, groups: range) -> np.ndarray:
        """Row numbers of some groups, in the permuted order."""
        chosen = permuted[groups.start : groups.stop]
        parts = [np.arange(self.group_rows[g]) + self._starts[g] for g in chosen]
        return np.concatenate(parts)
