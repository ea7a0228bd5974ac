"""Look, before anything slow, whether this machine has what a configuration needs."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from open_clip.pretrained import get_pretrained_cfg

from lasoftmoe.config import ClipConfig, ExperimentConfig
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
    problems = [*_gpu(config), *_dataset(config, data), *_weights(config.detector.clip)]
    if problems:
        what = "\n".join(f"  {number}. {text}" for number, text in enumerate(problems, 1))
        raise PresetError(
            f"the preset {config.preset!r} cannot run {config.name!r} here; missing:\n{what}"
        )


def _gpu(config: ExperimentConfig) -> list[str]:
    if config.device != "cuda" or torch.cuda.is_available():
        return []
    return [
        "a CUDA GPU: torch sees none. Use a machine with one and a CUDA build of torch, or the "
        "preset laptop, which needs none."
    ]


def _dataset(config: ExperimentConfig, data: Path | None) -> list[str]:
    how = (
        "UniAttackData is given out by its authors on application; turn it into a prepared "
        "dataset (`python -m data_prep --help`) and set LASOFTMOE_DATA to that folder."
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


def _weights(clip: ClipConfig) -> list[str]:
    if clip.name == "small" or clip.pretrained is None:
        return []  # shipped with the package, or none wanted
    if Path(clip.pretrained).suffix:
        if Path(clip.pretrained).is_file():
            return []
        return [f"CLIP's weights: no file at {clip.pretrained} (detector.clip.pretrained)."]
    if _obtainable(clip):
        return []
    return [
        f"CLIP's weights {clip.name} ({clip.pretrained}): neither in this machine's cache nor "
        "reachable. Load them once where there is a connection (`import open_clip; "
        f"open_clip.create_model('{clip.name}', '{clip.pretrained}')`) and copy that machine's "
        "Hugging Face cache (~/.cache/huggingface, or HF_HOME), or set "
        "detector.clip.pretrained to a safetensors file."
    ]


def _obtainable(clip: ClipConfig) -> bool:
    """Whether open_clip's loader will find a tag's weights on this machine or on the hub."""
    source = get_pretrained_cfg(clip.name, clip.pretrained).get("hf_hub", "")
    repository, _, filename = source.rpartition("/")
    if not repository:
        return True  # an unknown tag, or one with a source of its own: the loader knows more
    names = (filename,) if filename else HUB_FILES
    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return True
    try:
        get_hf_file_metadata(hf_hub_url(repository, names[0]), timeout=5)
    except Exception:  # whatever keeps the hub from answering keeps the download from working
        return False
    return True
