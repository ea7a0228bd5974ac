"""Every choice of a run as a typed field, including those on which the paper is silent.

The dataclasses are the schema of the presets, of a run's ``config.yaml``, and of the command
line: a key that is not a field here is an error in all three.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from data_prep import reading
from lasoftmoe.method import MethodConfig
from lasoftmoe.methods import METHODS, method_config, preset_settings
from lasoftmoe.paths import PRESETS
from lasoftmoe.settings import CHECKED, Count, NonNegativeCount, explain
from lasoftmoe.training.config import TrainingConfig

NOT_PRESETS = ("experiments", "tables")
"""Other files in the folder of presets."""
ENVIRONMENT = "$LASOFTMOE_DATA"
"""Value of ``data.folder`` for the folder that this environment variable names."""
DEFAULT_KIND = "clip"


@dataclass(frozen=True, config=CHECKED)
class DataConfig:
    """A prepared dataset and one of its protocols.

    ``folder`` is a path, ``"embedded"`` for the dataset that ``make data`` writes, or
    ``"$LASOFTMOE_DATA"`` for the folder which that environment variable names.

    ``reader="arrays"`` first decodes all images into one file. ``"shards"`` reads a packed dataset
    of any size (``python -m data_prep shards``) in the order of ``lasoftmoe.data.stream_order``.
    """

    folder: str = "embedded"
    protocol: str = "p1"
    image_size: Count = 96
    reader: Literal["arrays", "shards"] = "arrays"


@dataclass(frozen=True, config=ConfigDict(**CHECKED, arbitrary_types_allowed=True))
class ExperimentConfig:
    """One run: data, method, training, and the seed that fixes all its randomness.

    ``detector`` is the dataclass of the method in ``lasoftmoe.methods``. ``device="any"`` takes a
    GPU where there is one; ``"cuda"`` refuses to start without.
    """

    name: str
    preset: str
    detector: MethodConfig
    seed: NonNegativeCount = 0
    device: Literal["any", "cuda"] = "any"
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse a seed that not every generator takes, and shifts as large as the image."""
        if self.seed >= 2**63:
            raise ValueError(f"seed {self.seed} does not fit into 63 bits")
        if self.training.shift_pixels >= self.data.image_size:
            raise ValueError(
                f"training.shift_pixels is {self.training.shift_pixels}; expected less than "
                f"data.image_size, {self.data.image_size}"
            )


class ConfigError(ValueError):
    """An experiment, a preset, or a field that does not exist, or a value that does not fit."""


def known_presets() -> list[str]:
    """Return the names that ``preset`` can have."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem not in NOT_PRESETS)


def known_experiments() -> list[str]:
    """Return the names that ``name`` can have, in the order of the paper's ablation."""
    return list(read_yaml(PRESETS / "experiments.yaml"))


def table_entries() -> dict[str, Any]:
    """Return the content of ``presets/tables.yaml``, by name of table."""
    return read_yaml(PRESETS / "tables.yaml")


def known_tables() -> list[str]:
    """Return the names of tables of runs, including other names of the same table."""
    return [n for name, entry in table_entries().items() for n in (name, *entry.get("also", []))]


def experiment_kind(name: str) -> str:
    """Return the method of an experiment, as ``METHODS`` names it."""
    changes = read_yaml(PRESETS / "experiments.yaml").get(name, {})
    return changes.get("detector", {}).get("kind", DEFAULT_KIND)


def load_config(
    name: str,
    preset: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> ExperimentConfig:
    """Return the configuration of an experiment under a preset.

    Args:
        name: one of ``known_experiments()``.
        preset: one of ``known_presets()``; ``None`` takes the environment variable
            ``LASOFTMOE_PRESET``, or ``laptop``.
        seed: fixes all randomness of the run.
        overrides: nested dictionary of fields to change, such as ``{"training": {"epochs": 2}}``.

    Raises:
        ConfigError: if a name is unknown or a value does not fit.
    """
    preset = preset or os.environ.get("LASOFTMOE_PRESET") or "laptop"
    if preset not in known_presets():
        raise ConfigError(f"no preset {preset!r}; known presets: {', '.join(known_presets())}")
    experiments = read_yaml(PRESETS / "experiments.yaml")
    if name not in experiments:
        raise ConfigError(f"no experiment {name!r}; known experiments: {', '.join(experiments)}")
    changes = merged(experiments[name], overrides or {})
    kind = _kind(changes.get("detector", {}))
    try:
        settings = preset_settings(kind, preset)
    except KeyError as error:
        raise ConfigError(error.args[0]) from None
    values: dict[str, Any] = {"name": name, "preset": preset, "seed": seed, "detector": settings}
    for layer in (read_yaml(PRESETS / f"{preset}.yaml"), changes):
        values = merged(values, layer)
    return config_from_dict(values)


def config_from_dict(values: Mapping[str, Any]) -> ExperimentConfig:
    """Check nested plain values against the dataclasses' types and build them.

    Raises:
        ConfigError: names each key that is not a field and each value that does not fit.
    """
    values = dict(values)
    given = values.pop("detector", {})
    kind = _kind(given)
    detector = {name: value for name, value in given.items() if name != "kind"}
    where = "detector"
    try:
        values["detector"] = method_config(kind, detector)
        where = ""
        return TypeAdapter(ExperimentConfig).validate_python(values)
    except ValidationError as error:
        raise ConfigError(f"configuration: {explain(error, where)}") from error


def _kind(detector: Any) -> str:
    if not isinstance(detector, Mapping):
        raise ConfigError(f"detector is {detector!r}; expected keys and values")
    kind = detector.get("kind", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in METHODS:
        raise ConfigError(f"detector.kind is {kind!r}; expected one of {', '.join(METHODS)}")
    return kind


def config_to_dict(config: ExperimentConfig) -> dict[str, Any]:
    """Return a configuration as plain values, the method's kind first among its settings."""
    values = asdict(config)
    return {**values, "detector": {"kind": config.detector.kind, **values["detector"]}}


def command_of(config: ExperimentConfig) -> str:
    """Return the command that does a run: its experiment, its preset, and what was changed."""
    plain = load_config(config.name, config.preset, config.seed)
    before, now = _flat(config_to_dict(plain)), _flat(config_to_dict(config))
    words = ["lasoftmoe", "run", config.name, "--preset", config.preset, "--seed", str(config.seed)]
    for key, value in now.items():
        if before.get(key) != value:
            words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def config_to_yaml(config: ExperimentConfig) -> str:
    """Return the text of a run's ``config.yaml``."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False)


def read_config(path: Path) -> ExperimentConfig:
    """Read a run's ``config.yaml``.

    Raises:
        ConfigError: if it is not a configuration.
    """
    try:
        return config_from_dict(read_yaml(path))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a dictionary of plain values (no anchors, no key twice).

    Raises:
        ValueError: if it does not.
    """
    content = reading.read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected keys and values")
    return content


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes`` laid over it, dictionary by dictionary."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result
