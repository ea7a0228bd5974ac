"""ViT-B/16 of the paper's Tables 2 and 3 (Dosovitskiy et al. 2021), and a small ViT for two cores.

The small one is the vision tower of the embedded small CLIP, without its texts. Next to the row of
CLIP it shows what the words add.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.clip import CLIP_CODE, ClipBundle, load_clip
from lasoftmoe.clip_request import check_request
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.methods import timm_classifier
from lasoftmoe.methods.timm_classifier import TimmClassifier, TimmClassifierConfig
from lasoftmoe.settings import CHECKED
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS


@dataclass(frozen=True, config=CHECKED)
class ViTConfig(MethodConfig):
    """A Vision Transformer.

    ``name`` is ``"small"`` for the small CLIP's vision tower, or a network of timm. ``pretrained``
    is ``"embedded"`` (small only), a tag of timm's weights, the path of a safetensors file, or
    ``None`` for random weights.
    """

    kind: ClassVar[str] = "vit"
    name: str = "small"
    pretrained: str | None = "embedded"


class VisionTower(nn.Module):
    """CLIP's vision tower without its last projection, with one output.

    It has the methods of a timm network that :class:`TimmClassifier` calls.

    Args:
        bundle: a CLIP of open_clip; its vision tower is taken, not copied.
    """

    def __init__(self, bundle: ClipBundle) -> None:
        super().__init__()
        self.visual = bundle.visual
        self.visual.register_parameter("proj", None)
        self.head = nn.Linear(self.visual.ln_post.normalized_shape[0], 1)
        self.image_size = bundle.image_size
        self.pretrained_cfg = {"mean": bundle.mean, "std": bundle.std}

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Return the class token after the last norm, (batch, width), of normalized pixels."""
        if pixels.shape[-1] != self.image_size:
            size = (self.image_size, self.image_size)
            resized = F.interpolate(pixels.float(), size, mode="bicubic", antialias=True)
            pixels = resized.to(pixels.dtype)  # half precision cannot be resized
        return self.visual(pixels)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the features, or the output, (batch, 1)."""
        return features if pre_logits else self.head(features)

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


def _timm(config: ViTConfig) -> TimmClassifierConfig:
    return TimmClassifierConfig(config.name, config.pretrained)


def _build(config: ViTConfig) -> TimmClassifier:
    """Build the network that ``config`` names.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: See ``load_clip`` and ``timm_classifier``.
    """
    if config.name == "small":
        bundle = load_clip("small", config.pretrained, torch.get_default_device())
        with torch.device(bundle.device):
            return TimmClassifier(VisionTower(bundle), config)
    return TimmClassifier(timm_classifier.timm_network(_timm(config)), config)


def _weights(config: ViTConfig) -> Weights | None:
    if config.name != "small" or config.pretrained != "embedded":
        return timm_classifier.METHOD.weights(_timm(config))
    files = (EMBEDDED_WEIGHTS, EMBEDDED_WEIGHTS.with_suffix(".json"))
    return Weights(config.name, config.pretrained, files)


def _check(config: ViTConfig) -> None:
    if config.name == "small":
        check_request("small", config.pretrained)
    else:
        timm_classifier.METHOD.check(_timm(config))


METHOD = Method(
    ViTConfig,
    _build,
    _weights,
    _check,
    paper="Tables 2 and 3: VIT-B/16",
    code=(*CLIP_CODE, "methods/timm_classifier.py"),
    libraries=("open_clip_torch", "timm"),
)
