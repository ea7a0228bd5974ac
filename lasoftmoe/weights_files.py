"""Weights on disk as safetensors: written completely or not at all, never pickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data_prep.atomic import write_atomically

Tensors = dict[str, Tensor]


def copy_weights(model: nn.Module) -> Tensors:
    """Copy all parameters and buffers to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's parameters and buffers."""
    write_atomically(path, lambda temporary: save_file(copy_weights(model), temporary))


def read_weights(path: Path) -> Tensors:
    """Read the tensors of a ``.safetensors`` file to the CPU.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is not a safetensors file.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file. Expected weights in a .safetensors file, or pretrained=None "
            "for random weights."
        )
    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights from a file into a model.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_weights` and :func:`copy_into`.
    """
    copy_into(model, read_weights(path), path)


def copy_into(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a model; all names and shapes must match.

    Args:
        source: File to name in errors.

    Raises:
        ValueError: If a tensor is missing, unexpected, or of another shape.
    """
    expected = model.state_dict()
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not part of this model" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, this model needs {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"The weights in {source} do not fit: {'; '.join(problems[:3])}{more}.")
    model.load_state_dict(dict(tensors))
