"""A CLIP behind one small interface.

``load_clip`` returns the embedded small CLIP or any CLIP that open_clip can build (the paper's is
``ViT-B-16-quickgelu`` with the weights ``openai``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from pydantic.dataclasses import dataclass as settings
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.clip_request import check_request
from lasoftmoe.moe.branch import add_moe, moe_parameters
from lasoftmoe.pixels import to_unit_range
from lasoftmoe.settings import CHECKED
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS, build_small_clip, read_description
from lasoftmoe.weights_files import check_types, copy_into, read_weights

__all__ = ["ClipBundle", "ClipConfig", "add_moe", "load_clip", "moe_parameters"]


_LAYERS = (
    "adapter", "branch", "build", "checks", "experts", "la_soft_moe", "linear_attention",
    "numerics", "routing", "self_attention", "soft_moe", "softmax_attention", "sparse_moe",
)  # fmt: skip
CLIP_CODE = (
    "clip.py",
    "clip_request.py",
    *(f"moe/{name}.py" for name in _LAYERS),
    "small_clip",
    "weights_files.py",
)
"""Files that a CLIP with or without branches executes, for ``Method.code``."""
MAX_LOGIT_SCALE = 100.0
"""CLIP's own bound (Radford et al. 2021, section 2.5)."""


@settings(frozen=True, config=CHECKED)
class ClipConfig:
    """The CLIP to start from: ``name`` and ``pretrained`` of :func:`load_clip`."""

    name: str = "small"
    pretrained: str | None = "embedded"


@dataclass(frozen=True)
class ClipBundle:
    """A CLIP model with its tokenizer and preprocessing.

    Attributes:
        model: Has ``encode_image``, ``encode_text``, ``visual``, and ``logit_scale`` (a logarithm).
        tokenize: Turns texts into token ids, (texts, context length).
        image_size: Side of the vision tower's square input, in pixels.
        mean, std: Constants that ``preprocess`` subtracts from RGB in [0, 1] and divides by.
        name: Name of the architecture.
    """

    model: nn.Module
    tokenize: Callable[[Sequence[str]], Tensor]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    name: str = "small"

    @property
    def logit_scale(self) -> Tensor:
        """The learned factor of the cosines, a scalar of at most 100."""
        return self.model.get_parameter("logit_scale").exp().clamp(max=MAX_LOGIT_SCALE)

    @property
    def visual(self) -> nn.Module:
        """The vision tower."""
        return self.model.get_submodule("visual")

    @property
    def device(self) -> torch.device:
        """The device of the model's parameters."""
        return next(self.model.parameters()).device

    def preprocess(self, images: Tensor) -> Tensor:
        """Resize and normalize images for the vision tower.

        Differentiable if ``images`` is floating point.

        Args:
            images: RGB, (batch, 3, h, w), uint8 in 0 to 255 or floating point in [0, 1].

        Returns:
            (batch, 3, image_size, image_size), normalized. Other sizes are resized bicubically
            with antialiasing (h and w separately, so crop to a square first) and clamped to [0, 1].

        Raises:
            TypeError: If ``images`` is neither uint8 nor floating point.
            ValueError: If its shape is wrong or its values are far outside [0, 1].
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"Expected images (batch, 3, h, w), got {tuple(images.shape)}.")
        # Resizing is not implemented, or not exact, in half precision.
        dtype = next(self.model.parameters()).dtype
        pixels = to_unit_range(images, torch.promote_types(dtype, torch.float32))
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean = pixels.new_tensor(self.mean).view(3, 1, 1)
        std = pixels.new_tensor(self.std).view(3, 1, 1)
        return ((pixels - mean) / std).to(dtype)

    def embed_images(self, images: Tensor) -> Tensor:
        """Return L2-normalized embeddings, (batch, embed); see ``preprocess`` for ``images``."""
        return F.normalize(self.model.encode_image(self.preprocess(images)), dim=-1)


def load_clip(
    name: str = "small",
    pretrained: str | None = "embedded",
    device: str | torch.device = "cpu",
) -> ClipBundle:
    """Load a CLIP in eval mode on ``device``.

    Args:
        name: ``"small"`` (the embedded model) or an architecture of open_clip (the paper's is
            ``"ViT-B-16-quickgelu"``).
        pretrained: ``"embedded"`` (small only), a tag of open_clip (``"openai"``), the path of a
            safetensors file, or ``None`` for random weights from torch's global generator.

    Raises:
        ValueError, FileNotFoundError: See :func:`lasoftmoe.clip_request.check_request`; also a
            ValueError if the weights have another shape or type.
        ConnectionError: If weights must be downloaded and cannot be.
    """
    check_request(name, pretrained)
    bundle = _load_small(pretrained) if name == "small" else _load_open_clip(name, pretrained)
    bundle.model.to(device).eval()
    return bundle


def _load_small(pretrained: str | None) -> ClipBundle:
    embedded = pretrained is None or pretrained == "embedded"
    weights = EMBEDDED_WEIGHTS if embedded else Path(pretrained)
    config, tokenizer, _ = read_description(weights.with_suffix(".json"))
    model = build_small_clip(config, tokenizer.vocab_size)
    if pretrained is not None:
        copy_into(model, read_weights(weights), weights)
    return ClipBundle(model, tokenizer, config.image_size, config.mean, config.std, "small")


def _load_open_clip(name: str, pretrained: str | None) -> ClipBundle:
    try:
        # torch's default device: "meta" when only sizes are wanted
        device = torch.get_default_device()
        model = open_clip.create_model(name, pretrained, device=device, weights_only=True)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:
        raise _explain(error, name, pretrained) from error
    if pretrained is not None and Path(pretrained).is_file():
        check_types(model, Path(pretrained))
    settings = open_clip.get_model_preprocess_cfg(model)
    size = settings["size"]
    return ClipBundle(
        model,
        tokenizer,
        image_size=size if isinstance(size, int) else size[0],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        name=name,
    )


def _explain(error: Exception, name: str, pretrained: str | None) -> Exception:
    told = str(error)[:400] or type(error).__name__
    if pretrained is None:
        return ValueError(f"{name} cannot be built: {told}")
    if Path(pretrained).is_file():
        return ValueError(f"The weights in {pretrained} do not fit {name}: {told}")
    return ConnectionError(
        f"The weights {pretrained!r} of {name} are not on this machine and could not be "
        f"downloaded ({told}).\nOn a machine with a connection, run\n"
        f"    python -c \"import open_clip; open_clip.create_model('{name}', '{pretrained}')\"\n"
        "and copy its Hugging Face cache (the folder that HF_HOME names, ~/.cache/huggingface "
        "by default) to the same place here; or pass the path of a downloaded .safetensors file "
        "as `pretrained`. The small CLIP (name='small') needs no download."
    )
