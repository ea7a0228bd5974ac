"""Batches of an epoch, as a function of the seed and the epoch's number alone.

So a training can resume at any batch, and the number of worker processes changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from torch import Tensor
from torch.utils.data import Sampler

Sampling = Literal["uniform", "class_balanced"]


def epoch_order(is_attack: Tensor, seed: int, epoch: int, sampling: Sampling) -> np.ndarray:
    """Return the order of an epoch's images, as row numbers.

    ``"uniform"`` takes every image once. ``"class_balanced"`` alternates between live images and
    attacks. Each class fills half of the epoch: the rarer one is repeated and the other one is
    cut, differently in each epoch.

    Args:
        is_attack: bool, (images,).
        seed: Seed of the training.
        epoch: Number of the epoch, from 0.
        sampling: ``"uniform"`` or ``"class_balanced"``.

    Raises:
        ValueError: If ``"class_balanced"`` gets images of one class only.
    """
    generator = np.random.default_rng([seed, epoch])
    if sampling == "uniform":
        return generator.permutation(len(is_attack))
    attack = is_attack.numpy()
    classes = [np.flatnonzero(~attack), np.flatnonzero(attack)]
    if not all(len(rows) for rows in classes):
        raise ValueError(
            f"class_balanced sampling needs live images and attacks; of {len(attack)} training "
            f"images {int(attack.sum())} are attacks"
        )
    half = len(attack) // 2
    return np.stack([_repeated(rows, half, generator) for rows in classes], axis=1).ravel()


def _repeated(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``count`` of ``rows``: all in random order, repeated as needed."""
    rounds = -(-count // len(rows))
    return np.concatenate([generator.permutation(rows) for _ in range(rounds)])[:count]


class EpochBatches(Sampler[list[int]]):
    """Batches of one epoch as lists of row numbers, for a ``DataLoader``'s ``batch_sampler``.

    A step of several processes sees the same images as one process with a batch as large as all
    of theirs together. Images that do not fill the last batch are left out, because the
    contrastive losses depend on the batch size.

    Set ``epoch``, and ``first`` (the batch to begin with), before iterating.
    """

    def __init__(
        self,
        is_attack: Tensor,
        batch_size: int,
        seed: int,
        sampling: Sampling = "uniform",
        processes: int = 1,
        process: int = 0,
    ) -> None:
        """Set the batches of process number ``process``, from 0; ``batch_size`` is per process."""
        self.is_attack, self.batch_size, self.seed = is_attack, batch_size, seed
        self.sampling, self.processes, self.process = sampling, processes, process
        self.epoch = self.first = 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        images = len(self.is_attack)
        if self.sampling == "class_balanced":
            images -= images % 2
        return images // (self.batch_size * self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        order = epoch_order(self.is_attack, self.seed, self.epoch, self.sampling)
        for batch in range(self.first, len(self)):
            start = (batch * self.processes + self.process) * self.batch_size
            yield order[start : start + self.batch_size].tolist()
