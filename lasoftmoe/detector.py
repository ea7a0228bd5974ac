"""The interface that every method of face attack detection implements.

Training and evaluation know a method only through :class:`Detector`, and the rest of the package
finds it through ``lasoftmoe.methods.METHODS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

MAPS = ("mask", "depth")
"""Maps that a batch can hold for each image; see :class:`Batch`."""
FACTS = ("family", "subject")
"""Strings that a batch can hold for each image."""


class Batch(TypedDict, total=False):
    """Images with their labels and facts.

    ``image``, ``is_attack``, ``attack_type``, and ``id`` are always present. The others are
    present only for detectors that name them in :attr:`Detector.needs`.
    """

    image: Tensor
    """(batch, 3, height, width), uint8 in 0 to 255 or floating point in [0, 1]."""
    is_attack: Tensor
    """(batch,), bool."""
    attack_type: list[str]
    id: list[str]
    family: list[str]
    subject: list[str]
    mask: Tensor
    """(batch, 1, height, width), uint8: 255 where an attack changed the image."""
    has_mask: Tensor
    """(batch,), bool: False where the dataset holds no mask; ``mask`` is 0 there."""
    depth: Tensor
    """(batch, 1, height, width), uint8: 255 is nearest to the camera."""
    has_depth: Tensor
    """(batch,), bool: False where the dataset holds no depth; ``depth`` is 0 there."""


@dataclass(frozen=True)
class Group:
    """Parameters that share a learning rate.

    ``rate`` multiplies ``training.learning_rate``; ``weight_decay=None`` means
    ``training.weight_decay``. ``training.rates`` replaces the learning rate, by group name.
    """

    parameters: list[nn.Parameter]
    rate: float = 1.0
    weight_decay: float | None = None


class Detector(nn.Module, ABC):
    """A method of face attack detection.

    A subclass writes ``training_loss`` and ``attack_score``; everything else has a default.
    """

    needs: tuple[str, ...] = ()
    """What a batch must hold in addition to image and label, from ``MAPS`` and ``FACTS``."""

    @abstractmethod
    def training_loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Return the loss of one batch: a scalar, or named terms whose sum is minimized."""

    @abstractmethod
    def attack_score(self, images: Tensor) -> Tensor:
        """Return a number for each image, (batch,), higher for attacks.

        Args:
            images: See :class:`Batch`. The scores are differentiable in floating point images.
        """

    def prepare(self, train_set: Dataset) -> None:
        """Compute what the first step needs, such as clusters or statistics.

        ``train_set`` is a ``lasoftmoe.data.FaceDataset``. Called once in every process. Keep the
        result in buffers: a checkpoint saves those, and a resumed training does not prepare again.
        """

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change a training batch after the flips and shifts that all methods share.

        May change labels, too. ``batch`` is on the detector's device.

        Args:
            generator: Generator on the CPU, fixed by seed, step, and process.
        """
        return batch

    def parameter_groups(self) -> dict[str, Group]:
        """Return the trainable parameters by name of group."""
        return {"model": Group([p for p in self.parameters() if p.requires_grad])}

    def settings(self) -> dict[str, Any]:
        """Return settings that a checkpoint must match, apart from the weights' shapes."""
        return {}
