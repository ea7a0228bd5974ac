"""A timm image classifier with one output, such as the paper's ResNet-50 (Tables 2 and 3).

The paper says nothing about the training of its ResNet-50. Its tables cite LeCun et al. 1998; the
network is from He et al. 2016.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import timm
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.detector import Batch, Detector
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED, Positive
from lasoftmoe.weights_files import check_types, check_weights_file, names_file

CHANNELS = (64, 128, 256, 512)
"""Channels of the four stages of every ResNet in timm, before a bottleneck multiplies them."""


@dataclass(frozen=True, config=CHECKED)
class TimmClassifierConfig(MethodConfig):
    """Settings of a timm network.

    ``pretrained`` is a tag of timm's weights for ``name`` (such as ``"tv_in1k"``), the path of a
    safetensors file, or ``None`` for random weights. ``width`` multiplies the channels of a
    ResNet's four stages; pretrained weights and other networks need ``width=1``.
    """

    kind: ClassVar[str] = "timm_classifier"
    name: str = "resnet10t"
    pretrained: str | None = None
    width: Positive = 1.0

    def __post_init__(self) -> None:
        """Reject a width that does not fit the weights or the network."""
        if self.width != 1 and self.pretrained:
            raise ValueError(
                f"pretrained weights {self.pretrained!r} have width 1, not {self.width}; set "
                "pretrained to null or width to 1"
            )
        if self.width != 1 and not _is_resnet(self.name):
            raise ValueError(f"only a ResNet has a width; set it to 1 for {self.name!r}")


class TimmClassifier(Detector):
    """A network with one output, the logit of "attack", trained with binary cross-entropy.

    Args:
        network: A timm model with one output.
        config: The settings it was built from.
    """

    def __init__(self, network: nn.Module, config: MethodConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        for name in ("mean", "std"):
            values = torch.tensor(network.pretrained_cfg[name]).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def embed(self, images: Tensor) -> Tensor:
        """Return L2-normalized features before the last layer, (batch, features)."""
        return F.normalize(self._features(images), dim=-1)

    def attack_score(self, images: Tensor) -> Tensor:
        """Return the logit of "attack", (batch,)."""
        return self.network.get_classifier()(self._features(images)).squeeze(1)

    def training_loss(self, batch: Batch) -> Tensor:
        """Return the binary cross-entropy of one batch."""
        logits = self.attack_score(batch["image"])
        return F.binary_cross_entropy_with_logits(logits, batch["is_attack"].to(logits.dtype))

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    def _features(self, images: Tensor) -> Tensor:
        """Pooled features, (batch, features), at the images' own size."""
        pixels = (to_unit_range(images, next(self.parameters()).dtype) - self.mean) / self.std
        return self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)


def timm_network(config: TimmClassifierConfig) -> nn.Module:
    """Return the network that ``config`` names, with one output.

    Raises:
        ValueError: if timm has no such network or no such weights.
        FileNotFoundError: if a weights file is missing.
    """
    _check(config)
    file = config.pretrained if _is_file(config) else None
    tagged = config.pretrained and not file
    options: dict[str, Any] = {}
    if config.width != 1:
        options["channels"] = [max(8, round(width * config.width)) for width in CHANNELS]
    network = timm.create_model(
        f"{config.name}.{config.pretrained}" if tagged else config.name,
        pretrained=config.pretrained is not None,
        pretrained_cfg_overlay={"file": file} if file else None,
        num_classes=1,
        **options,
    )
    if file:
        check_types(network, Path(file))
    return network


def _build(config: TimmClassifierConfig) -> TimmClassifier:
    return TimmClassifier(timm_network(config), config)


def _is_resnet(name: str) -> bool:
    return name in timm.list_models("*resnet*", module="resnet")


def _is_file(config: TimmClassifierConfig) -> bool:
    tag = config.pretrained
    return bool(tag and tag not in _tags(config.name) and names_file(tag))


def _tags(name: str) -> list[str]:
    return [tag.partition(".")[2] for tag in timm.list_pretrained(f"{name}.*")]


def _check(config: TimmClassifierConfig) -> None:
    if config.name not in timm.list_models():
        raise ValueError(
            f"timm has no network named {config.name!r}; use resnet10t, resnet50, "
            "vit_base_patch16_224, or another name from timm.list_models()"
        )
    known = _tags(config.name)
    if config.pretrained is None or config.pretrained in known:
        return
    if not names_file(config.pretrained):
        raise ValueError(
            f"{config.name} has no weights tagged {config.pretrained!r}; expected one of "
            f"{', '.join(known)}, a safetensors file, or null for random weights"
        )
    check_weights_file(Path(config.pretrained))


def _weights(config: TimmClassifierConfig) -> Weights:
    found = Weights(config.name, config.pretrained)
    if config.pretrained is None:
        return found
    if _is_file(config):
        return replace(found, files=(Path(config.pretrained),))
    name = f"{config.name}.{config.pretrained}"
    known = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
    hub = f"{known.hf_hub_id}/model.safetensors" if known and known.hf_hub_id else ""
    call = f"import timm; timm.create_model('{name}', pretrained=True)"
    return replace(found, hub=hub, call=call)


METHOD = Method(
    TimmClassifierConfig,
    _build,
    _weights,
    _check,
    paper="Tables 2 and 3: ResNet50, VIT-B/16",
    libraries=("timm",),
)
