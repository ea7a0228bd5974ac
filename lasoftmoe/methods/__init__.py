"""The table of methods, each in one file of this folder.

To add a method, write its file, a line here, ``presets/<name>.yaml``, and its tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import lazy_loader
import yaml
from pydantic import TypeAdapter

from lasoftmoe.method import Method, MethodConfig

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

# Lazily: settings are read long before torch is needed.
__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"build": ["build_detector", "build_shape", "parameter_count"]}
)


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
