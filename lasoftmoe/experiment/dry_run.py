"""Everything about a run that can be known before it starts, and without its GPU.

The detector is built on torch's meta device, which knows shapes and holds no numbers, and one
training step goes through fake tensors: that counts the bytes which autograd keeps and the
floating point operations exactly as a real step of that batch would need them.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from data_prep.manifest import SPLITS, DatasetError, read_dataset
from lasoftmoe.detector import build_detector
from lasoftmoe.experiment import preflight
from lasoftmoe.experiment.config import DetectorConfig, ExperimentConfig
from lasoftmoe.records.reported import reported

PEAK_FLOPS = 312e12
"""Of an A100 in bf16, dense (NVIDIA's data sheet)."""
UTILIZATION = 0.3
"""The share of the peak that the estimate of the time assumes; to be replaced by a measurement."""
A100_BYTES = 40 * 2**30
BYTES_OF_A_WEIGHT = {"weights": 4, "gradients": 4, "optimizer": 8}
"""fp32 weights and gradients, and the two moments of Adam or AdamW."""


@dataclass(frozen=True)
class Line:
    """One thing that was looked at; ``missing`` lines keep the run from starting."""

    status: Literal["OK", "MISSING"]
    what: str

    def __str__(self) -> str:
        return f"{self.status:8s}{self.what}"


@dataclass(frozen=True)
class StepCost:
    """What one training step needs: parameters, bytes and floating point operations."""

    parameters: int
    trained: int
    activation_bytes: int
    train_flops: int
    score_flops: int

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes by purpose."""
        return {
            "weights": BYTES_OF_A_WEIGHT["weights"] * self.parameters,
            "gradients": BYTES_OF_A_WEIGHT["gradients"] * self.trained,
            "optimizer": BYTES_OF_A_WEIGHT["optimizer"] * self.trained,
            "activations": self.activation_bytes,
        }


def dry_run(config: ExperimentConfig, data: Path | None) -> Iterator[Line]:
    """Look at everything that a run needs, cheapest first.

    Args:
        config: what is to run.
        data: its dataset's folder, ``None`` if nothing names one.
    """
    yield _requirement(preflight.gpu_problems(config), "GPU", _gpu_found(config))
    yield _requirement(
        preflight.weights_problems(config.detector), "weights", _weights_found(config.detector)
    )
    problems = preflight.dataset_problems(config, data)
    yield _requirement(problems, "dataset", f"{data}, protocol {config.data.protocol}")
    counts = None if problems else _counts(config, data)
    yield from _data_lines(counts, config, data)
    cost = step_cost(config)
    yield _memory_line(cost, config)
    yield _time_line(cost, counts, config)


def step_cost(config: ExperimentConfig) -> StepCost:
    """Parameters, memory and work of one training step of ``config``, counted on fake tensors."""
    detector = _shape_only(config)
    with FakeTensorMode(allow_non_fake_inputs=True):
        detector.to_empty(device="cpu")
        activation_bytes, train_flops = _training_step(detector, config)
        batch = _batch(config.training.eval_batch_size, config.data.image_size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector.eval().attack_score(batch["image"])
    trained = [p for group in detector.parameter_groups().values() for p in group]
    return StepCost(
        parameters=_numbers(detector.parameters()),
        trained=_numbers(trained),
        activation_bytes=activation_bytes,
        train_flops=train_flops,
        score_flops=counter.get_total_flops() // config.training.eval_batch_size,
    )


def published_counts() -> pd.DataFrame:
    """Live images and attacks of each split of UniAttackData's protocol 1 (paper, Table 1)."""
    table = reported("table1").results
    return pd.DataFrame({"live": table["live"], "attack": table["total"] - table["live"]})


def _training_step(detector: nn.Module, config: ExperimentConfig) -> tuple[int, int]:
    """Bytes that autograd keeps besides the parameters, and operations of one step."""
    own = {p.untyped_storage()._cdata for p in detector.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    detector.train()
    batch = _batch(config.training.batch_size, config.data.image_size)
    bf16 = config.training.precision == "bf16"
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with FlopCounterMode(display=False) as counter, hooks:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = detector.training_loss(batch)
        loss.backward()
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    return size, counter.get_total_flops()


def _batch(size: int, image_size: int) -> dict[str, Any]:
    return {
        "image": torch.empty(size, 3, image_size, image_size, dtype=torch.uint8),
        "is_attack": torch.empty(size, dtype=torch.bool),
    }


def _numbers(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _shape_only(config: ExperimentConfig) -> nn.Module:
    """The detector on the meta device; its weights are neither read nor made."""
    wanted = config.detector
    unloaded = replace(wanted, **{wanted.kind: replace(wanted.backbone, pretrained=None)})
    logging.disable(logging.WARNING)  # open_clip warns that the weights are random
    try:
        with torch.device("meta"):
            return build_detector(unloaded, config.seed)
    finally:
        logging.disable(logging.NOTSET)


def _requirement(problems: list[str], what: str, found: str) -> Line:
    if problems:
        return Line("MISSING", problems[0])
    return Line("OK", f"{what}: {found}")


def _gpu_found(config: ExperimentConfig) -> str:
    if not torch.cuda.is_available():
        return f"none needed (device: {config.device})"
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    return f"{torch.cuda.get_device_name()}, {gib:.0f} GiB"


def _weights_found(detector: DetectorConfig) -> str:
    network = detector.backbone
    return f"{network.name}, {network.pretrained or 'random'}"


def _counts(config: ExperimentConfig, data: Path) -> pd.DataFrame | DatasetError:
    """Live images and attacks of each split, or what is wrong with the dataset's tables."""
    try:
        dataset = read_dataset(data)
    except DatasetError as error:
        return error
    table = dataset.protocols[config.data.protocol].merge(dataset.manifest, on="id")
    live = table["label"] == "live"
    counts = pd.DataFrame({"split": table["split"], "live": live, "attack": ~live})
    return counts.groupby("split").sum().reindex(SPLITS)


def _data_lines(
    counts: pd.DataFrame | DatasetError | None, config: ExperimentConfig, data: Path | None
) -> Iterator[Line]:
    if counts is None:
        return
    if isinstance(counts, DatasetError):
        yield Line("MISSING", f"a dataset that can be read: {counts}")
        return
    published = published_counts() if _is_uniattackdata(data) else None
    for split in SPLITS:
        live, attack = counts.loc[split]
        found = f"{split}: {live + attack:,} images, {live:,} of them live"
        if published is None or counts.loc[split].equals(published.loc[split]):
            same = "" if published is None else ", as the paper's Table 1 says"
            yield Line("OK", found + same)
        else:
            live, attack = published.loc[split]
            yield Line(
                "MISSING",
                f"{found}; the paper's Table 1 has {live + attack:,} and {live:,}. Check the "
                "release and the importer's report (book page `datasets`); to train on what is "
                "there, leave --dry-run out",
            )


def _is_uniattackdata(data: Path) -> bool:
    return read_dataset(data).info["name"] == "uniattackdata-p1"  # as the importer calls it


def _memory_line(cost: StepCost, config: ExperimentConfig) -> Line:
    need = cost.bytes
    parts = " + ".join(f"{name} {size / 2**30:.1f}" for name, size in need.items())
    total = sum(need.values())
    text = (
        f"memory: {total / 2**30:.1f} GiB = {parts} (4 bytes a weight, 4 a gradient, 8 for "
        f"Adam's moments; activations: what autograd keeps of one batch of "
        f"{config.training.batch_size}); {cost.parameters:,} parameters, {cost.trained:,} trained"
    )
    room = _room(config)
    if room is None or total < 0.9 * room:
        return Line("OK", text)
    return Line(
        "MISSING",
        f"{text}. Only {room / 2**30:.0f} GiB there: lower training.batch_size, or set "
        "detector.moe.rank",
    )


def _room(config: ExperimentConfig) -> int | None:
    """Bytes of the GPU, an A100's where there is none yet; ``None`` for a run without GPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    return A100_BYTES if config.device == "cuda" else None


def _time_line(cost: StepCost, counts: Any, config: ExperimentConfig) -> Line:
    known = isinstance(counts, pd.DataFrame)
    images = (counts if known else published_counts()).sum(axis=1)
    training = config.training
    steps = training.epochs * (int(images["train"]) // (training.batch_size * _processes()))
    looks = training.epochs if training.dev_auc or training.keep_epoch == "best_on_dev" else 0
    scored = int(images["dev"]) * (looks + 1) + int(images["test"])
    flops = steps * cost.train_flops + scored * cost.score_flops
    text = (
        f"{steps:,} steps of {training.batch_size} images"
        f"{'' if known else ', the number of images from Table 1'}, "
        f"{cost.train_flops / training.batch_size / 1e9:.0f} GFLOP an image"
    )
    if config.device != "cuda":
        return Line("OK", f"work: {text}, {flops / 1e12:,.0f} TFLOP in all")
    hours = flops / (PEAK_FLOPS * UTILIZATION) / 3600
    return Line(
        "OK",
        f"time: {text}: about {_duration(hours)} on one A100 at {UTILIZATION:.0%} of its "
        f"{PEAK_FLOPS / 1e12:.0f} TFLOP/s in bf16, scoring included, decoding of images not",
    )


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _duration(hours: float) -> str:
    return f"{math.ceil(60 * hours)} minutes" if hours < 2 else f"{hours:.1f} hours"
