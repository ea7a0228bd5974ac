"""ConvNeXt with augmented images, a strong small baseline (Liu et al. 2022). Not in the paper.

Images change in brightness and contrast, and a rectangle of some is erased, so that the network
cannot rely on one camera's colors or on one place in the image.
"""

from __future__ import annotations

from typing import ClassVar, cast

import timm
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from lasoftmoe.detector import Batch
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.methods import timm_classifier
from lasoftmoe.methods.timm_classifier import TimmClassifier, TimmClassifierConfig
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED, Fraction

ERASED_SIDE = 0.3
"""Sides of the erased square as a share of the image's."""


@dataclass(frozen=True, config=CHECKED)
class ConvNeXtConfig(MethodConfig):
    """A ConvNeXt of timm and the strength of its augmentation.

    ``pretrained`` is as in ``TimmClassifierConfig``. Brightness and contrast are multiplied by
    factors from ``1 - jitter`` to ``1 + jitter``; a square is erased with probability ``erase``.
    """

    kind: ClassVar[str] = "convnext"
    name: str = "test_convnext2"
    pretrained: str | None = None
    jitter: Fraction = 0.3
    erase: Fraction = 0.25

    def __post_init__(self) -> None:
        """Refuse a network of another kind."""
        known = timm.list_models(module="convnext")
        if self.name not in known:
            raise ValueError(f"{self.name!r} is no ConvNeXt of timm; known: {', '.join(known)}")


class ConvNeXt(TimmClassifier):
    """A ConvNeXt whose training images are augmented."""

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change brightness and contrast, and erase squares; images become floating point."""
        config = cast(ConvNeXtConfig, self.config)
        images = jittered(to_unit_range(batch["image"]), config.jitter, generator)
        return {**batch, "image": erased(images, config.erase, generator)}


def jittered(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Multiply brightness, then contrast about the image's mean, by random factors per image.

    Args:
        images: (batch, 3, h, w), floating point in [0, 1]; the result stays in [0, 1].
        strength: In [0, 1]; factors are uniform in ``1 - strength`` to ``1 + strength``.
        generator: On the CPU.
    """
    factors = 1 + strength * (2 * torch.rand(2, len(images), 1, 1, 1, generator=generator) - 1)
    brightness, contrast = factors.to(images)
    images = images * brightness
    mean = images.mean((1, 2, 3), keepdim=True)
    return (mean + contrast * (images - mean)).clamp(0, 1)


def erased(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Set a square at a random place to gray in a random part of the images.

    Args:
        images: (batch, 3, h, w), floating point in [0, 1].
        probability: That an image loses a square, whose side is ``ERASED_SIDE`` of the image's.
        generator: On the CPU.
    """
    draws = torch.rand(3, len(images), generator=generator).to(images.device)
    inside = draws[0, :, None, None] < probability
    for axis, size in ((1, images.shape[-2]), (2, images.shape[-1])):
        side = round(ERASED_SIDE * size)
        start = (draws[axis] * (size - side + 1)).long()[:, None]
        places = torch.arange(size, device=images.device)
        within = (places >= start) & (places < start + side)
        inside = inside & within.unsqueeze(2 if axis == 1 else 1)
    return images.masked_fill(inside[:, None], 0.5)


def _timm(config: ConvNeXtConfig) -> TimmClassifierConfig:
    return TimmClassifierConfig(config.name, config.pretrained)


def _build(config: ConvNeXtConfig) -> ConvNeXt:
    return ConvNeXt(timm_classifier.timm_network(_timm(config)), config)


def _weights(config: ConvNeXtConfig) -> Weights | None:
    return timm_classifier.METHOD.weights(_timm(config))


def _check(config: ConvNeXtConfig) -> None:
    timm_classifier.METHOD.check(_timm(config))


METHOD = Method(
    ConvNeXtConfig,
    _build,
    _weights,
    _check,
    paper="not in the paper: a strong small baseline",
    code=("methods/timm_classifier.py",),
    libraries=("timm",),
)
