"""FFD: a map of where the face was changed, multiplied into the features (Dang et al. 2020).

A map with values near 1 where the image was edited lets only the features from there pass. The
map can be taught with masks of the edits, with the label alone, or not at all.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from pydantic.dataclasses import dataclass
from timm.models.xception import Block, SeparableConv2d
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from lasoftmoe.detector import Batch, Detector
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.methods import timm_classifier
from lasoftmoe.methods.timm_classifier import TimmClassifierConfig
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED, Count, NonNegative
from lasoftmoe.training.processes import known_weights

if TYPE_CHECKING:
    from lasoftmoe.data import FaceDataset

XCEPTION = "legacy_xception"
"""timm's name for the network of Chollet 2017, the backbone of Dang et al."""
TEMPLATES, TEMPLATE_SIZE = 10, 19
"""Number of maps that are mixed, and their pixels on each side: the map's at 299 pixels."""
WEAK_MAXIMUM = 0.75
"""What the largest value of an attack's map should be without a mask (Dang et al.)."""
REGIONS = (
    (0.5, 0.5, 2.0, 2.0),  # the whole image
    (0.5, 0.5, 0.3, 0.22),  # the face
    (0.2, 0.5, 0.12, 0.3),  # forehead and hair
    (0.4, 0.35, 0.08, 0.1),  # one eye
    (0.4, 0.65, 0.08, 0.1),  # the other eye
    (0.53, 0.5, 0.12, 0.08),  # nose
    (0.7, 0.5, 0.08, 0.14),  # mouth
    (0.85, 0.5, 0.1, 0.2),  # chin and neck
    (0.5, 0.15, 0.3, 0.12),  # one side
    (0.5, 0.85, 0.3, 0.12),  # the other side
)
"""Our templates: vertical and horizontal center, and spreads, as shares of an aligned face image.

The published ones are images without a license.
"""


@dataclass(frozen=True, config=CHECKED)
class FFDConfig(MethodConfig):
    """The backbone, how the map is made, and what teaches it.

    ``backbone`` is ``"small"`` or timm's ``"legacy_xception"``; ``pretrained`` is a tag of timm's
    weights for the latter, the path of a safetensors file, or ``None``. ``map`` is computed pixel
    by pixel (``"regression"``), mixed from ten fixed maps (``"template"``), or mixed from the
    principal components of ``pca_masks`` training masks (``"pca"``).

    ``map_loss`` compares the map with the mask of the edit (``"mask"``), only its maximum with the
    label (``"weak"``), or with nothing (``"none"``); ``map_weight`` multiplies it. An attack
    without a mask should have ones everywhere, because no part of it is a live face (``unmasked=
    "ones"``), or teaches the map nothing (``"unknown"``).
    """

    kind: ClassVar[str] = "ffd"
    backbone: Literal["small", "legacy_xception"] = "small"
    pretrained: str | None = None
    map: Literal["regression", "template", "pca"] = "regression"
    map_loss: Literal["mask", "weak", "none"] = "mask"
    map_weight: NonNegative = 1.0
    unmasked: Literal["ones", "unknown"] = "ones"
    pca_masks: Count = 100

    def __post_init__(self) -> None:
        """Refuse weights for a network that has none."""
        if self.backbone == "small" and self.pretrained:
            raise ValueError(
                f"there are no weights {self.pretrained!r} for the small backbone; set pretrained "
                f"to null or backbone to {XCEPTION!r}"
            )


class RegressedMap(nn.Sequential):
    """Map from a separable convolution and a sigmoid: (batch, width, h, w) to (batch, 1, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__(SeparableConv2d(width, 1, 3, padding=1), nn.Sigmoid())


class MixedMap(nn.Module):
    """Sum of ten maps with predicted, unbounded coefficients, plus a constant map.

    Args:
        width: Channels of the features.
        templates: (10, size, size).
    """

    def __init__(self, width: int, templates: Tensor) -> None:
        super().__init__()
        self.coefficients = nn.Sequential(
            Block(width, width // 2, reps=2, strides=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width // 2, len(templates)),
        )
        self.register_buffer("templates", templates)
        self.register_buffer("constant", torch.zeros_like(templates[0]))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, width, h, w) to (batch, 1, h, w)."""
        maps = self.mix(self.coefficients(features))
        return F.interpolate(maps, features.shape[-2:], mode="bilinear", align_corners=False)

    def mix(self, coefficients: Tensor) -> Tensor:
        """(batch, 10) to (batch, 1, size, size)."""
        return (self.constant + torch.einsum("bk,khw->bhw", coefficients, self.templates))[:, None]


def regions() -> Tensor:
    """Return our ten templates, (10, 19, 19): Gaussian bumps at :data:`REGIONS`."""
    places = (torch.arange(TEMPLATE_SIZE) + 0.5) / TEMPLATE_SIZE
    y, x, height, width = torch.tensor(REGIONS).T[..., None, None]
    return torch.exp(-(((places[:, None] - y) / height) ** 2 + ((places - x) / width) ** 2) / 2)


def principal_components(masks: Tensor, count: int = TEMPLATES) -> tuple[Tensor, Tensor]:
    """Return the mean of masks and their leading directions of change, each of length 1.

    Args:
        masks: (masks, h, w).
        count: Number of directions.

    Returns:
        (h, w) and (count, h, w).

    Raises:
        ValueError: If there are not more masks than directions.
    """
    if len(masks) <= count:
        raise ValueError(f"{count} principal components need more than {len(masks)} masks")
    mean = masks.mean(dim=0)
    _, _, directions = torch.linalg.svd((masks - mean).flatten(1), full_matrices=False)
    return mean, directions[:count].unflatten(1, tuple(mean.shape))


def weak_map_loss(maps: Tensor, is_attack: Tensor) -> Tensor:
    """Return the mean distance of each map's maximum from 0 for live and 0.75 for attacks.

    Args:
        maps: (batch, 1, h, w).
        is_attack: (batch,), bool.
    """
    return (maps.amax((1, 2, 3)) - WEAK_MAXIMUM * is_attack.to(maps.dtype)).abs().mean()


class FFD(Detector):
    """A classifier whose middle features are multiplied by a map.

    Args:
        before: From normalized images to features (batch, width, h, w).
        after: From these to pooled features (batch, out).
        width, out: Channels.
        config: See :class:`FFDConfig`.
    """

    def __init__(
        self, before: nn.Module, after: nn.Module, width: int, out: int, config: FFDConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.needs = ("mask",) if config.map_loss == "mask" or config.map == "pca" else ()
        self.before, self.after = before, after
        regressed = config.map == "regression"
        self.map_head = RegressedMap(width) if regressed else MixedMap(width, regions())
        self.head = nn.Linear(out, 1)

    def prepare(self, train_set: Dataset) -> None:
        """Compute the mean and the components of training masks, if the map is mixed from them.

        Raises:
            ValueError: If there are no more than ten masks.
        """
        if self.config.map != "pca":
            return
        faces = cast("FaceDataset", train_set)
        rows = faces.table["mask"].notna().to_numpy().nonzero()[0]
        step = max(1, len(rows) // self.config.pca_masks)
        chosen = rows[::step][: self.config.pca_masks].tolist()
        masks = faces.delivering(("mask",)).batch(chosen)["mask"].float() / 255
        small = F.adaptive_avg_pool2d(masks, TEMPLATE_SIZE)[:, 0]
        mixed = cast(MixedMap, self.map_head)
        for buffer, value in zip(
            (mixed.constant, mixed.templates), principal_components(small), strict=True
        ):
            buffer.copy_(value)

    def logits_and_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit of "attack", (batch,), and the map, (batch, 1, h, w)."""
        pixels = to_unit_range(images, self.head.weight.dtype)
        features = self.before(2 * pixels - 1)
        maps = self.map_head(features)
        return self.head(self.after(features * maps)).squeeze(1), maps

    def attack_score(self, images: Tensor) -> Tensor:
        """Return the logit of "attack", (batch,)."""
        return self.logits_and_maps(images)[0]

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the binary cross-entropy and, if the map is taught, its loss."""
        logits, maps = self.logits_and_maps(batch["image"])
        is_attack = batch["is_attack"]
        terms = {"class": F.binary_cross_entropy_with_logits(logits, is_attack.to(logits.dtype))}
        if self.config.map_loss == "weak":
            terms["map"] = self.config.map_weight * weak_map_loss(maps, is_attack)
        elif self.config.map_loss == "mask":
            target, known = self.map_target(batch, (maps.shape[2], maps.shape[3]))
            errors = (maps - target.to(maps.dtype)).abs().mean((1, 2, 3))
            terms["map"] = self.config.map_weight * (errors * known_weights(known)).mean()
        return terms

    def map_target(self, batch: Batch, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return what maps should be, (batch, 1, *size), and for which images, (batch,), bool.

        Live images have zeros, attacks their mask averaged over areas. ``config.unmasked`` says
        what an attack without a mask has.
        """
        is_attack, masked = batch["is_attack"], batch["has_mask"]
        maps = F.adaptive_avg_pool2d(batch["mask"].float() / 255, size)
        maps = torch.where(masked[:, None, None, None], maps, torch.ones_like(maps))
        known = ~is_attack | masked | (self.config.unmasked == "ones")
        return maps * is_attack[:, None, None, None], known

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)


def _small(config: FFDConfig) -> FFD:
    """Eight times smaller maps than images: 12 x 12 for 96 pixels."""
    before = [_layer(3, 24, 2), _layer(24, 48, 2), _layer(48, 48), _layer(48, 96, 2)]
    before += [_layer(96, 96)]
    after = [_layer(96, 128, 2), _layer(128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return FFD(nn.Sequential(*before), nn.Sequential(*after), 96, 128, config)


def _layer(width: int, out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())


def _xception(config: FFDConfig) -> FFD:
    """The map comes after block 7 of 12: 19 x 19 for 299 pixels."""
    network = timm_classifier.timm_network(_timm(config))
    names = ["conv1", "bn1", "act1", "conv2", "bn2", "act2", *(f"block{i}" for i in range(1, 8))]
    rest = [*(f"block{i}" for i in range(8, 13)), "conv3", "bn3", "act3", "conv4", "bn4", "act4"]
    before, after = ([network.get_submodule(n) for n in part] for part in (names, rest))
    after += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return FFD(nn.Sequential(*before), nn.Sequential(*after), 728, 2048, config)


def _timm(config: FFDConfig) -> TimmClassifierConfig:
    return TimmClassifierConfig(XCEPTION, config.pretrained)


def _build(config: FFDConfig) -> FFD:
    return _small(config) if config.backbone == "small" else _xception(config)


def _weights(config: FFDConfig) -> Weights | None:
    if config.backbone == "small":
        return None
    return timm_classifier.METHOD.weights(_timm(config))


def _check(config: FFDConfig) -> None:
    if config.backbone != "small":
        timm_classifier.METHOD.check(_timm(config))


METHOD = Method(
    FFDConfig,
    _build,
    _weights,
    _check,
    paper="Tables 2 and 3: FFD",
    code=("methods/timm_classifier.py",),
    libraries=("timm",),
)
