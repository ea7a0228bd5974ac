"""The state of a training on disk, as safetensors: written completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import FiniteFloat, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from typing_extensions import TypedDict

from data_prep.atomic import TEMPORARY_PREFIX
from data_prep.errors import shown
from data_prep.reading import open_regular
from lasoftmoe.settings import NonNegative, NonNegativeCount, explain
from lasoftmoe.training.clock import Clock
from lasoftmoe.weights_files import Tensors, check_fit, copy_into, copy_weights


class CheckpointError(ValueError):
    """A checkpoint cannot be written, cannot be read, or belongs to another training."""


@dataclass
class TrainingState:
    """Progress of a training, apart from weights and optimizer.

    ``epoch`` counts finished epochs; ``log`` has a row for every finished step.
    """

    epoch: int
    log: list[dict[str, Any]]
    best_dev_auc: float | None = None
    best_weights: Tensors | None = None


@dataclass(frozen=True)
class Checkpoint:
    """File with the last saved state of a training.

    ``clock`` counts from the object's creation. ``load`` adds the time that the saved state took in
    earlier attempts. Steps lost in a kill are missing from the state and from its time.
    """

    path: Path
    clock: Clock = field(default_factory=Clock, compare=False, repr=False)

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: TrainingState,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace the saved state with the current one.

        Args:
            settings: Everything that determines the training; ``load`` requires the same.

        Raises:
            CheckpointError: the file cannot be written (a full disk); the one before stays.
        """
        tensors = {f"model/{name}": tensor for name, tensor in copy_weights(model).items()}
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
        for name, tensor in (state.best_weights or {}).items():
            tensors[f"best/{name}"] = tensor
        header = {"epoch": state.epoch, "log": state.log, "best_dev_auc": state.best_dev_auc}
        header |= {
            "steps": len(state.log),
            "settings": dict(settings or {}),
            "seconds": self.clock.read(),
        }
        try:
            self._replace(tensors, {"state": json.dumps(header)})
        except (OSError, SafetensorError) as error:
            before = "the one before is still there" if self.path.exists() else "there is none yet"
            raise CheckpointError(
                f"the checkpoint {self.path} after {len(state.log)} steps cannot be written: "
                f"{error}; {before}. Make room or mend the folder, and start the same training "
                "again: it goes on from there"
            ) from error

    def _replace(self, tensors: Tensors, metadata: dict[str, str]) -> None:
        # A fixed name: the file that a killed process leaves is overwritten by the next one.
        temporary = self.path.with_name(f"{TEMPORARY_PREFIX}{self.path.name}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(tensors, temporary, metadata)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # on disk before it replaces the old file
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def load(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: Mapping[str, Any] | None = None,
    ) -> TrainingState | None:
        """Restore model and optimizer; return None if nothing was saved.

        Raises:
            CheckpointError: If the file is damaged, its parts are of different steps, it was saved
                with other ``settings``, or its tensors do not fit the model. Model and optimizer
                are then unchanged.
        """
        if not self.path.exists():
            return None
        tensors, header = self._read()
        self._compare(header["settings"], json.loads(json.dumps(dict(settings or {}))))
        groups = optimizer.state_dict()["param_groups"]
        best = _below(tensors, "best/") or None
        try:
            moments = _moments(tensors)
            self._check_moments(moments, optimizer)
            _check_steps(header, moments, any("betas" in group for group in groups))
            _require(
                (header["best_dev_auc"] is None) == (best is None), "weights of the best epoch"
            )
            if best is not None:
                check_fit(model, best, self.path)
            copy_into(model, _below(tensors, "model/"), self.path)
        except CheckpointError:
            raise
        except ValueError as error:
            raise self._damaged(error) from error
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.clock.add(dict(header["seconds"]))
        return TrainingState(header["epoch"], header["log"], header["best_dev_auc"], best)

    def _read(self) -> tuple[Tensors, _Header]:
        try:
            with open_regular(self.path), safe_open(self.path, "pt") as file:
                header = json.loads((file.metadata() or {})["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            _HEADER.validate_python(header, strict=True)
            return tensors, cast(_Header, header)
        except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CheckpointError:
        told = explain(error) if isinstance(error, ValidationError) else error
        return CheckpointError(
            f"{self.path} is not a whole checkpoint of a training ({told}); delete it to train "
            "from the beginning"
        )

    def _compare(self, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
        other = [key for key in sorted({*saved, *wanted}) if saved.get(key) != wanted.get(key)]
        if other:
            values = ", ".join(f"{k} = {saved.get(k)!r}, now {wanted.get(k)!r}" for k in other[:3])
            raise CheckpointError(
                f"{self.path} belongs to another training ({values}); name another file, or "
                "delete this one to train from the beginning"
            )

    def _check_moments(self, moments: dict[int, Tensors], optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, values in moments.items():
            known = 0 <= index < len(parameters)
            for key, value in values.items():
                _require(value.is_floating_point(), f"the optimizer's {key} in floating point")
                if not known or (value.ndim and value.shape != parameters[index].shape):
                    raise CheckpointError(
                        f"{self.path} does not fit: the optimizer's {key} of its parameter "
                        f"number {index} has shape {tuple(value.shape)}, "
                        + (f"not {tuple(parameters[index].shape)}" if known else "but none is left")
                    )


class _Seconds(TypedDict):
    wall: NonNegative
    cpu: NonNegative


class _Header(TypedDict):
    epoch: NonNegativeCount
    steps: NonNegativeCount
    log: list[dict[str, Any]]
    best_dev_auc: FiniteFloat | None
    settings: dict[str, Any]
    seconds: _Seconds


_HEADER = TypeAdapter(_Header)


def _check_steps(header: _Header, moments: dict[int, Tensors], counts_steps: bool) -> None:
    """Check that the log, the header, and an optimizer that counts steps have equally many.

    A shorter log would repeat steps that the weights already have, and change the result.
    """
    steps = header["steps"]
    rows = [row.get("step") for row in header["log"]]
    first = rows[0] if rows and isinstance(rows[0], int) else 0  # pretraining counts from 1
    _require(rows == list(range(first, first + steps)), f"{steps} log rows")
    if counts_steps:
        taken = max(
            (int(values["step"]) for values in moments.values() if "step" in values), default=0
        )
        _require(taken == steps, f"an optimizer after {steps} steps, not {taken}")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"expected {what}")


def _moments(tensors: Tensors) -> dict[int, Tensors]:
    """Return the optimizer's moments, by the number of the parameter."""
    moments: dict[int, Tensors] = {}
    for name, tensor in _below(tensors, "optimizer/").items():
        index, _, key = name.partition("/")
        _require(index.isdecimal() and bool(key), f"optimizer/NUMBER/NAME, found {shown(name)}")
        moments.setdefault(int(index), {})[key] = tensor
    return moments


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
