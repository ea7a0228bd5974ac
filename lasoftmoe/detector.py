"""What every method is to the rest of the package, and the detector that CLIP makes.

Training and evaluation know nothing about a method but ``training_loss(batch)`` and
``attack_score(images)``. A batch is a dictionary: ``image`` uint8 (batch, 3, h, w), ``is_attack``
bool (batch,), and the lists ``attack_type`` and ``id``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from lasoftmoe import losses
from lasoftmoe.clip import ClipBundle, add_moe, load_clip, moe_parameters
from lasoftmoe.experiment.config import DetectorConfig
from lasoftmoe.moe import capture_routing, routing_loss
from lasoftmoe.prompts import CLASSES, class_prompts, text_embeddings
from lasoftmoe.training.processes import gather

MAX_LOGIT_SCALE = 100.0
"""CLIP's own bound (Radford et al. 2021, section 2.5)."""


class Detector(nn.Module, ABC):
    """A method of face attack detection."""

    @abstractmethod
    def training_loss(self, batch: dict[str, Any]) -> Tensor:
        """The loss of one batch, a scalar to minimize."""

    @abstractmethod
    def attack_score(self, images: Tensor) -> Tensor:
        """One number per image, (batch,), higher for attacks. Differentiable in float images."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by name of group; groups may get learning rates of their own."""
        return {"model": [p for p in self.parameters() if p.requires_grad]}


class ClipDetector(Detector):
    """CLIP compared with two texts, one that says live and one that says fake.

    Args:
        bundle: the CLIP, with or without MoE branches.
        config: the prompt, the loss and whether the text tower is frozen.
    """

    def __init__(self, bundle: ClipBundle, config: DetectorConfig) -> None:
        super().__init__()
        self.clip = bundle.model
        self.bundle = bundle
        self.config = config
        prompts = class_prompts(config.prompt)
        self.class_texts = [prompts[name] for name in CLASSES]
        self._cached_class_embeddings: Tensor | None = None
        if config.freeze_text:
            for parameter in text_parameters(self.clip):
                parameter.requires_grad_(False)
        self.register_load_state_dict_post_hook(lambda module, _: module._forget_texts())

    @property
    def logit_scale(self) -> Tensor:
        """What cosines are multiplied by, a scalar; trained, at most 100."""
        return self.clip.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def embed(self, images: Tensor) -> Tensor:
        """L2-normalized image embeddings, (batch, embed); images as ``preprocess`` takes them."""
        return self.bundle.embed_images(images)

    def class_embeddings(self) -> Tensor:
        """L2-normalized embeddings of the live and the fake text, (2, embed).

        Encoded anew at each call while the text tower is being trained, since its weights move;
        otherwise encoded once and kept, without gradients.
        """
        if self.training and not self.config.freeze_text:
            return text_embeddings(self.bundle, self.class_texts)
        if self._cached_class_embeddings is None:
            # normal tensors even inside inference_mode: a later attack sends gradients past them
            with torch.inference_mode(False), torch.no_grad():
                self._cached_class_embeddings = text_embeddings(self.bundle, self.class_texts)
        return self._cached_class_embeddings

    def training_loss(self, batch: dict[str, Any]) -> Tensor:
        """The loss that the configuration names, on one batch (Eq. 1 or an alternative).

        Sparse branches (``moe.kind="topk"``) add their balance loss and z-loss to it.
        """
        if self.config.moe.kind != "topk":
            return self._class_loss(self.embed(batch["image"]), batch["is_attack"])
        with capture_routing(self.clip.visual, detach=False) as routing:
            image_embeddings = self.embed(batch["image"])
        loss = self._class_loss(image_embeddings, batch["is_attack"])
        return loss + routing_loss(routing, self.config.moe)

    def _class_loss(self, image_embeddings: Tensor, is_attack: Tensor) -> Tensor:
        class_embeddings = self.class_embeddings()
        if self.config.loss == "class_prompt_cross_entropy":
            return losses.class_prompt_cross_entropy(
                image_embeddings, class_embeddings, is_attack, self.logit_scale
            )
        # Eq. 1 compares every image of a step with every caption, those of other processes too.
        image_embeddings, is_attack = gather(image_embeddings), gather(is_attack)
        captions = class_embeddings[is_attack.long()]
        if self.config.loss == "clip_contrastive":
            return losses.clip_contrastive(image_embeddings, captions, self.logit_scale)
        return losses.multi_positive_contrastive(
            image_embeddings, captions, is_attack.long(), self.logit_scale
        )

    def attack_score(self, images: Tensor) -> Tensor:
        """``logit_scale * (cos(image, fake) - cos(image, live))``, (batch,)."""
        live, fake = self.class_embeddings()
        return self.logit_scale * (self.embed(images) @ (fake - live))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters of CLIP and of the MoE branches (empty without branches)."""
        branches = {id(p) for p in moe_parameters(self)}
        trainable = [p for p in self.parameters() if p.requires_grad]
        return {
            "clip": [p for p in trainable if id(p) not in branches],
            "moe": [p for p in trainable if id(p) in branches],
        }

    def train(self, mode: bool = True) -> ClipDetector:
        """As ``nn.Module.train``; forgets the cached texts, whose weights may move now."""
        self._forget_texts()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> ClipDetector:
        self._forget_texts()  # .to(device), .half() and the like
        return super()._apply(*args, **kwargs)

    def _forget_texts(self) -> None:
        self._cached_class_embeddings = None


def text_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of CLIP's text tower: all but the vision tower and the logit scale."""
    return [
        parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(("visual.", "logit_"))
    ]


BUILDERS = {
    "clip": "lasoftmoe.detector:build_clip_detector",
    "resnet": "lasoftmoe.methods.timm_classifier:build_resnet",
}
"""Where each kind of detector is built; as words, since the methods' modules need this one."""


def build_detector(config: DetectorConfig, seed: int) -> Detector:
    """A detector as configured; ``seed`` fixes every random weight and nothing else.

    Under ``with torch.device("meta")`` and without pretrained weights, only its shape is built.

    Raises:
        what the builder of its kind raises (``BUILDERS``).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return resolve_name(BUILDERS[config.kind])(config, seed)


def build_clip_detector(config: DetectorConfig, seed: int) -> ClipDetector:
    """CLIP with the configured branch, prompt and loss.

    Raises:
        what ``load_clip``, ``add_moe`` and ``class_prompts`` raise.
    """
    clip = config.clip
    bundle = load_clip(clip.name, clip.pretrained, device=torch.get_default_device())
    add_moe(bundle.model.visual, config.moe, torch.Generator().manual_seed(seed))
    return ClipDetector(bundle, config)
