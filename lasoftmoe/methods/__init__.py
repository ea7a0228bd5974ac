"""The table of methods, each in one file of this folder.

To add a method, write its file, a line here, ``presets/<name>.yaml``, and its tests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter

from lasoftmoe.method import Method, MethodConfig

if TYPE_CHECKING:
    from lasoftmoe.detector import Detector

PRESETS = Path(__file__).parent / "presets"
MODULES = {
    "clip": "lasoftmoe.methods.clip",
    "timm_classifier": "lasoftmoe.methods.timm_classifier",
    "vit": "lasoftmoe.methods.vit",
    "convnext": "lasoftmoe.methods.convnext",
    "auxiliary": "lasoftmoe.methods.auxiliary",
    "cdcn": "lasoftmoe.methods.cdcn",
    "ffd": "lasoftmoe.methods.ffd",
    "uni_attack_detection": "lasoftmoe.methods.uni_attack_detection",
}
"""Module of each method, imported at first use."""


class _Methods(Mapping[str, Method]):
    def __getitem__(self, name: str) -> Method:
        if name not in MODULES:
            raise KeyError(f"no method {name!r}; known methods: {', '.join(MODULES)}")
        return import_module(MODULES[name]).METHOD

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


METHODS: Mapping[str, Method] = _Methods()


def preset_settings(name: str, preset: str) -> dict[str, Any]:
    """Return a method's settings under a preset, from ``presets/<name>.yaml``.

    Raises:
        KeyError: If there is no such method, or it lacks the preset.
    """
    METHODS[name]  # raises if the name is unknown
    path = PRESETS / f"{name}.yaml"
    presets = yaml.safe_load(path.read_text("utf-8"))
    if preset not in presets:
        raise KeyError(f"{path.name} lacks the preset {preset!r}; it has: {', '.join(presets)}")
    return presets[preset]


def method_config(name: str, values: Mapping[str, Any]) -> MethodConfig:
    """Return a method's settings as its dataclass.

    Raises:
        KeyError: if there is no such method.
        pydantic.ValidationError: if a value does not fit.
    """
    return TypeAdapter(METHODS[name].config).validate_python(dict(values))


def build_detector(config: MethodConfig, seed: int) -> Detector:
    """Build a detector; ``seed`` fixes every random weight and nothing else.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: see the method's own file.
    """
    import torch  # here, so that reading settings needs no torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return METHODS[config.kind].build(config)


def build_shape(config: MethodConfig) -> Detector:
    """Build a detector on the meta device, which has shapes but no values; reads no weights."""
    import torch

    logging.disable(logging.WARNING)  # open_clip warns that the weights are random
    try:
        with torch.device("meta"):
            return build_detector(config.unloaded(), seed=0)
    finally:
        logging.disable(logging.NOTSET)


def parameter_count(name: str, preset: str) -> int:
    """Return a method's number of parameters under a preset, without allocating them.

    Raises:
        KeyError: if there is no such method or preset.
    """
    config = method_config(name, preset_settings(name, preset))
    return sum(parameter.numel() for parameter in build_shape(config).parameters())
