"""Kill a training at random moments until it is through, and look at the weights it ends with.

``python -m tests.lasoftmoe.kills --kills 300`` starts a training of the tiny detector in a process
of its own, ends that with SIGKILL after a random time, starts it again, and so on. Every training
that gets to its end must have the weights, to the bit, of one that nobody disturbed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from data_prep.atomic import TEMPORARY_PREFIX
from lasoftmoe.data import FaceDataset, open_dataset
from lasoftmoe.detector import Group
from lasoftmoe.training import train
from lasoftmoe.training.checkpoint import Checkpoint
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.weights_files import load_weights, save_weights
from tests.lasoftmoe.tiny import TinyDetector, write_tiny_dataset

CONFIG = TrainingConfig(
    epochs=3,
    batch_size=4,
    learning_rate=0.01,
    shift_pixels=1,
    sampling="class_balanced",
    keep_epoch="best_on_dev",
    checkpoint_every=1,
)


class Heavy(TinyDetector):
    """Weights that take about as long to write as a step takes, so that kills hit both."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.ballast = nn.Parameter(torch.zeros(1 << 18))

    def training_loss(self, batch: dict) -> torch.Tensor:
        return super().training_loss(batch) + (self.ballast - 1).square().mean()

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        groups = super().parameter_groups()
        return {**groups, "clip": Group([*groups["clip"].parameters, self.ballast])}


def work(splits: dict[str, FaceDataset], folder: Path) -> None:
    """Train from the checkpoint in ``folder`` to the end; then leave the weights there."""
    os.environ["TQDM_DISABLE"] = "1"
    detector, checkpoint = Heavy(), Checkpoint(folder / "checkpoint.safetensors")
    train(detector, splits["train"], splits["dev"], CONFIG, seed=0, checkpoint=checkpoint)
    save_weights(detector, folder / "final.safetensors")


def run_until_killed(splits: dict[str, FaceDataset], folder: Path, seconds: float | None) -> bool:
    """One attempt in a process of its own; whether it was killed (``None``: it never is)."""
    # forked, so that an attempt takes milliseconds to start instead of the imports of torch
    process = multiprocessing.get_context("fork").Process(target=work, args=(splits, folder))
    process.start()
    process.join(seconds)
    killed = process.is_alive()
    process.kill()
    process.join()
    if not killed and process.exitcode:
        raise SystemExit(f"an attempt failed by itself, with exit code {process.exitcode}")
    return killed


def same_weights(a: Path, b: Path) -> bool:
    """Whether two files hold the same detector to the bit."""
    first, second = Heavy(), Heavy()
    load_weights(first, a)
    load_weights(second, b)
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def main(arguments: list[str] | None = None) -> int:
    """Kill as often as asked; 1 if any training ended with other weights."""
    parser = argparse.ArgumentParser(prog="python -m tests.lasoftmoe.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    # torch imports its compiler with the first optimizer: here, not in each attempt, which would
    # be killed before its first step
    torch.optim.AdamW(Heavy().parameters())
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LASOFTMOE_RUNS"] = str(folder / "runs")
        splits = open_dataset(write_tiny_dataset(folder / "data"))
        calm = folder / "calm"
        start = time.perf_counter()
        run_until_killed(splits, calm, None)
        whole = time.perf_counter() - start
        kills = writing = trainings = different = 0
        bar = tqdm(total=options.kills, unit="kill", disable=None)
        while kills < options.kills:
            attempt = folder / f"training-{trainings}"
            while run_until_killed(splits, attempt, moments.uniform(0, whole)):
                kills += 1
                bar.update()
                writing += any(attempt.glob(f"{TEMPORARY_PREFIX}*"))
            trainings += 1
            different += not same_weights(calm / "final.safetensors", attempt / "final.safetensors")
    bar.close()
    print(
        f"{kills} kills, {writing} of them while a checkpoint was being written; {trainings} "
        f"trainings came to their end, {different} of them with other weights"
    )
    return int(different > 0)


if __name__ == "__main__":
    raise SystemExit(main())
