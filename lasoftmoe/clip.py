"""A CLIP behind one small interface, and the MoE branch of Algorithm 1 inside its blocks.

``load_clip`` returns the embedded small CLIP or any CLIP that open_clip can build (the paper's is
``ViT-B-16-quickgelu`` with the weights ``openai``). ``add_moe`` puts a branch beside the MLP of
each block without touching open_clip's code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from pydantic.dataclasses import dataclass as settings
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.moe import MoEConfig, build_moe
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS, build_small_clip, read_description
from lasoftmoe.weights_files import copy_into, read_weights


@settings(frozen=True, config=CHECKED)
class ClipConfig:
    """Which CLIP to start from.

    ``name="small"`` is the embedded model; any open_clip architecture name works too
    (the paper's is ``ViT-B-16-quickgelu``). ``pretrained`` is ``"embedded"`` (small only),
    an open_clip tag such as ``"openai"``, a path to safetensors, or ``None`` for random weights.
    """

    name: str = "small"
    pretrained: str | None = "embedded"


@dataclass(frozen=True)
class ClipBundle:
    """A CLIP model with everything that must go with it.

    Attributes:
        model: has ``encode_image``, ``encode_text``, ``visual`` and ``logit_scale`` (a logarithm).
        tokenize: texts to token ids, (number of texts, context length).
        image_size: pixels of one side of the square input of the vision tower.
        mean, std: what ``preprocess`` subtracts from RGB in [0, 1] and divides by.
        name: the architecture's name.
    """

    model: nn.Module
    tokenize: Callable[[Sequence[str]], Tensor]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    name: str = "small"

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are now."""
        return self.model.logit_scale.device

    def preprocess(self, images: Tensor) -> Tensor:
        """What the vision tower expects; differentiable if ``images`` is floating point.

        Args:
            images: RGB, (batch, 3, h, w), uint8 in 0..255 or floating point in [0, 1].

        Returns:
            (batch, 3, image_size, image_size), normalized. Another size is resized bicubically
            with antialiasing (h and w separately, so crop to a square first) and clamped to [0, 1].

        Raises:
            TypeError: neither uint8 nor floating point.
            ValueError: another shape, or floating point values far outside [0, 1].
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"Expected images (batch, 3, h, w), got {tuple(images.shape)}.")
        # Resizing is not implemented, or not exact, in half precision.
        dtype = self.model.logit_scale.dtype
        pixels = to_unit_range(images, torch.promote_types(dtype, torch.float32))
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean = pixels.new_tensor(self.mean).view(3, 1, 1)
        std = pixels.new_tensor(self.std).view(3, 1, 1)
        return ((pixels - mean) / std).to(dtype)

    def embed_images(self, images: Tensor) -> Tensor:
        """L2-normalized embeddings, (batch, embed), of images as ``preprocess`` takes them."""
        return F.normalize(self.model.encode_image(self.preprocess(images)), dim=-1)


def load_clip(
    name: str = "small",
    pretrained: str | None = "embedded",
    device: str | torch.device = "cpu",
) -> ClipBundle:
    """The CLIP ``name`` in eval mode on ``device``.

    Args:
        name: ``"small"`` or an architecture of open_clip.
        pretrained: ``"embedded"`` (small only), a tag of open_clip (``"openai"``), the path of a
            safetensors file, or ``None`` for random weights from torch's global generator.

    Raises:
        ValueError: unknown name or tag, or weights of another shape.
        FileNotFoundError: a weights file that is not there.
        ConnectionError: weights that have to be downloaded and cannot be.
    """
    bundle = _load_small(pretrained) if name == "small" else _load_open_clip(name, pretrained)
    bundle.model.to(device).eval()
    return bundle


def _load_small(pretrained: str | None) -> ClipBundle:
    if pretrained is None or pretrained == "embedded":
        weights = EMBEDDED_WEIGHTS
    elif pretrained.endswith(".safetensors"):
        weights = Path(pretrained)
    else:
        raise ValueError(
            f"The small CLIP has no weights {pretrained!r}; expected 'embedded', the path of a "
            ".safetensors file or None for random weights."
        )
    config, tokenizer, _ = read_description(weights.with_suffix(".json"))
    model = build_small_clip(config, tokenizer.vocab_size)
    if pretrained is not None:
        copy_into(model, read_weights(weights), weights)
    return ClipBundle(model, tokenizer, config.image_size, config.mean, config.std, "small")


def _load_open_clip(name: str, pretrained: str | None) -> ClipBundle:
    _check_open_clip_request(name, pretrained)
    try:
        # torch's default device: "meta" when only sizes are wanted
        device = torch.get_default_device()
        model = open_clip.create_model(name, pretrained, device=device, weights_only=True)
    except Exception as error:
        raise _explain(error, name, pretrained) from error
    settings = open_clip.get_model_preprocess_cfg(model)
    size = settings["size"]
    return ClipBundle(
        model,
        open_clip.get_tokenizer(name),
        image_size=size if isinstance(size, int) else size[0],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        name=name,
    )


def _check_open_clip_request(name: str, pretrained: str | None) -> None:
    if ":" in name:  # hf-hub:… and local-dir:… bring their weights with them
        return
    if name.replace("/", "-") not in open_clip.list_models():
        raise ValueError(
            f"There is no CLIP named {name!r}. Use 'small', 'ViT-B-16-quickgelu' (the paper's) or "
            "another name of open_clip.list_models()."
        )
    if pretrained is None:
        return
    tags = open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))
    if pretrained in tags:
        return
    if Path(pretrained).suffix:
        if not Path(pretrained).is_file():
            raise FileNotFoundError(f"The weights {pretrained} for {name} are not there.")
        return
    raise ValueError(
        f"{name} has no weights tagged {pretrained!r}; expected one of {', '.join(tags)}, the path "
        "of a .safetensors file, or None for random weights."
    )


def _explain(error: Exception, name: str, pretrained: str | None) -> Exception:
    if pretrained is not None and Path(pretrained).is_file():
        return ValueError(f"The weights in {pretrained} do not fit {name}: {error}")
    return ConnectionError(
        f"The weights {pretrained!r} of {name} are not on this machine and could not be "
        f"downloaded ({error}).\nOn a machine with a connection run\n"
        f"    python -c \"import open_clip; open_clip.create_model('{name}', '{pretrained}')\"\n"
        "and copy its Hugging Face cache (the folder that HF_HOME names, ~/.cache/huggingface "
        "by default) to the same place here; or pass the path of a downloaded .safetensors file "
        "as `pretrained`. The small CLIP (name='small') needs no download."
    )


class MLPWithMoE(nn.Sequential):
    """A block's MLP and a MoE branch that reads the same input: ``mlp(x) + moe(x)``.

    Paper, Algorithm 1: ``X = X + mlp(X) + La-SoftMoE(X)``. The children keep the names that they
    had inside open_clip's MLP, so a state dict of plain CLIP lacks nothing but ``moe.*``.
    """

    def __init__(self, mlp: nn.Sequential, moe: nn.Module) -> None:
        super().__init__(OrderedDict(mlp.named_children()))
        self.moe = moe

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) in and out."""
        hidden = x
        for name, layer in self.named_children():
            if name != "moe":
                hidden = layer(hidden)
        return hidden + self.moe(x)


def add_moe(
    visual: nn.Module, config: MoEConfig, generator: torch.Generator | None = None
) -> nn.Module:
    """Put a MoE branch beside the MLP of the blocks of a vision tower, in place.

    The last layer of the branch starts at zero, so that the tower computes bit for bit what it
    did before until a first training step. Both MLP and branch read the output of the block's
    second layer norm; Algorithm 1 writes X without it, but pretrained CLIP needs it.

    Args:
        visual: the vision tower, ``bundle.model.visual``.
        config: kind, sizes and which blocks; ``kind="none"`` changes nothing.
        generator: makes the initial weights reproducible; None draws from torch's global one.

    Returns:
        ``visual`` itself.

    Raises:
        ValueError: a tower without transformer blocks (ResNet), one that runs them sequence
            first (open_clip before 2.26), a block that is not there or has a branch already.
    """
    if config.kind == "none":
        return visual
    blocks = _transformer_blocks(visual)
    chosen = range(len(blocks)) if config.blocks is None else config.blocks
    wrong = [i for i in chosen if not 0 <= i < len(blocks)]
    if wrong or len(set(chosen)) != len(chosen):
        raise ValueError(
            f"MoEConfig.blocks = {list(chosen)}: expected distinct numbers from 0 to "
            f"{len(blocks) - 1}, since this tower has {len(blocks)} blocks."
        )
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            draw = torch.randint(2**62, (), generator=generator, device=generator.device)
            torch.manual_seed(int(draw))  # the named device also under `with torch.device("meta")`
        for i in chosen:
            blocks[i].mlp = _with_branch(blocks[i].mlp, config)
    return visual


def _transformer_blocks(visual: nn.Module) -> nn.ModuleList:
    transformer = getattr(visual, "transformer", None)
    blocks = getattr(transformer, "resblocks", None)
    if not blocks or not all(hasattr(getattr(b, "mlp", None), "c_fc") for b in blocks):
        raise ValueError(
            f"{type(visual).__name__} has no transformer blocks with an MLP as open_clip's "
            "VisionTransformer has (a ResNet CLIP?); choose a ViT such as ViT-B-16-quickgelu."
        )
    if not getattr(transformer, "batch_first", False):
        raise ValueError(
            "This open_clip runs its blocks sequence first, where a MoE would mix the images of a "
            "batch. Install open_clip_torch 3.3 or later."
        )
    return blocks


def _with_branch(mlp: nn.Sequential, config: MoEConfig) -> MLPWithMoE:
    if hasattr(mlp, "moe"):
        raise ValueError("This block has a MoE branch already; load the CLIP afresh.")
    weight = mlp.c_fc.weight
    moe = build_moe(mlp.c_fc.in_features, config).to(device=weight.device, dtype=weight.dtype)
    return MLPWithMoE(mlp, moe)


def moe_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that ``add_moe`` put into ``model``, a CLIP or its vision tower."""
    return [p for name, p in model.named_parameters() if "moe" in name.split(".")]
