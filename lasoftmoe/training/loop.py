"""The training loop: plain torch on Accelerate, the same on a laptop and on many GPUs.

All randomness of a step depends only on the seed and the step's number. So an interrupted training
that resumes from its checkpoint ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lasoftmoe import metrics
from lasoftmoe.data import Faces, epoch_loader
from lasoftmoe.data.moves import move_batch
from lasoftmoe.data.sampling import EpochBatches
from lasoftmoe.data.stream_order import StreamOrder
from lasoftmoe.data.workers import lost_workers_explained
from lasoftmoe.detector import Batch, Detector
from lasoftmoe.evaluation import score
from lasoftmoe.progress import progress_bar
from lasoftmoe.training import processes
from lasoftmoe.training.checkpoint import Checkpoint, TrainingState
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.training.optimizer import make_optimizer, set_learning_rates
from lasoftmoe.weights_files import copy_weights

LOG_COLUMNS = ["step", "epoch", "loss", "grad_norm", "dev_auc"]
"""Columns of every log, in addition to ``lr_<group>`` and, for named terms, ``loss_<term>``."""

Row = dict[str, Any]


class TrainingError(RuntimeError):
    """Training cannot start or cannot continue."""


def train(
    detector: Detector,
    train_set: Faces,
    dev_set: Faces | None,
    config: TrainingConfig,
    seed: int,
    on_step: Callable[[Row], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train a detector in place.

    Under ``accelerate launch``, every process calls this with the same arguments. N processes with
    batches of B then give the same result as one process with batches of N × B, up to rounding,
    except for layers and augmentations with randomness. All processes must be able to read
    ``checkpoint``.

    Args:
        dev_set: Used only if ``config`` asks for the AUC on dev.
        on_step: Called after every step with that step's row of the log.
        checkpoint: Where to save, and to resume from if the file exists.

    Returns:
        The log, one row per step: step, epoch, loss, loss_<term> for a loss of named terms,
        lr_<group>, grad_norm (before clipping), dev_auc (at an epoch's last step, else missing).

    Raises:
        TrainingError: If there are fewer images than one batch, or a loss or gradient is not
            finite.
        DatasetError: If the dataset lacks a map that the detector needs.
        LoaderError: If worker processes cannot work here, or one died or hangs.
        CheckpointError: If a checkpoint cannot be written, is damaged, or belongs to another
            training.
    """
    if config.epochs == 0:
        return pd.DataFrame(columns=LOG_COLUMNS)
    accelerator = processes.start()
    _check(train_set, dev_set, config, accelerator.num_processes)
    train_set = train_set.delivering(detector.needs)
    with torch.random.fork_rng():  # leave the caller's random numbers as they were
        loop = _Loop(detector, accelerator, config, seed, total=_steps(train_set, config))
        state = loop.run(train_set, dev_set, on_step, checkpoint)
    if state.best_weights is not None:
        detector.load_state_dict(state.best_weights)
    detector.eval()
    return pd.DataFrame(state.log).astype({"dev_auc": float})


class _Loop:
    """A training of one detector: its steps, epochs, and resumption."""

    def __init__(
        self,
        detector: Detector,
        accelerator: Accelerator,
        config: TrainingConfig,
        seed: int,
        total: int,
    ) -> None:
        self.detector, self.accelerator, self.config = detector, accelerator, config
        self.seed, self.total = seed, total
        if accelerator.num_processes > 1:
            processes.share_batch_norms(detector)
        # A wrapper, because only a module's forward is synchronized across processes.
        self.compute_loss, self.optimizer = accelerator.prepare(
            TrainingLoss(detector), _optimizer(detector, config)
        )

    def run(
        self,
        train_set: Faces,
        dev_set: Faces | None,
        on_step: Callable[[Row], None] | None,
        checkpoint: Checkpoint | None,
    ) -> TrainingState:
        """Run all steps that are not in the checkpoint."""
        order = _order(train_set, self.config, self.seed, self.accelerator)
        loader = epoch_loader(train_set, order, self.config.num_workers)
        settings = self.settings(train_set)
        state = self.resumed(checkpoint, settings)
        if state is None:
            self.detector.prepare(train_set)
            state = TrainingState(epoch=0, log=[])
        hidden, done = not self.accelerator.is_main_process, len(state.log)
        bar = progress_bar(
            disable=hidden, total=self.total, initial=done, desc="train", unit="step"
        )
        with bar, lost_workers_explained():
            while len(state.log) < self.total:
                order.epoch, order.first = divmod(len(state.log), len(order))
                self.detector.train()
                for batch in loader:
                    row = self.step(batch, len(state.log), order.epoch)
                    state.log.append(row)
                    state.epoch, into_epoch = divmod(len(state.log), len(order))
                    if into_epoch == 0 and dev_set is not None and self.config.watches_dev:
                        self.measure_dev(dev_set, state)
                    if checkpoint and not hidden and self.is_due(state, len(order)):
                        checkpoint.save(self.detector, self.optimizer, state, settings)
                    bar.set_postfix(epoch=row["epoch"], loss=f"{row['loss']:.3f}", refresh=False)
                    bar.update()
                    if on_step and not hidden:
                        on_step(row)
        return state

    def step(self, batch: Batch, step: int, epoch: int) -> Row:
        """Update the weights once; return the step's row of the log."""
        rates = set_learning_rates(self.optimizer, self.config, step, self.total)
        terms = self.losses(batch, step)
        loss = reduce(torch.add, terms.values())
        means = {
            name: self.accelerator.reduce(term.detach(), "mean") for name, term in terms.items()
        }
        total_loss = reduce(torch.add, means.values())
        self.require_finite("loss", total_loss, batch, step, rates)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        limit = self.config.clip_grad_norm or math.inf
        norm = self.accelerator.clip_grad_norm_(self.detector.parameters(), limit)
        self.require_finite("norm of the gradient", norm, batch, step, rates)
        self.optimizer.step()
        named = {f"loss_{name}": value.item() for name, value in means.items() if name}
        row = {"step": step, "epoch": epoch, "loss": total_loss.item(), **named, **rates}
        return row | {"grad_norm": norm.item(), "dev_auc": None}

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the loss's terms for this process's part of a batch; "" names a single loss."""
        config, accelerator = self.config, self.accelerator
        part, parts = accelerator.process_index, accelerator.num_processes
        shared, own = _seed_step(self.seed, step, part)
        batch = _to_device(batch, accelerator.device)
        batch = move_batch(batch, shared, config.flip, config.shift_pixels, part, parts)
        batch = self.detector.augment(batch, own)
        bf16 = config.precision == "bf16"
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
            loss = self.compute_loss(batch)
        return loss if isinstance(loss, dict) else {"": loss}

    def require_finite(
        self, name: str, value: Tensor, batch: Batch, step: int, rates: dict[str, float]
    ) -> None:
        if torch.isfinite(value):
            return
        shown = ", ".join(
            f"{rate:g} ({group.removeprefix('lr_')})" for group, rate in rates.items()
        )
        raise TrainingError(
            f"the {name} is {value.item()} at step {step} of {self.total}, with learning rates "
            f"{shown}, in the batch that begins with image {batch['id'][0]!r}; lower the rates, or "
            "look for a division by zero in the detector. The last checkpoint is as it was"
        )

    def settings(self, train_set: Faces) -> dict[str, Any]:
        """Return everything that a checkpoint must match, apart from the weights' shapes."""
        settings = self.config.deciding()
        settings |= {"seed": self.seed, "processes": self.accelerator.num_processes}
        settings["detector"] = self.detector.settings()
        return settings | {"dataset": train_set.checksum, "protocol": train_set.protocol}

    def resumed(
        self, checkpoint: Checkpoint | None, settings: dict[str, Any]
    ) -> TrainingState | None:
        """Load the checkpoint into detector and optimizer; return its state, None without one."""
        state = None
        if checkpoint is not None:
            state = checkpoint.load(self.detector, self.optimizer, settings)
        steps = torch.tensor([len(state.log) if state else 0], device=self.accelerator.device)
        found = self.accelerator.gather(steps).tolist()
        if checkpoint is not None and len(set(found)) > 1:
            raise TrainingError(
                f"the processes found checkpoints of {found} steps at {checkpoint.path}: put it "
                "into a folder that all machines share"
            )
        return state

    def is_due(self, state: TrainingState, steps_per_epoch: int) -> bool:
        """Return whether to save a checkpoint now."""
        steps, every = len(state.log), self.config.checkpoint_every
        return steps % steps_per_epoch == 0 or (every is not None and steps % every == 0)

    def measure_dev(self, dev_set: Faces, state: TrainingState) -> None:
        """Write dev's AUC into the log's last row; keep the weights if it is the best so far."""
        scores = score(self.detector, dev_set, self.config.eval_batch_size, progress=False)
        auc = metrics.auc(scores["attack_score"], scores["is_attack"])
        state.log[-1]["dev_auc"] = auc
        best = state.best_dev_auc is None or auc > state.best_dev_auc
        if self.config.keep_epoch == "best_on_dev" and best:
            state.best_dev_auc, state.best_weights = auc, copy_weights(self.detector)


def _to_device(batch: Batch, device: torch.device) -> Batch:
    tensors = {
        name: value.to(device, non_blocking=True)
        for name, value in batch.items()
        if isinstance(value, Tensor)
    }
    return cast(Batch, {**batch, **tensors})


class TrainingLoss(nn.Module):
    """A detector's training loss as a module's forward, which DDP and FSDP can wrap."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Return ``detector.training_loss(batch)``."""
        return self.detector.training_loss(batch)


def _order(
    train_set: Faces, config: TrainingConfig, seed: int, accelerator: Accelerator
) -> EpochBatches | StreamOrder:
    count, process = accelerator.num_processes, accelerator.process_index
    try:
        return train_set.epochs(config.batch_size, seed, config.sampling, count, process)
    except ValueError as error:
        raise TrainingError(str(error)) from None


def _steps(train_set: Faces, config: TrainingConfig) -> int:
    """Return the number of steps, the same in all processes."""
    return config.epochs * len(_order(train_set, config, 0, processes.start()))


def _optimizer(detector: Detector, config: TrainingConfig) -> torch.optim.Optimizer:
    try:
        return make_optimizer(detector, config)
    except ValueError as error:
        raise TrainingError(str(error)) from None


def _seed_step(seed: int, step: int, process: int) -> tuple[torch.Generator, torch.Generator]:
    """Seed all randomness of a step, including torch's global generator.

    Returns:
        A generator with the same numbers in all processes, and one for this process.
    """
    shared, *own = np.random.SeedSequence([seed, step]).spawn(2 + process)
    torch.manual_seed(_number(own[-1]))
    augmenting = own[-1].spawn(1)[0]
    return _generator(shared), _generator(augmenting)


def _generator(stream: np.random.SeedSequence) -> torch.Generator:
    return torch.Generator().manual_seed(_number(stream))


def _number(stream: np.random.SeedSequence) -> int:
    return int(stream.generate_state(1)[0])


def _check(train_set: Faces, dev_set: Faces | None, config: TrainingConfig, count: int) -> None:
    batch = config.batch_size * count
    if len(train_set) < batch:
        shares = f" ({count} processes with {config.batch_size} each)" if count > 1 else ""
        raise TrainingError(
            f"{len(train_set)} training images do not fill one batch of {batch}{shares}"
        )
    if config.watches_dev and dev_set is None:
        raise TrainingError("the configuration asks for the AUC on dev, but dev_set is None")
