"""The training loop: plain torch on Accelerate, the same on a laptop and on many GPUs.

All randomness of an epoch follows from the seed and the epoch's number, so that a training that
was interrupted and goes on from its checkpoint ends with the very weights it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lasoftmoe import metrics
from lasoftmoe.augmentation import flip_and_shift
from lasoftmoe.checkpoint import Checkpoint, TrainingState, copy_weights
from lasoftmoe.config import TrainingConfig
from lasoftmoe.data import Batch, FaceDataset, batches
from lasoftmoe.evaluation import score
from lasoftmoe.progress import progress_bar

LOG_COLUMNS = ["step", "epoch", "loss", "lr", "moe_lr", "grad_norm", "dev_auc"]
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

    Args:
        detector: has ``training_loss(batch)``, ``attack_score(images)``, ``parameter_groups()``.
        dev_set: only looked at where ``config`` asks for the AUC on dev.
        on_step: called after every step with that step's row of the log.
        checkpoint: where to save after every epoch, and to go on from if something is there.

    Returns:
        the log, one row a step: step, epoch, loss, lr, moe_lr (of the MoE branch), grad_norm
        (before clipping), dev_auc (at an epoch's last step, else missing).

    Raises:
        TrainingError: fewer images than one batch, or a loss that is not finite.
    """
    if config.epochs == 0:
        return pd.DataFrame(columns=LOG_COLUMNS)
    _check(train_set, dev_set, config)
    with torch.random.fork_rng():  # leave the caller's random numbers as they were
        state = _train_epochs(detector, train_set, dev_set, config, seed, on_step, checkpoint)
    if state.best_weights is not None:
        detector.load_state_dict(state.best_weights)
    detector.eval()
    return pd.DataFrame(state.log, columns=LOG_COLUMNS)


def _train_epochs(
    detector: nn.Module,
    train_set: FaceDataset,
    dev_set: FaceDataset | None,
    config: TrainingConfig,
    seed: int,
    on_step: Callable[[Row], None] | None,
    checkpoint: Checkpoint | None,
) -> TrainingState:
    order, shake = torch.Generator(), torch.Generator()
    loader = batches(
        train_set, config.batch_size, True, order, drop_last=True, num_workers=config.num_workers
    )
    accelerator = Accelerator()
    loop = _Loop(detector, accelerator, config)
    loader = accelerator.prepare(loader)
    total = config.epochs * len(loader)
    state = (checkpoint and checkpoint.load(detector, loop.optimizer)) or TrainingState(0, [])
    hidden, done = not accelerator.is_main_process, len(state.log)
    bar = progress_bar(disable=hidden, total=total, initial=done, desc="train", unit="step")
    while state.epoch < config.epochs:
        _seed_epoch(seed, state.epoch, accelerator.process_index, order, shake)
        detector.train()
        for batch in loader:
            row = {"step": len(state.log), "epoch": state.epoch}
            row |= loop.step(batch, row["step"], total, shake)
            state.log.append(row)
            bar.set_postfix(epoch=state.epoch, loss=f"{row['loss']:.3f}", refresh=False)
            bar.update()
            if on_step:
                on_step(row)
        state.epoch += 1
        if _watches_dev(config):
            _look_at_dev(detector, dev_set, config, state)
        if checkpoint and accelerator.is_main_process:
            checkpoint.save(detector, loop.optimizer, state)
    bar.close()
    return state


class _Loop:
    """What one optimization step needs."""

    def __init__(
        self, detector: nn.Module, accelerator: Accelerator, config: TrainingConfig
    ) -> None:
        self.detector, self.accelerator, self.config = detector, accelerator, config
        # Across processes only a module's forward is synchronized, hence the wrapper.
        self.compute_loss, self.optimizer = accelerator.prepare(
            _TrainingLoss(detector), make_optimizer(detector, config)
        )

    def step(self, batch: Batch, step: int, total: int, shake: torch.Generator) -> Row:
        """Change the weights once; returns loss, learning rates and gradient norm."""
        config, accelerator = self.config, self.accelerator
        rates = set_learning_rates(self.optimizer, config, step, total)
        images = flip_and_shift(batch["image"], shake, config.flip, config.shift_pixels)
        bf16 = config.precision == "bf16"
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
            loss = self.compute_loss({**batch, "image": images})
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step} of {total}, with learning rates "
                f"{rates['lr']:g} (CLIP) and {rates['moe_lr']:g} (MoE); lower them, or look for "
                "a division by zero in the branch"
            )
        self.optimizer.zero_grad()
        accelerator.backward(loss)
        limit = config.clip_grad_norm or math.inf
        norm = accelerator.clip_grad_norm_(self.detector.parameters(), limit)
        self.optimizer.step()
        return {"loss": loss.item(), **rates, "grad_norm": float(norm)}


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


def _seed_epoch(
    seed: int, epoch: int, process: int, order: torch.Generator, shake: torch.Generator
) -> None:
    """Fix the order (alike in all processes), the augmentation and the layers' own randomness."""
    streams = np.random.SeedSequence([seed, epoch]).spawn(2 + process)
    order.manual_seed(_number(streams[0]))
    shake.manual_seed(_number(streams[-1]))
    torch.manual_seed(_number(streams[-1]) + 1)


def _number(stream: np.random.SeedSequence) -> int:
    return int(stream.generate_state(1)[0])


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


def _check(train_set: FaceDataset, dev_set: FaceDataset | None, config: TrainingConfig) -> None:
    if len(train_set) < config.batch_size:
        raise TrainingError(
            f"{len(train_set)} training images do not fill one batch of {config.batch_size}"
        )
    if _watches_dev(config) and dev_set is None:
        raise TrainingError("the configuration asks for the AUC on dev, but dev_set is None")
