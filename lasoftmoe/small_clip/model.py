"""Architecture and files of the small CLIP that comes with the package.

It is open_clip's CLIP class at laptop size: 96 x 96 pixels, 64 patch tokens and a class token,
width 96, four blocks. A convolutional stem replaces the patch embedding, and the vocabulary is
reduced to the words of its captions.

Three files share a name: ``.safetensors`` (weights in half precision), ``.json`` (architecture,
vocabulary, training), and ``.md`` (the model card).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from open_clip.model import CLIP
from safetensors.torch import save_file

from data_prep.atomic import write_atomically
from lasoftmoe.small_clip.stem import PATCH_SIZE, ConvStem
from lasoftmoe.small_clip.tokenizer import SmallTokenizer

EMBEDDED_WEIGHTS = Path(__file__).parent / "weights" / "small_clip.safetensors"


@dataclass(frozen=True)
class SmallClipConfig:
    """Sizes of the two towers, and mean and standard deviation for preprocessing."""

    image_size: int = 96
    width: int = 96
    layers: int = 4
    head_width: int = 32
    embed_dim: int = 128
    text_width: int = 96
    text_layers: int = 2
    context_length: int = 56
    layout_channels: int = 0
    mean: tuple[float, float, float] = (0.5, 0.45, 0.42)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)


def build_small_clip(config: SmallClipConfig, vocab_size: int) -> CLIP:
    """Build a small CLIP with random weights from torch's global generator."""
    model = CLIP(
        embed_dim=config.embed_dim,
        vision_cfg={
            "image_size": config.image_size,
            "layers": config.layers,
            "width": config.width,
            "head_width": config.head_width,
            "patch_size": PATCH_SIZE,
        },
        text_cfg={
            "context_length": config.context_length,
            "vocab_size": vocab_size,
            "width": config.text_width,
            "heads": config.text_width // config.head_width,
            "layers": config.text_layers,
        },
    )
    model.visual.conv1 = ConvStem(config.width, config.std, config.layout_channels)
    return model


def read_description(path: Path) -> tuple[SmallClipConfig, SmallTokenizer, dict[str, Any]]:
    """Read architecture, tokenizer, and the whole content of a small CLIP's ``.json``.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is not JSON or lacks a field.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing. It belongs next to the small CLIP's .safetensors and holds its "
            "architecture and vocabulary. Reinstall the package, or write both files again with "
            "`python -m lasoftmoe.pretraining`."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fields = dict(content["architecture"])
        fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
        config = SmallClipConfig(**fields)
        tokenizer = SmallTokenizer(content["vocabulary"], config.context_length)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not describe a small CLIP: {error!r}") from error
    return config, tokenizer, content


def save_small_clip(
    path: Path,
    model: CLIP,
    config: SmallClipConfig,
    tokenizer: SmallTokenizer,
    training: Mapping[str, Any],
) -> None:
    """Write ``path`` (.safetensors, float16) and the ``.json`` next to it, each atomically.

    Args:
        training: How the weights were trained and their results; becomes part of the JSON.
    """
    half = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in model.state_dict().items()
    }
    content = {
        "architecture": asdict(config),
        "vocabulary": tokenizer.vocabulary,
        "training": dict(training),
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(path, lambda part: save_file(half, part))
    write_atomically(path.with_suffix(".json"), lambda part: part.write_text(text, "utf-8"))
