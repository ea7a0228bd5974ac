"""CLIP with one text for live and one for fake, with or without a MoE branch."""

from __future__ import annotations

from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from open_clip.pretrained import get_pretrained_cfg
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from lasoftmoe import losses
from lasoftmoe.clip import CLIP_CODE, ClipBundle, ClipConfig, add_moe, load_clip, moe_parameters
from lasoftmoe.clip_request import check_request
from lasoftmoe.detector import Batch, Detector, Group
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.moe import MoEConfig, capture_routing, routing_loss
from lasoftmoe.prompts import CLASSES, class_prompts, text_embeddings
from lasoftmoe.settings import CHECKED
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS
from lasoftmoe.training.processes import gather
from lasoftmoe.weights_files import names_file


@dataclass(frozen=True, config=CHECKED)
class ClipDetectorConfig(MethodConfig):
    """Settings of the CLIP, its MoE branch, the prompt, and the loss."""

    kind: ClassVar[str] = "clip"
    clip: ClipConfig = field(default_factory=ClipConfig)
    moe: MoEConfig = field(default_factory=MoEConfig)
    prompt: str = "T-8"
    loss: Literal[
        "class_prompt_cross_entropy", "clip_contrastive", "multi_positive_contrastive"
    ] = "class_prompt_cross_entropy"
    freeze_text: bool = False

    def __post_init__(self) -> None:
        """Refuse a prompt that is not a template."""
        class_prompts(self.prompt)

    def deciding(self) -> dict[str, Any]:
        """Return the settings, without fields of the branch that its kind does not read."""
        return {**asdict(self), "moe": self.moe.deciding()}

    def unloaded(self) -> Self:
        """Return the same network with random weights."""
        return replace(self, clip=replace(self.clip, pretrained=None))


class ClipDetector(Detector):
    """Detector that compares CLIP's image embeddings with a live and a fake text.

    Args:
        bundle: The CLIP, with or without MoE branches.
        config: The prompt, the loss, and whether the text tower is frozen.
    """

    def __init__(self, bundle: ClipBundle, config: ClipDetectorConfig) -> None:
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
        """The learned factor of the cosines, a scalar of at most 100."""
        return self.bundle.logit_scale

    def embed(self, images: Tensor) -> Tensor:
        """Return L2-normalized image embeddings, (batch, embed)."""
        return self.bundle.embed_images(images)

    def class_embeddings(self) -> Tensor:
        """Return L2-normalized embeddings of the live and the fake text, (2, embed).

        While the text tower is being trained, each call encodes them again. Otherwise they are
        encoded once and cached, without gradients.
        """
        if self.training and not self.config.freeze_text:
            return text_embeddings(self.bundle, self.class_texts)
        if self._cached_class_embeddings is None:
            # Not inference tensors: a later attack may need gradients of scores that use them.
            with torch.inference_mode(False), torch.no_grad():
                self._cached_class_embeddings = text_embeddings(self.bundle, self.class_texts)
        return self._cached_class_embeddings

    def training_loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Return the configured loss of one batch (Eq. 1 or an alternative).

        Sparse branches (``moe.kind="topk"``) add a second term, their balance loss and z-loss.
        """
        if self.config.moe.kind != "topk":
            return self._class_loss(self.embed(batch["image"]), batch["is_attack"])
        with capture_routing(self.bundle.visual, detach=False) as routing:
            image_embeddings = self.embed(batch["image"])
        return {
            "class": self._class_loss(image_embeddings, batch["is_attack"]),
            "routing": routing_loss(routing, self.config.moe),
        }

    def _class_loss(self, image_embeddings: Tensor, is_attack: Tensor) -> Tensor:
        class_embeddings = self.class_embeddings()
        if self.config.loss == "class_prompt_cross_entropy":
            return losses.class_prompt_cross_entropy(
                image_embeddings, class_embeddings, is_attack, self.logit_scale
            )
        # Eq. 1 compares every image of a step with every caption, also of other processes.
        image_embeddings, is_attack = gather(image_embeddings), gather(is_attack)
        captions = class_embeddings[is_attack.long()]
        if self.config.loss == "clip_contrastive":
            return losses.clip_contrastive(image_embeddings, captions, self.logit_scale)
        return losses.multi_positive_contrastive(
            image_embeddings, captions, is_attack.long(), self.logit_scale
        )

    def attack_score(self, images: Tensor) -> Tensor:
        """Return ``logit_scale * (cos(image, fake) - cos(image, live))``, (batch,)."""
        live, fake = self.class_embeddings()
        return self.logit_scale * (self.embed(images) @ (fake - live))

    def parameter_groups(self) -> dict[str, Group]:
        """Return the trainable parameters of CLIP and of the MoE branches, if there are any."""
        branches = {id(p) for p in moe_parameters(self)}
        trainable = [p for p in self.parameters() if p.requires_grad]
        groups = {
            "clip": Group([p for p in trainable if id(p) not in branches]),
            "moe": Group([p for p in trainable if id(p) in branches]),
        }
        return {name: group for name, group in groups.items() if group.parameters}

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    def train(self, mode: bool = True) -> Self:
        """Set the mode as ``nn.Module.train`` does, and forget the cached texts."""
        self._forget_texts()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._forget_texts()  # .to(device), .half(), and the like
        return super()._apply(*args, **kwargs)

    def _forget_texts(self) -> None:
        self._cached_class_embeddings = None


def text_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of CLIP's text tower: all but the vision tower and the logit scale."""
    return [
        parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(("visual.", "logit_"))
    ]


def _build(config: ClipDetectorConfig) -> ClipDetector:
    # Created first, so that a branch gets the same weights for a pretrained and a random CLIP.
    generator = torch.Generator().manual_seed(torch.initial_seed())
    clip = config.clip
    bundle = load_clip(clip.name, clip.pretrained, device=torch.get_default_device())
    add_moe(bundle.visual, config.moe, generator)
    return ClipDetector(bundle, config)


def _weights(config: ClipDetectorConfig) -> Weights:
    name, tag = config.clip.name, config.clip.pretrained
    found = Weights(name, tag, field="detector.clip.pretrained")
    if tag is None:
        return found
    if tag == "embedded":
        return replace(found, files=(EMBEDDED_WEIGHTS, EMBEDDED_WEIGHTS.with_suffix(".json")))
    known = get_pretrained_cfg(name, tag)
    if not known and names_file(tag):
        return replace(found, files=(Path(tag),))
    hub = known.get("hf_hub", "")
    call = f"import open_clip; open_clip.create_model('{name}', '{tag}')"
    return replace(found, hub=hub, call=call)


def _check(config: ClipDetectorConfig) -> None:
    check_request(config.clip.name, config.clip.pretrained, branch=config.moe.kind != "none")


METHOD = Method(
    ClipDetectorConfig,
    _build,
    _weights,
    _check,
    paper="Table 6: vanilla CLIP, CLIP + Soft MoE, CLIP + La-SoftMoE",
    code=(*CLIP_CODE, "losses.py", "prompts.py"),
    libraries=("open_clip_torch",),
)
