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
"""What a batch can bring for each image as a second image, see :class:`Batch`."""
FACTS = ("family", "subject")
"""What a batch can bring for each image as a string."""


class Batch(TypedDict, total=False):
    """Images and what is known about them.

    ``image``, ``is_attack``, ``attack_type``, and ``id`` are always there; the rest comes to
    detectors that name it in :attr:`Detector.needs`.
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

    ``rate`` multiplies ``training.learning_rate``; ``weight_decay=None`` means that of the
    training. ``training.rates`` overrides both factors by name of group.
    """

    parameters: list[nn.Parameter]
    rate: float = 1.0
    weight_decay: float | None = None


class Detector(nn.Module, ABC):
    """A method of face attack detection.

    A subclass writes ``training_loss`` and ``attack_score``; everything else has a default.
    """

    needs: tuple[str, ...] = ()
    """What a batch must bring beyond image and label, among ``MAPS`` and ``FACTS``."""

    @abstractmethod
    def training_loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Return the loss of one batch: a scalar, or named terms whose sum is minimized."""

    @abstractmethod
    def attack_score(self, images: Tensor) -> Tensor:
        """Return a number for each image, (batch,), higher for attacks.

        Args:
            images: as :class:`Batch` holds them; the scores are differentiable in floating point
                images.
        """

    def prepare(self, train_set: Dataset) -> None:
        """Learn what must be known before the first step, such as clusters or statistics.

        ``train_set`` is a ``lasoftmoe.data.FaceDataset``. Called once, in every process. Keep the
        result in buffers: a checkpoint holds those, and a training that resumes does not prepare
        again.
        """

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change a training batch after the flips and shifts that all methods share.

        May change labels as well. ``batch`` is on the detector's device.

        Args:
            generator: on the CPU; fixed by seed, step, and process.
        """
        return batch

    def parameter_groups(self) -> dict[str, Group]:
        """Return the trainable parameters by name of group."""
        return {"model": Group([p for p in self.parameters() if p.requires_grad])}

    def settings(self) -> dict[str, Any]:
        """Return what a checkpoint must agree with, beyond the shapes of the weights."""
        return {}
