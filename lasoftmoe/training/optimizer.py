"""The optimizer of a training, and its learning rates at each step."""

from __future__ import annotations

import math

import torch

from lasoftmoe.detector import Detector, Group
from lasoftmoe.training.config import TrainingConfig


def make_optimizer(detector: Detector, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the configured optimizer over the detector's parameter groups.

    Frozen parameters are left out. Each group of the optimizer has its ``name`` and its
    ``full_rate``, the learning rate that the schedule multiplies.

    Raises:
        ValueError: If nothing can be trained, or ``config.rates`` names an unknown group.
    """
    groups = detector.parameter_groups()
    unknown = sorted(set(config.rates) - set(groups))
    if unknown:
        raise ValueError(
            f"training.rates names the group {unknown[0]!r}; this detector has: {', '.join(groups)}"
        )
    described = [_described(name, group, config) for name, group in groups.items()]
    trainable = [group for group in described if group["params"]]
    if not trainable:
        raise ValueError("the detector has no parameter that can be trained")
    if config.optimizer == "sgd":
        return torch.optim.SGD(trainable, lr=config.learning_rate, momentum=config.momentum)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(trainable, lr=config.learning_rate)


def _described(name: str, group: Group, config: TrainingConfig) -> dict[str, object]:
    decay = config.weight_decay if group.weight_decay is None else group.weight_decay
    rate = config.rates.get(name, group.rate * config.learning_rate)
    return {
        "params": [p for p in group.parameters if p.requires_grad],
        "name": name,
        "full_rate": rate,
        "lr": rate,
        "weight_decay": decay,
    }


def schedule(config: TrainingConfig, step: int, total: int) -> float:
    """Return the fraction of the full learning rate at a step.

    After a linear warm-up comes half a cosine, a constant, or a staircase.
    """
    warmup = round(config.warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "step":
        return config.step_factor ** sum(step >= share * total for share in config.step_fractions)
    return half_cosine((step - warmup) / max(total - warmup, 1))


def half_cosine(progress: float) -> float:
    """Return a share that falls from 1 to 0 along half a cosine while ``progress`` goes to 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rates(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, step: int, total: int
) -> dict[str, float]:
    """Set every group's learning rate for a step; return them as ``lr_<group>``."""
    share = schedule(config, step, total)
    for group in optimizer.param_groups:
        group["lr"] = share * group["full_rate"]
    return {f"lr_{group['name']}": group["lr"] for group in optimizer.param_groups}
