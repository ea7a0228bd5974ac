"""Every choice of a run as a typed field, the paper's silences among them.

The dataclasses are the schema of ``presets/*.yaml``, of a run's ``config.yaml`` and of the
command line: a key that is not a field here is an error in all three.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


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

    ``kind="none"`` leaves CLIP as it is. ``variant`` matters for ``kind="la"`` only:
    ``"paper"`` is Algorithm 2 to the letter, ``"stable"`` keeps combine weights non-negative.
    ``rank`` is the width of the adapter around the MoE (``None``: the block's own width);
    the paper draws the two Linear layers of the adapter in figure 2 without giving their width.
    ``hidden_ratio`` is the experts' hidden width over ``rank``; the paper does not give it.
    ``blocks`` lists the blocks that get a branch (``None``: all of them, as in Algorithm 1).
    """

    kind: Literal["none", "soft", "la"] = "none"
    variant: Literal["paper", "stable"] = "paper"
    num_experts: int = 4
    slots_per_expert: int = 49
    rank: int | None = None
    hidden_ratio: float = 4.0
    blocks: list[int] | None = None


@dataclass(frozen=True)
class DetectorConfig:
    """One method: a CLIP, the branch put into it, the prompt and the loss."""

    clip: ClipConfig = field(default_factory=ClipConfig)
    moe: MoEConfig = field(default_factory=MoEConfig)
    prompt: str = "T-8"
    loss: Literal[
        "class_prompt_cross_entropy", "clip_contrastive", "multi_positive_contrastive"
    ] = "class_prompt_cross_entropy"
    freeze_text: bool = False


@dataclass(frozen=True)
class DataConfig:
    """A prepared dataset and one of its protocols.

    ``folder=None`` means the folder that the preset's owner prepared: the embedded one for
    ``laptop``, the one named by the environment variable ``LASOFTMOE_DATA`` for ``a100``.
    """

    folder: str | None = None
    protocol: str = "p1"
    image_size: int = 96


@dataclass(frozen=True)
class TrainingConfig:
    """The optimiser and its schedule. The paper gives Adam, 1e-6 and nothing else."""

    epochs: int = 8
    batch_size: int = 32
    eval_batch_size: int = 128
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 4e-4
    moe_learning_rate: float | None = None
    weight_decay: float = 0.05
    warmup_fraction: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_grad_norm: float | None = 1.0
    flip: bool = True
    shift_pixels: int = 4
    precision: Literal["no", "bf16", "fp16"] = "no"
    num_workers: int = 0


@dataclass(frozen=True)
class ExperimentConfig:
    """One run: data, method, training and the seed that fixes all its randomness."""

    name: str
    preset: str
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
