"""The training loop: plain torch on Accelerate, the same on a laptop and on many GPUs.

All randomness of a step follows from the seed and the step's number, so that a training that was
interrupted and goes on from its checkpoint ends with the very weights it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lasoftmoe import metrics
from lasoftmoe.data import Batch, FaceDataset, epoch_loader
from lasoftmoe.data.moves import flip_and_shift
from lasoftmoe.data.sampling import EpochBatches
from lasoftmoe.evaluation import score
from lasoftmoe.experiment.config import TrainingConfig
from lasoftmoe.progress import progress_bar
from lasoftmoe.training import processes
from lasoftmoe.training.checkpoint import Checkpoint, TrainingState, copy_weights

LOG_COLUMNS = ["step", "epoch", "loss", "lr", "moe_lr", "grad_norm", "dev_auc"]
WITHOUT_EFFECT = ("num_workers", "checkpoint_every", "tensorboard")
"""Fields of ``TrainingConfig`` that cannot change the trained weights."""

Row = dict[str, Any]


class TrainingError(RuntimeError):
    """Training cannot start or cannot go on."""


def train(
    detector: nn.Module,
    train_set: FaceDataset,
    dev_set: FaceDataset | None,
    config: TrainingConfig,
    seed: int,
    on_step: Callable[[Row], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train a detector in place.

    Under ``accelerate launch`` every process calls this with the same arguments, and N processes
    with batches of B end as one process with batches of N x B does, but for rounding (layers with
    randomness of their own, such as dropout, differ). ``checkpoint`` has to be a file that all of
    them can read.

    Args:
        detector: has ``training_loss(batch)``, ``attack_score(images)``, ``parameter_groups()``.
        dev_set: only looked at where ``config`` asks for the AUC on dev.
        on_step: called after every step with that step's row of the log.
        checkpoint: where to save as ``config`` says, and to go on from if something is there.

    Returns:
        the log, one row a step: step, epoch, loss, lr, moe_lr (of the MoE branch), grad_norm
        (before clipping), dev_auc (at an epoch's last step, else missing).

    Raises:
        TrainingError: fewer images than one batch, or a loss or a gradient that is not finite.
        CheckpointError: a checkpoint that cannot be written, or is damaged, or not of this
            training.
    """
    if config.epochs == 0:
        return pd.DataFrame(columns=LOG_COLUMNS)
    accelerator = processes.start()
    _check(train_set, dev_set, config, accelerator.num_processes)
    with torch.random.fork_rng():  # leave the caller's random numbers as they were
        loop = _Loop(detector, accelerator, config, seed)
        state = _steps(loop, train_set, dev_set, on_step, checkpoint)
    if state.best_weights is not None:
        detector.load_state_dict(state.best_weights)
    detector.eval()
    return pd.DataFrame(state.log, columns=LOG_COLUMNS)


def _steps(
    loop: _Loop,
    train_set: FaceDataset,
    dev_set: FaceDataset | None,
    on_step: Callable[[Row], None] | None,
    checkpoint: Checkpoint | None,
) -> TrainingState:
    config, accelerator, detector = loop.config, loop.accelerator, loop.detector
    order = EpochBatches(
        train_set.is_attack, config.batch_size, loop.seed, config.sampling,
        accelerator.num_processes, accelerator.process_index,
    )  # fmt: skip
    loader = epoch_loader(train_set, order, config.num_workers)
    total = config.epochs * len(order)
    settings = _settings(loop, train_set)
    state = _resumed(loop, checkpoint, settings) or TrainingState(epoch=0, log=[])
    hidden, done = not accelerator.is_main_process, len(state.log)
    bar = progress_bar(disable=hidden, total=total, initial=done, desc="train", unit="step")
    with bar:
        while len(state.log) < total:
            order.epoch, order.first = divmod(len(state.log), len(order))
            detector.train()
            for batch in loader:
                row = {"step": len(state.log), "epoch": order.epoch}
                row |= loop.step(batch, row["step"], total)
                state.log.append(row)
                state.epoch, steps_into_epoch = divmod(len(state.log), len(order))
                if steps_into_epoch == 0 and _watches_dev(config):
                    _look_at_dev(detector, dev_set, config, state)
                if checkpoint and not hidden and _is_due(config, state, len(order)):
                    checkpoint.save(detector, loop.optimizer, state, settings)
                bar.set_postfix(epoch=row["epoch"], loss=f"{row['loss']:.3f}", refresh=False)
                bar.update()
                if on_step and not hidden:
                    on_step(row)
    return state


class _Loop:
    """What one optimization step needs."""

    def __init__(
        self, detector: nn.Module, accelerator: Accelerator, config: TrainingConfig, seed: int
    ) -> None:
        self.detector, self.accelerator, self.config = detector, accelerator, config
        self.seed = seed
        if accelerator.num_processes > 1:
            processes.share_batch_norms(detector)
        # Across processes only a module's forward is synchronized, hence the wrapper.
        self.compute_loss, self.optimizer = accelerator.prepare(
            _TrainingLoss(detector), make_optimizer(detector, config)
        )

    def step(self, batch: Batch, step: int, total: int) -> Row:
        """Change the weights once; returns loss, learning rates and gradient norm."""
        rates = set_learning_rates(self.optimizer, self.config, step, total)
        loss = self.loss(batch, step)
        mean_loss = self.accelerator.reduce(loss.detach(), "mean")
        self._require_finite("loss", mean_loss, batch, step, total, rates)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        limit = self.config.clip_grad_norm or math.inf
        norm = self.accelerator.clip_grad_norm_(self.detector.parameters(), limit)
        self._require_finite("norm of the gradient", norm, batch, step, total, rates)
        self.optimizer.step()
        return {"loss": mean_loss.item(), **rates, "grad_norm": norm.item()}

    def loss(self, batch: Batch, step: int) -> Tensor:
        """The loss of this process's part of a batch, its images flipped and shifted."""
        config, accelerator = self.config, self.accelerator
        part, parts = accelerator.process_index, accelerator.num_processes
        shake = _seed_step(self.seed, step, part)
        on_device = {
            key: value.to(accelerator.device, non_blocking=True)
            if torch.is_tensor(value)
            else value
            for key, value in batch.items()
        }
        images = on_device["image"]
        images = flip_and_shift(images, shake, config.flip, config.shift_pixels, part, parts)
        bf16 = config.precision == "bf16"
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
            return self.compute_loss({**on_device, "image": images})

    def _require_finite(
        self, name: str, value: Tensor, batch: Batch, step: int, total: int, rates: Row
    ) -> None:
        if torch.isfinite(value):
            return
        raise TrainingError(
            f"the {name} is {value.item()} at step {step} of {total}, with learning rates "
            f"{rates['lr']:g} (CLIP) and {rates['moe_lr']:g} (MoE), in the batch that begins with "
            f"image {batch['id'][0]!r}; lower the rates, or look for a division by zero in the "
            "branch. The last checkpoint is as it was"
        )


class _TrainingLoss(nn.Module):
    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, batch: Batch) -> Tensor:
        return self.detector.training_loss(batch)


def make_optimizer(detector: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The detector's parameter groups (CLIP, MoE branch) without what is frozen."""
    groups = []
    for name, parameters in detector.parameter_groups().items():
        trainable = [p for p in parameters if p.requires_grad]
        if trainable:
            groups.append({"params": trainable, "name": name, "lr": _rate(config, name)})
    if not groups:
        raise TrainingError("the detector has no parameter that can be trained")
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, weight_decay=config.weight_decay)


def schedule(config: TrainingConfig, step: int, total: int) -> float:
    """The share of the full learning rate at a step: linear warm-up, then half a cosine."""
    warmup = round(config.warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def set_learning_rates(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, step: int, total: int
) -> Row:
    """Set both groups' rates for a step; returns them as ``lr`` and ``moe_lr``."""
    share = schedule(config, step, total)
    for group in optimizer.param_groups:
        group["lr"] = share * _rate(config, group["name"])
    return {"lr": share * _rate(config, "clip"), "moe_lr": share * _rate(config, "moe")}


def _rate(config: TrainingConfig, group: str) -> float:
    """The full learning rate of a parameter group; all but "moe" share one."""
    if group == "moe" and config.moe_learning_rate is not None:
        return config.moe_learning_rate
    return config.learning_rate


def _seed_step(seed: int, step: int, process: int) -> torch.Generator:
    """Fix a step's augmentation, alike in all processes, and the layers' own randomness."""
    shared, *own = np.random.SeedSequence([seed, step]).spawn(2 + process)
    torch.manual_seed(_number(own[-1]))
    return torch.Generator().manual_seed(_number(shared))


def _number(stream: np.random.SeedSequence) -> int:
    return int(stream.generate_state(1)[0])


def _settings(loop: _Loop, train_set: FaceDataset) -> dict[str, Any]:
    """All that a checkpoint must agree with, beside the shapes of the weights."""
    settings = {k: v for k, v in asdict(loop.config).items() if k not in WITHOUT_EFFECT}
    settings |= {"seed": loop.seed, "processes": loop.accelerator.num_processes}
    method = getattr(loop.detector, "config", None)
    if is_dataclass(method):
        settings["detector"] = asdict(method)
    return settings | {"dataset": train_set.checksum, "protocol": train_set.protocol}


def _resumed(
    loop: _Loop, checkpoint: Checkpoint | None, settings: dict[str, Any]
) -> TrainingState | None:
    state = checkpoint and checkpoint.load(loop.detector, loop.optimizer, settings)
    steps = torch.tensor([len(state.log) if state else 0], device=loop.accelerator.device)
    found = loop.accelerator.gather(steps).tolist()
    if len(set(found)) > 1:
        raise TrainingError(
            f"the processes found checkpoints of {found} steps at {checkpoint.path}: put it into "
            "a folder that all machines share"
        )
    return state


def _is_due(config: TrainingConfig, state: TrainingState, steps_per_epoch: int) -> bool:
    """Whether to save a checkpoint now."""
    steps = len(state.log)
    every = config.checkpoint_every
    return steps % steps_per_epoch == 0 or (every is not None and steps % every == 0)


def _watches_dev(config: TrainingConfig) -> bool:
    return config.dev_auc or config.keep_epoch == "best_on_dev"


def _look_at_dev(
    detector: nn.Module, dev_set: FaceDataset, config: TrainingConfig, state: TrainingState
) -> None:
    """Write dev's AUC into the log's last row, and keep the weights if it is the best so far."""
    scores = score(detector, dev_set, config.eval_batch_size, progress=False)
    auc = metrics.auc(scores["attack_score"], scores["is_attack"])
    state.log[-1]["dev_auc"] = auc
    best = state.best_dev_auc is None or auc > state.best_dev_auc
    if config.keep_epoch == "best_on_dev" and best:
        state.best_dev_auc, state.best_weights = auc, copy_weights(detector)


def _check(
    train_set: FaceDataset, dev_set: FaceDataset | None, config: TrainingConfig, count: int
) -> None:
    batch = config.batch_size * count
    if len(train_set) < batch:
        shares = f" ({count} processes with {config.batch_size} each)" if count > 1 else ""
        raise TrainingError(
            f"{len(train_set)} training images do not fill one batch of {batch}{shares}"
        )
    if _watches_dev(config) and dev_set is None:
        raise TrainingError("the configuration asks for the AUC on dev, but dev_set is None")
