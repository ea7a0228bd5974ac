"""Whether a CLIP can be built here, checked before anything is built, read, or downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import open_clip

from lasoftmoe.small_clip import EMBEDDED_WEIGHTS
from lasoftmoe.weights_files import check_weights_file, names_file


def check_request(name: str, pretrained: str | None, branch: bool = False) -> None:
    """Refuse a CLIP that cannot be built on this machine, each cause by its name.

    Args:
        name, pretrained: As ``lasoftmoe.clip.load_clip`` takes them.
        branch: Whether its vision tower must take a MoE branch.

    Raises:
        ValueError: If the name or the tag is unknown, a package is missing, the tower takes no
            branch, or the weights are something else than a safetensors file.
        FileNotFoundError: If a file of weights is missing.
    """
    if name == "small":
        _check_small(pretrained)
        return
    if ":" in name:  # hf-hub:… and local-dir:… bring their architecture and weights with them
        return
    known = name.replace("/", "-")
    if known not in open_clip.list_models():
        raise ValueError(
            f"There is no CLIP named {name!r}. Use 'small', 'ViT-B-16-quickgelu' (the paper's) or "
            "another name of open_clip.list_models()."
        )
    architecture = open_clip.get_model_config(known)
    _check_packages(name, architecture["text_cfg"])
    if branch:
        _check_tower(name, architecture["vision_cfg"])
    _check_weights(name, pretrained)


def _check_small(pretrained: str | None) -> None:
    if pretrained is None:
        return
    if pretrained != "embedded" and not names_file(pretrained):
        raise ValueError(
            f"The small CLIP has no weights {pretrained!r}; expected 'embedded', the path of a "
            ".safetensors file or None for random weights."
        )
    check_weights_file(EMBEDDED_WEIGHTS if pretrained == "embedded" else Path(pretrained))


def _check_packages(name: str, text: dict[str, Any]) -> None:
    wanted = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    if wanted and find_spec("transformers") is None:
        part = "text tower" if text.get("hf_model_name") else "tokenizer"
        raise ValueError(
            f"The {part} of {name} ({wanted}) needs the package transformers, which is not "
            "installed: pip install transformers, or choose a CLIP with open_clip's own text "
            "tower, such as ViT-B-16-quickgelu."
        )


def _check_tower(name: str, vision: dict[str, Any]) -> None:
    other = ""
    if timm_name := vision.get("timm_model_name"):
        other = f"timm's {timm_name}"
    elif isinstance(vision.get("layers"), list | tuple):
        other = "a ResNet"
    if other:
        raise ValueError(
            f"The vision tower of {name} is {other}. A MoE branch goes beside the MLPs of "
            "open_clip's own vision transformer; choose a ViT such as ViT-B-16-quickgelu, or "
            "set detector.moe.kind to none."
        )


def _check_weights(name: str, pretrained: str | None) -> None:
    tags = open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))
    if pretrained is None or pretrained in tags:
        return
    if names_file(pretrained):
        check_weights_file(Path(pretrained))
        return
    known = f"one of {', '.join(tags)}, " if tags else ""
    raise ValueError(
        f"{name} has no weights tagged {pretrained!r}; expected {known}the path of a .safetensors "
        "file, or None for random weights."
    )
