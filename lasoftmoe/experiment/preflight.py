"""Look, before anything slow, whether this machine has what a configuration needs."""

from __future__ import annotations

import os
from pathlib import Path

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from open_clip.pretrained import get_pretrained_cfg

from lasoftmoe.experiment.config import ClipConfig, DetectorConfig, ExperimentConfig, ResNetConfig
from lasoftmoe.paths import EMBEDDED_DATA

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class PresetError(RuntimeError):
    """A preset needs what this machine lacks; the message lists all of it and how to get it."""


def check_requirements(config: ExperimentConfig, data: Path | None) -> None:
    """Check GPU, dataset and pretrained weights.

    Args:
        config: what is about to run.
        data: its dataset's folder, ``None`` if nothing names one.

    Raises:
        PresetError: lists everything that is missing.
    """
    problems = [
        *gpu_problems(config),
        *dataset_problems(config, data),
        *weights_problems(config.detector),
    ]
    if problems:
        what = "\n".join(f"  {number}. {text}" for number, text in enumerate(problems, 1))
        raise PresetError(
            f"the preset {config.preset!r} cannot run {config.name!r} here; missing:\n{what}"
        )


def gpu_problems(config: ExperimentConfig) -> list[str]:
    """What is missing of a GPU and how to get it; empty if nothing is."""
    if config.device != "cuda" or torch.cuda.is_available():
        return []
    return [
        "a CUDA GPU: torch sees none. Use a machine with one and a CUDA build of torch, or the "
        "preset laptop, which needs none."
    ]


def dataset_problems(config: ExperimentConfig, data: Path | None) -> list[str]:
    """What is missing of the dataset (its files, not their content) and how to get it."""
    how = (
        "UniAttackData is given out by its authors on application; turn it into a prepared "
        "dataset (book page `datasets`, `python -m data_prep --help`) and set LASOFTMOE_DATA to "
        "that folder."
    )
    if data is None:
        return [f"a dataset: LASOFTMOE_DATA is not set. {how}"]
    if data.resolve() == EMBEDDED_DATA.resolve():
        how = "`make data` writes it."
    elif config.data.folder:
        how = "Mend data.folder, or write the dataset (`python -m data_prep --help`)."
    for path in (
        data,
        data / "dataset.json",
        data / "protocols" / f"{config.data.protocol}.parquet",
    ):
        if not os.access(path, os.R_OK):
            return [f"a dataset: {path} is not there or not readable. {how}"]
    return []


def weights_problems(detector: DetectorConfig) -> list[str]:
    """What is missing of the pretrained weights and how to get it; downloads nothing."""
    network = detector.backbone
    if network.pretrained in (None, "embedded"):
        return []  # none wanted, or shipped with the package
    if Path(network.pretrained).suffix:
        if Path(network.pretrained).is_file():
            return []
        field = f"detector.{detector.kind}.pretrained"
        return [f"pretrained weights: no file at {network.pretrained} ({field})."]
    source, loader = {"clip": _clip_source, "resnet": _timm_source}[detector.kind](network)
    if _obtainable(source):
        return []
    return [
        f"the weights {network.pretrained} of {network.name}: neither in this machine's cache nor "
        f'reachable. Load them once where there is a connection (python -c "{loader}") and copy '
        "that machine's Hugging Face cache (~/.cache/huggingface, or HF_HOME), or set "
        f"detector.{detector.kind}.pretrained to a safetensors file."
    ]


def _clip_source(clip: ClipConfig) -> tuple[str, str]:
    """Where open_clip looks for a tag's weights on the hub, and the call that loads them."""
    call = f"import open_clip; open_clip.create_model('{clip.name}', '{clip.pretrained}')"
    return get_pretrained_cfg(clip.name, clip.pretrained).get("hf_hub", ""), call


def _timm_source(resnet: ResNetConfig) -> tuple[str, str]:
    """The same for timm."""
    name = f"{resnet.name}.{resnet.pretrained}"
    config = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
    call = f"import timm; timm.create_model('{name}', pretrained=True)"
    return f"{config.hf_hub_id}/model.safetensors" if config and config.hf_hub_id else "", call


def _obtainable(source: str) -> bool:
    """Whether the loader will find weights on this machine or on the hub.

    ``source`` is ``owner/repository/`` or ``owner/repository/file``; what is unknown here ("", an
    unknown tag or one with a source of its own) is left to the loader, which knows more.
    """
    repository, _, filename = source.rpartition("/")
    if not repository:
        return True
    names = (filename,) if filename else HUB_FILES
    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return True
    try:
        get_hf_file_metadata(hf_hub_url(repository, names[0]), timeout=5)
    except Exception:  # whatever keeps the hub from answering keeps the download from working
        return False
    return True
