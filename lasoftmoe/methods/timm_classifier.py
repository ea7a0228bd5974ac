"""A ResNet with one output: the plain image classifier of the paper's Tables 2 and 3.

The paper names ResNet-50 and nothing of its training; Tables 2 and 3 cite LeCun et al. 1998 for
it, the network is that of He et al. 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.clip import to_unit_range
from lasoftmoe.detector import Detector
from lasoftmoe.experiment.config import DetectorConfig, ResNetConfig

CHANNELS = (64, 128, 256, 512)
"""Channels of the four stages of every ResNet in timm, before a bottleneck multiplies them."""


class ResNetDetector(Detector):
    """A ResNet whose one output is the logit of "attack", trained with binary cross-entropy.

    Args:
        network: a ResNet of timm with one output.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            values = torch.tensor(network.pretrained_cfg[name]).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def embed(self, images: Tensor) -> Tensor:
        """L2-normalized features before the last layer, (batch, features), for pictures of them."""
        return F.normalize(self._features(images), dim=-1)

    def attack_score(self, images: Tensor) -> Tensor:
        """The logit of "attack", (batch,); images uint8 or floating point in [0, 1]."""
        return self.network.get_classifier()(self._features(images)).squeeze(1)

    def training_loss(self, batch: dict[str, Any]) -> Tensor:
        """Binary cross-entropy of one batch."""
        logits = self.attack_score(batch["image"])
        return F.binary_cross_entropy_with_logits(logits, batch["is_attack"].to(logits.dtype))

    def _features(self, images: Tensor) -> Tensor:
        """Pooled features, (batch, features), at the images' own size."""
        pixels = (to_unit_range(images) - self.mean) / self.std
        return self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)


def build_resnet(config: DetectorConfig, seed: int) -> ResNetDetector:
    """The ResNet that ``config.resnet`` names, its random weights fixed by ``seed``.

    Raises:
        ValueError: no ResNet of timm has that name, or no weights that tag.
        FileNotFoundError: a weights file that is not there.
    """
    resnet = config.resnet
    _check_name(resnet)
    torch.manual_seed(seed)
    channels = [max(8, round(width * resnet.width)) for width in CHANNELS]
    file = resnet.pretrained if resnet.pretrained and Path(resnet.pretrained).suffix else None
    name = f"{resnet.name}.{resnet.pretrained}" if resnet.pretrained and not file else resnet.name
    overlay = {"file": file} if file else None
    network = timm.create_model(
        name,
        pretrained=resnet.pretrained is not None,
        pretrained_cfg_overlay=overlay,
        num_classes=1,
        channels=channels,
    )
    return ResNetDetector(network)


def _check_name(config: ResNetConfig) -> None:
    if config.name not in timm.list_models("*resnet*", module="resnet"):
        raise ValueError(
            f"timm has no ResNet named {config.name!r}; use resnet10t, resnet50 or another name of "
            "timm.list_models('*resnet*', module='resnet')"
        )
    if config.pretrained is None:
        return
    if Path(config.pretrained).suffix:
        if not Path(config.pretrained).is_file():
            raise FileNotFoundError(f"the weights {config.pretrained} are not there")
        return
    known = [tag.partition(".")[2] for tag in timm.list_pretrained(f"{config.name}.*")]
    if config.pretrained not in known:
        raise ValueError(
            f"{config.name} has no weights tagged {config.pretrained!r}; expected one of "
            f"{', '.join(known)}, a safetensors file, or null for random weights"
        )
