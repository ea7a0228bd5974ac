"""Every choice of a run as a typed field, the paper's silences among them.

The dataclasses are the schema of ``presets/*.yaml``, of a run's ``config.yaml`` and of the
command line: a key that is not a field here is an error in all three.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import yaml

from lasoftmoe.paths import PRESETS

NOT_PRESETS = ("experiments", "tables")
"""What else lies in the folder of presets: see there."""


PAPER_LEARNING_RATE = 1e-6
"""Section 4 of the paper: Adam with this rate, for CLIP and for the new modules alike."""


@dataclass(frozen=True)
class ClipConfig:
    """Which CLIP to start from.

    ``name="small"`` is the embedded model; any open_clip architecture name works too
    (the paper's is ``ViT-B-16-quickgelu``). ``pretrained`` is ``"embedded"`` (small only),
    an open_clip tag such as ``"openai"``, a path to safetensors, or ``None`` for random weights.
    """

    name: str = "small"
    pretrained: str | None = "embedded"


@dataclass(frozen=True)
class MoEConfig:
    """The branch beside each block's MLP (paper, Algorithms 1 and 2).

    ``kind="none"`` leaves CLIP as it is. ``variant="paper"`` routes by raw logits, as Eq. 2-4 and
    Algorithm 2 print it; ``"stable"`` routes by normalized ones, and with ``kind="la"`` also
    keeps combine weights non-negative.
    ``rank`` is the width of the adapter around the MoE (``None``: the block's own width);
    the paper draws the two Linear layers of the adapter in figure 2 without giving their width.
    ``hidden_ratio`` is the experts' hidden width over ``rank``; the paper does not give it.
    ``blocks`` lists the blocks that get a branch (``None``: all of them, as in Algorithm 1).

    ``kind="la"`` has more choices that the paper leaves open: ``heads`` of the attention over
    the logits, its ``feature_map`` and whether to ``normalize`` by Katharopoulos' denominator,
    which Eq. 6 drops. ``attention="softmax"`` puts Eq. 5 in the place of Eq. 6, to compare.

    The rest matters for ``kind="topk"`` only, a sparse MoE to compare with, which has no slots
    and is not in the paper: ``top_k`` experts per token, ``capacity_factor`` (places in the
    experts' queues over choices made; ``None``: no token is ever dropped), ``router_noise``
    (standard deviation of the noise on its logits in training), and the factors with which the
    balance loss and the z-loss of each block enter the training loss (the values are those of
    ST-MoE).
    """

    kind: Literal["none", "soft", "la", "topk"] = "none"
    variant: Literal["paper", "stable"] = "paper"
    num_experts: int = 4
    slots_per_expert: int = 49
    rank: int | None = None
    hidden_ratio: float = 4.0
    blocks: list[int] | None = None
    attention: Literal["linear", "softmax"] = "linear"
    heads: int = 1
    feature_map: Literal["elu", "relu"] = "elu"
    normalize: bool = True
    top_k: int = 2
    capacity_factor: float | None = 1.25
    router_noise: float = 0.0
    balance_coefficient: float = 0.01
    z_coefficient: float = 0.001


@dataclass(frozen=True)
class ResNetConfig:
    """A ResNet of timm, one of the methods that the paper compares with (Tables 2 and 3).

    ``pretrained`` is a tag of timm's weights for ``name`` (``"tv_in1k"`` for ImageNet's), a path
    to safetensors, or ``None`` for random weights. ``width`` multiplies the channels of all four
    stages; only 1 fits pretrained weights.
    """

    name: str = "resnet10t"
    pretrained: str | None = None
    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a width that weights or layers cannot have."""
        if self.width <= 0:
            raise ValueError(f"detector.resnet.width is {self.width}, not above 0")
        if self.pretrained and self.width != 1:
            raise ValueError(
                f"detector.resnet: pretrained weights {self.pretrained!r} have width 1, "
                f"not {self.width}; set pretrained to null or width to 1"
            )


@dataclass(frozen=True)
class DetectorConfig:
    """One method; ``kind`` says which of the fields below count.

    ``clip``: a CLIP, the branch put into it, the prompt and the loss. ``resnet``: the ResNet.
    """

    kind: Literal["clip", "resnet"] = "clip"
    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    moe: MoEConfig = field(default_factory=MoEConfig)
    prompt: str = "T-8"
    loss: Literal[
        "class_prompt_cross_entropy", "clip_contrastive", "multi_positive_contrastive"
    ] = "class_prompt_cross_entropy"
    freeze_text: bool = False

    @property
    def backbone(self) -> ClipConfig | ResNetConfig:
        """The network that this kind of detector starts from: its name and its weights."""
        return {"clip": self.clip, "resnet": self.resnet}[self.kind]


@dataclass(frozen=True)
class DataConfig:
    """A prepared dataset and one of its protocols.

    ``folder=None`` means the folder that the preset's owner prepared: the embedded one for
    ``laptop``, the one named by the environment variable ``LASOFTMOE_DATA`` for ``a100``.
    """

    folder: str | None = None
    protocol: str = "p1"
    image_size: int = 96

    def __post_init__(self) -> None:
        """Refuse a size that no image can have."""
        if self.image_size < 1:
            raise ValueError(f"data.image_size is {self.image_size}, not 1 or more")


@dataclass(frozen=True)
class TrainingConfig:
    """The optimizer and its schedule. The paper gives Adam, 1e-6 and nothing else.

    ``batch_size`` is per process. ``sampling="class_balanced"`` shows as many live images as
    attacks. ``moe_learning_rate=None`` means the same as ``learning_rate``.
    ``keep_epoch="best_on_dev"`` keeps the weights of the epoch with the highest AUC on dev and
    implies ``dev_auc``, which measures it after every epoch. A checkpoint is saved after every
    epoch, and every ``checkpoint_every`` steps where an epoch takes too long to lose.
    ``tensorboard`` also writes the log as TensorBoard's event files.
    """

    epochs: int = 8
    batch_size: int = 32
    eval_batch_size: int = 128
    sampling: Literal["uniform", "class_balanced"] = "uniform"
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 4e-4
    moe_learning_rate: float | None = None
    weight_decay: float = 0.05
    warmup_fraction: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_grad_norm: float | None = 1.0
    flip: bool = True
    shift_pixels: int = 4
    precision: Literal["no", "bf16"] = "no"
    dev_auc: bool = False
    keep_epoch: Literal["last", "best_on_dev"] = "last"
    num_workers: int = 0
    checkpoint_every: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that no training can use."""
        for name, least in (("epochs", 0), ("batch_size", 1), ("eval_batch_size", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"training.{name} is {getattr(self, name)}, not {least} or more")
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ValueError(
                f"training.checkpoint_every is {self.checkpoint_every}, not 1 or more (or null)"
            )
        if self.learning_rate <= 0 or (self.moe_learning_rate or 1) <= 0:
            raise ValueError("training: learning rates must be greater than 0")


@dataclass(frozen=True)
class ExperimentConfig:
    """One run: data, method, training and the seed that fixes all its randomness.

    ``device="any"`` takes a GPU where there is one; ``"cuda"`` refuses to start without.
    """

    name: str
    preset: str
    seed: int = 0
    device: Literal["any", "cuda"] = "any"
    data: DataConfig = field(default_factory=DataConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse a seed that not every generator takes."""
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, not 0 or more")


class ConfigError(ValueError):
    """An experiment, a preset or a field that does not exist, or a value that does not fit."""


def known_presets() -> list[str]:
    """Names that ``preset`` can have."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem not in NOT_PRESETS)


def known_experiments() -> list[str]:
    """Names that ``name`` can have, in the order of the paper's ablation."""
    return list(read_yaml(PRESETS / "experiments.yaml"))


def table_entries() -> dict[str, Any]:
    """What ``presets/tables.yaml`` says, by name of table."""
    return read_yaml(PRESETS / "tables.yaml")


def known_tables() -> list[str]:
    """Names of tables of runs, other names of the same table included."""
    return [n for name, entry in table_entries().items() for n in (name, *entry.get("also", []))]


def load_config(
    name: str,
    preset: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> ExperimentConfig:
    """The configuration of an experiment under a preset.

    Args:
        name: one of ``known_experiments()``.
        preset: one of ``known_presets()``; ``None`` takes the environment variable
            ``LASOFTMOE_PRESET``, or ``laptop``.
        seed: fixes all randomness of the run.
        overrides: nested dictionary of fields to change, such as ``{"training": {"epochs": 2}}``.

    Raises:
        ConfigError: an unknown name, or a value of the wrong type.
    """
    preset = preset or os.environ.get("LASOFTMOE_PRESET") or "laptop"
    if preset not in known_presets():
        raise ConfigError(f"no preset {preset!r}; known presets: {', '.join(known_presets())}")
    experiments = read_yaml(PRESETS / "experiments.yaml")
    if name not in experiments:
        raise ConfigError(f"no experiment {name!r}; known experiments: {', '.join(experiments)}")
    values: dict[str, Any] = {"name": name, "preset": preset, "seed": seed}
    for layer in (read_yaml(PRESETS / f"{preset}.yaml"), experiments[name], overrides or {}):
        values = merged(values, layer)
    return config_from_dict(values)


def config_from_dict(values: Mapping[str, Any]) -> ExperimentConfig:
    """Check nested plain values against the dataclasses' types and build them.

    Raises:
        ConfigError: a key that is not a field, or a value of the wrong type.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ExperimentConfig)
    try:
        return ExperimentConfig(**vars(parser.instantiate(parser.parse_object(values))))
    except (jsonargparse.ArgumentError, ValueError) as error:
        raise ConfigError(f"configuration: {error}") from error


def config_to_yaml(config: ExperimentConfig) -> str:
    """The configuration as ``config.yaml`` holds it."""
    return yaml.safe_dump(asdict(config), sort_keys=False)


def read_config(path: Path) -> ExperimentConfig:
    """Read a run's ``config.yaml``."""
    return config_from_dict(read_yaml(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a dictionary."""
    return yaml.safe_load(path.read_text("utf-8"))


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, dictionary by dictionary."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result
