"""Settings of a training. The paper gives only Adam and a rate of 1e-6."""

from __future__ import annotations

from dataclasses import asdict, field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from lasoftmoe.settings import CHECKED, Count, Fraction, NonNegative, NonNegativeCount, Positive

PAPER_LEARNING_RATE = 1e-6
"""Learning rate in Section 4 of the paper, for CLIP and the new modules."""
WITHOUT_EFFECT = ("eval_batch_size", "num_workers", "checkpoint_every", "tensorboard")
"""Fields of :class:`TrainingConfig` that cannot change a result, except for rounding."""


@dataclass(frozen=True, config=CHECKED)
class TrainingConfig:
    """Optimizer, schedule, and outputs of a training.

    ``batch_size`` is per process. ``sampling="class_balanced"`` shows as many live images as
    attacks.

    Each parameter group's ``rate`` multiplies ``learning_rate``; ``rates`` replaces the product
    for the groups it names. ``momentum`` is for ``"sgd"``. After a linear warm-up,
    ``schedule="cosine"`` falls to 0, ``"constant"`` stays, and ``"step"`` multiplies the rate by
    ``step_factor`` at each of ``step_fractions`` of all steps.

    ``keep_epoch="best_on_dev"`` keeps the weights of the epoch with the highest AUC on dev and
    implies ``dev_auc``, which measures it after every epoch. A checkpoint is saved after every
    epoch and, if set, every ``checkpoint_every`` steps. ``tensorboard`` also writes the log as
    TensorBoard event files.
    """

    epochs: NonNegativeCount = 8
    batch_size: Count = 32
    eval_batch_size: Count = 128
    sampling: Literal["uniform", "class_balanced"] = "uniform"
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    momentum: Fraction = 0.9
    learning_rate: Positive = 4e-4
    rates: dict[str, Positive] = field(default_factory=dict)
    weight_decay: NonNegative = 0.05
    warmup_fraction: Fraction = 0.1
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    step_fractions: list[Fraction] = field(default_factory=list)
    step_factor: Positive = 0.1
    clip_grad_norm: Positive | None = 1.0
    flip: bool = True
    shift_pixels: NonNegativeCount = 4
    precision: Literal["no", "bf16"] = "no"
    dev_auc: bool = False
    keep_epoch: Literal["last", "best_on_dev"] = "last"
    num_workers: NonNegativeCount = 0
    checkpoint_every: Count | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Reject a step schedule without steps, and steps without that schedule."""
        if (self.schedule == "step") != bool(self.step_fractions):
            raise ValueError(
                f"schedule {self.schedule!r} with step_fractions {self.step_fractions}; the "
                "schedule 'step' needs at least one of them, and no other schedule takes any"
            )

    def deciding(self) -> dict[str, Any]:
        """Return the fields that this optimizer and this schedule read."""
        unread = set(WITHOUT_EFFECT)
        if self.optimizer != "sgd":
            unread.add("momentum")
        if self.schedule != "step":
            unread |= {"step_fractions", "step_factor"}
        return {name: value for name, value in asdict(self).items() if name not in unread}

    @property
    def watches_dev(self) -> bool:
        """Whether the AUC on dev is measured after every epoch."""
        return self.dev_auc or self.keep_epoch == "best_on_dev"
