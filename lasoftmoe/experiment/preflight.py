"""What a run needs, looked at before anything slow starts.

:func:`check_requirements` stops a run that cannot work here. :func:`dry_run` says more: it counts
images, and it counts parameters, memory, and operations of one training step on fake tensors,
which have shapes and no numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from data_prep.manifest import SPLITS, DatasetError, read_dataset
from lasoftmoe.data.workers import worker_problems
from lasoftmoe.detector import MAPS, Batch, Detector
from lasoftmoe.experiment.config import ExperimentConfig
from lasoftmoe.method import MethodConfig, Weights
from lasoftmoe.methods import METHODS, build_shape
from lasoftmoe.paths import EMBEDDED_COMMAND, EMBEDDED_DATA
from lasoftmoe.training.processes import process_count

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
A100_BYTES = 40 * 2**30
BYTES_OF_A_WEIGHT = {"weights": 4, "gradients": 4, "optimizer": 8}
"""fp32 weights and gradients, and the two moments of Adam or AdamW."""


class PresetError(RuntimeError):
    """A preset needs what this machine lacks; the message lists all of it and how to get it."""


def check_requirements(config: ExperimentConfig, data: Path | None) -> None:
    """Check GPU, worker processes, dataset, network, and pretrained weights.

    Args:
        config: the run that is about to start.
        data: its dataset's folder, ``None`` if nothing names one.

    Raises:
        PresetError: lists everything that is missing.
    """
    problems = [
        *gpu_problems(config),
        *dataset_problems(config, data),
        *loader_problems(config),
        *(network_problems(config.detector) or weights_problems(config.detector)),
    ]
    if problems:
        what = "\n".join(f"  {number}. {text}" for number, text in enumerate(problems, 1))
        raise PresetError(
            f"the preset {config.preset!r} cannot run {config.name!r} here; missing:\n{what}"
        )


def gpu_problems(config: ExperimentConfig) -> list[str]:
    """Return GPU problems and how to fix them; empty if there are none."""
    if config.device != "cuda" or torch.cuda.is_available():
        return []
    return [
        "a CUDA GPU: torch sees none. Use a machine with one and a CUDA build of torch, or the "
        "preset laptop, which needs none."
    ]


def loader_problems(config: ExperimentConfig) -> list[str]:
    """Return what worker processes lack here and how to get it."""
    training = config.training
    if training.epochs == 0:
        return []
    image_bytes = 3 * config.data.image_size**2
    return worker_problems(training.num_workers, training.batch_size * image_bytes)


def dataset_problems(config: ExperimentConfig, data: Path | None) -> list[str]:
    """Return what is missing of the dataset's files and how to get it; opens no image."""
    how = (
        "UniAttackData is available from its authors on request; turn it into a prepared dataset "
        "(book page `datasets`, `python -m data_prep --help`) and set LASOFTMOE_DATA to that "
        "folder."
    )
    if data is None:
        return [f"a dataset: LASOFTMOE_DATA is not set. {how}"]
    if data.resolve() == EMBEDDED_DATA.resolve():
        how = f"`{EMBEDDED_COMMAND}` writes it."
    elif not config.data.folder.startswith("$"):
        how = "Correct data.folder, or write the dataset (`python -m data_prep --help`)."
    for path in (data, data / "dataset.json"):
        if not os.access(path, os.R_OK):
            return [f"a dataset: {path} is not there or not readable. {how}"]
    if not os.access(data / "protocols" / f"{config.data.protocol}.parquet", os.R_OK):
        known = ", ".join(sorted(path.stem for path in (data / "protocols").glob("*.parquet")))
        return [
            f"a protocol: the dataset {data} has no readable {config.data.protocol!r}, but "
            f"{known or 'none at all'}. Name one with --data.protocol."
        ]
    return []


def network_problems(config: MethodConfig) -> list[str]:
    """Return what keeps a network from being built here; builds nothing."""
    try:
        METHODS[config.kind].check(config)
    except (ValueError, FileNotFoundError) as error:
        return [f"a network that can be built: {error}"]
    return []


def weights_problems(config: MethodConfig) -> list[str]:
    """Return what is missing of published weights and how to get it; downloads nothing."""
    weights = METHODS[config.kind].weights(config)
    if weights is None or weights.tag is None or weights.files or _obtainable(weights):
        return []
    return [
        f"the weights {weights.tag} of {weights.name}: neither in this machine's cache nor "
        f'reachable. Load them once where there is a connection (python -c "{weights.call}") and '
        "copy that machine's Hugging Face cache (~/.cache/huggingface, or HF_HOME), or set "
        f"{weights.field} to a safetensors file."
    ]


def _obtainable(weights: Weights) -> bool:
    """Whether the loader will find the weights on this machine or on the hub.

    ``weights.hub`` is ``owner/repository/`` or ``owner/repository/file``. Where it is empty, the
    loader knows more about the source than we do.
    """
    repository, _, filename = weights.hub.rpartition("/")
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


@dataclass(frozen=True)
class Line:
    """One requirement; a ``MISSING`` line keeps the run from starting."""

    status: Literal["OK", "MISSING"]
    what: str

    def __str__(self) -> str:
        return f"{self.status:8s}{self.what}"


def dry_run(
    config: ExperimentConfig, data: Path | None, published: pd.DataFrame | None = None
) -> Iterator[Line]:
    """Look at everything that a run needs, cheapest first.

    Args:
        config: the run.
        data: its dataset's folder, ``None`` if nothing names one.
        published: columns live and attack, rows train, dev, and test: the images that the
            dataset should have; ``None`` if nothing is known about it.
    """
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none needed"
    yield _requirement(gpu_problems(config), f"GPU: {gpu}")
    if problems := loader_problems(config):
        yield _requirement(problems, "")
    weights = METHODS[config.detector.kind].weights(config.detector)
    found = f"{weights.name}, {weights.tag or 'random'}" if weights else "none needed"
    unbuilt = network_problems(config.detector)
    yield _requirement(unbuilt or weights_problems(config.detector), f"weights: {found}")
    problems = dataset_problems(config, data)
    yield _requirement(problems, f"dataset: {data}, protocol {config.data.protocol}")
    counts = _counts(config, data) if data and not problems else None
    if isinstance(counts, DatasetError):
        yield Line("MISSING", f"a dataset that can be read: {counts}")
    elif counts is not None:
        yield from _count_lines(counts, published)
    if unbuilt:
        return
    cost = step_cost(config)
    yield _memory_line(cost, config)
    yield _work_line(cost, counts if isinstance(counts, pd.DataFrame) else published, config)


def _requirement(problems: list[str], found: str) -> Line:
    return Line("MISSING", problems[0]) if problems else Line("OK", found)


def _counts(config: ExperimentConfig, data: Path) -> pd.DataFrame | DatasetError:
    """Live images and attacks of each split, or what is wrong with the dataset's tables."""
    try:
        dataset = read_dataset(data)
    except DatasetError as error:
        return error
    table = dataset.protocols[config.data.protocol].merge(dataset.manifest, on="id")
    live = table["label"] == "live"
    counts = pd.DataFrame({"split": table["split"], "live": live, "attack": ~live})
    return counts.groupby("split").sum().reindex(SPLITS, fill_value=0)


def _count_lines(counts: pd.DataFrame, published: pd.DataFrame | None) -> Iterator[Line]:
    for split in SPLITS:
        live, attack = counts.loc[split]
        found = f"{split}: {live + attack:,} images, {live:,} of them live"
        if not live + attack:
            yield Line("MISSING", f"{found}; choose a protocol with images in every split")
        elif published is None or counts.loc[split].equals(published.loc[split]):
            same = "" if published is None else ", as the paper's Table 1 says"
            yield Line("OK", found + same)
        else:
            live, attack = published.loc[split]
            yield Line(
                "MISSING",
                f"{found}; the paper's Table 1 has {live + attack:,} and {live:,}. Check the "
                "release and the importer's report (book page `datasets`); to train on this "
                "dataset as it is, leave --dry-run out",
            )


@dataclass(frozen=True)
class StepCost:
    """What one training step needs: parameters, bytes, and floating point operations."""

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


def step_cost(config: ExperimentConfig) -> StepCost:
    """Count parameters, memory, and operations of one training step on fake tensors."""
    detector = build_shape(config.detector)
    with FakeTensorMode(allow_non_fake_inputs=True):
        detector.to_empty(device="cpu")
        activation_bytes, train_flops = _training_step(detector, config)
        batch = _batch(config.training.eval_batch_size, config.data.image_size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector.eval().attack_score(batch["image"])
    trained = [p for group in detector.parameter_groups().values() for p in group.parameters]
    return StepCost(
        parameters=_numbers(detector.parameters()),
        trained=_numbers(trained),
        activation_bytes=activation_bytes,
        train_flops=train_flops,
        score_flops=counter.get_total_flops() // config.training.eval_batch_size,
    )


def _training_step(detector: Detector, config: ExperimentConfig) -> tuple[int, int]:
    """Bytes that autograd keeps in addition to the parameters, and operations of one step."""
    own = {p.untyped_storage()._cdata for p in detector.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    detector.train()
    batch = _batch(config.training.batch_size, config.data.image_size, detector.needs)
    bf16 = config.training.precision == "bf16"
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with FlopCounterMode(display=False) as counter, hooks:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = detector.training_loss(batch)
        (sum(loss.values()) if isinstance(loss, dict) else loss).backward()
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    return size, counter.get_total_flops()


def _batch(size: int, image_size: int, needs: Iterable[str] = ()) -> Batch:
    batch: Batch = {
        "image": torch.empty(size, 3, image_size, image_size, dtype=torch.uint8),
        "is_attack": torch.empty(size, dtype=torch.bool),
    }
    for name in needs:
        if name in MAPS:
            batch[name] = torch.empty(size, 1, image_size, image_size, dtype=torch.uint8)
            batch[f"has_{name}"] = torch.empty(size, dtype=torch.bool)
        else:
            batch[name] = ["unknown"] * size
    return batch


def _numbers(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _memory_line(cost: StepCost, config: ExperimentConfig) -> Line:
    need = cost.bytes
    parts = " + ".join(f"{name} {size / 2**30:.1f}" for name, size in need.items())
    total = sum(need.values())
    text = (
        f"memory: {total / 2**30:.1f} GiB = {parts} (4 bytes a weight, 4 a gradient, 8 for "
        f"Adam's moments; activations: what autograd keeps of one batch of "
        f"{config.training.batch_size}); {cost.parameters:,} parameters, {cost.trained:,} trained"
    )
    space = _gpu_bytes(config)
    if space is None or total < 0.9 * space:
        return Line("OK", text)
    return Line(
        "MISSING",
        f"{text}. The GPU has only {space / 2**30:.0f} GiB: lower training.batch_size, or set "
        "detector.moe.rank",
    )


def _gpu_bytes(config: ExperimentConfig) -> int | None:
    """Bytes of the GPU, an A100's where there is none yet; ``None`` for a run without GPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    return A100_BYTES if config.device == "cuda" else None


def _work_line(cost: StepCost, counts: pd.DataFrame | None, config: ExperimentConfig) -> Line:
    training = config.training
    each = f"{cost.train_flops / training.batch_size / 1e9:.0f} GFLOP for each training image"
    if counts is None:
        return Line("OK", f"work: {each}; the number of steps follows from the dataset")
    images = counts.sum(axis=1)
    steps = training.epochs * (int(images["train"]) // (training.batch_size * process_count()))
    dev_evaluations = 1 + (training.epochs if training.watches_dev else 0)
    scored = int(images["dev"]) * dev_evaluations + int(images["test"])
    flops = steps * cost.train_flops + scored * cost.score_flops
    text = f"{steps:,} steps of {training.batch_size} images, {each}, {flops / 1e12:,.0f} TFLOP"
    return Line("OK", f"work: {text} with scoring")
