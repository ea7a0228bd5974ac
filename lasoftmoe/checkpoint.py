"""Weights and training states on disk as safetensors: written atomically, never pickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data_prep.atomic import write_atomically
from lasoftmoe.small_clip import load_weights as copy_into

Tensors = dict[str, Tensor]


def copy_weights(model: nn.Module) -> Tensors:
    """All parameters and buffers, copied to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's parameters and buffers."""
    write_atomically(path, lambda temporary: save_file(copy_weights(model), temporary))


def load_weights(model: nn.Module, path: Path) -> None:
    """Read what ``save_weights`` wrote.

    Raises:
        ValueError: not a safetensors file, or its tensors do not fit the model.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    copy_into(model, tensors, path)


@dataclass
class TrainingState:
    """Where a training stands after ``epoch`` finished epochs (beside weights and optimizer)."""

    epoch: int
    log: list[dict[str, Any]]
    best_dev_auc: float | None = None
    best_weights: Tensors | None = None


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the last finished epoch of a training."""

    path: Path

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
    ) -> None:
        """Replace what was there by the present state."""
        tensors = {f"model/{name}": tensor for name, tensor in copy_weights(model).items()}
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
        for name, tensor in (state.best_weights or {}).items():
            tensors[f"best/{name}"] = tensor
        header = {"epoch": state.epoch, "log": state.log, "best_dev_auc": state.best_dev_auc}
        metadata = {"state": json.dumps(header)}
        write_atomically(self.path, lambda path: save_file(tensors, path, metadata))

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState | None:
        """Put model and optimizer back where they were; ``None`` if nothing was saved."""
        if not self.path.exists():
            return None
        with safe_open(self.path, "pt") as file:
            header = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(_below(tensors, "model/"))
        moments: dict[int, Tensors] = {}
        for name, tensor in _below(tensors, "optimizer/").items():
            index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        best = _below(tensors, "best/") or None
        return TrainingState(header["epoch"], header["log"], header["best_dev_auc"], best)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
