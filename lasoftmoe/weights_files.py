"""Weights on disk as safetensors: written completely or not at all, never pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data_prep.atomic import write_atomically
from data_prep.errors import MissingFile
from data_prep.reading import open_regular

Tensors = dict[str, Tensor]
PICKLE = (
    "is a pickle, as torch.save writes it. A pickle can run code, so it is not read. If it holds "
    'a state dict, convert it once: python -c "import torch; from safetensors.torch import '
    "save_file; save_file(torch.load('OLD', weights_only=True), 'NEW.safetensors')\""
)


def copy_weights(model: nn.Module) -> Tensors:
    """Copy all parameters and buffers to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's parameters and buffers."""
    write_atomically(path, lambda temporary: save_file(copy_weights(model), temporary))


def names_file(pretrained: str) -> bool:
    """Return whether a setting names a file or folder rather than a tag of published weights."""
    return os.sep in pretrained or bool(Path(pretrained).suffix) or Path(pretrained).exists()


def check_weights_file(path: Path) -> None:
    """Refuse everything but a safetensors file; reads no more than its header.

    Raises:
        FileNotFoundError: if nothing is there.
        ValueError: if it is a folder, a pipe, a pickle, a file without the ending
            ``.safetensors``, or damaged.
    """
    try:
        with open_regular(path) as file:
            start = file.read(8)
    except MissingFile:
        raise FileNotFoundError(
            f"no file at {path}; expected weights in a .safetensors file (random weights need "
            "none: pretrained=None)"
        ) from None
    try:
        with safe_open(path, "pt"):
            pass
    except (OSError, SafetensorError) as error:
        is_pickle = start[:4] == b"PK\3\4" or start[:1] == b"\x80"
        told = PICKLE if is_pickle else f"is not a readable safetensors file: {error}"
        raise ValueError(f"{path} {told}") from error
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} holds safetensors; give its name the ending .safetensors")


def read_weights(path: Path) -> Tensors:
    """Read the tensors of a ``.safetensors`` file to the CPU.

    Raises:
        FileNotFoundError, ValueError: See :func:`check_weights_file`.
    """
    check_weights_file(path)
    try:
        return load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def check_types(model: nn.Module, path: Path) -> None:
    """Check the types of tensors in a file that another library has put into ``model``.

    Raises:
        ValueError: names tensors of whole numbers where the model has weights.
    """
    weights = {name for name, value in model.state_dict().items() if value.is_floating_point()}
    with safe_open(path, "pt") as file:
        types = {name: file.get_slice(name).get_dtype() for name in weights & set(file.keys())}
    wrong = [f"{n} has type {t}" for n, t in types.items() if not t.startswith(("F", "BF"))]
    if wrong:
        raise ValueError(f"The weights in {path} do not fit: {_few(wrong)}, not floating point.")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights from a file into a model.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_weights` and :func:`copy_into`.
    """
    copy_into(model, read_weights(path), path)


def copy_into(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a model; all names, shapes, and kinds of numbers must match.

    Args:
        source: File to name in errors.

    Raises:
        ValueError: If a tensor is missing, unexpected, or of another shape or type.
    """
    check_fit(model, tensors, source)
    model.load_state_dict(dict(tensors))


def check_fit(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Check what :func:`copy_into` needs; copies nothing."""
    expected = model.state_dict()
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not part of this model" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, this model needs {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    problems += [
        f"{name} has type {tensors[name].dtype}, this model needs {value.dtype}"
        for name, value in expected.items()
        if name in tensors and not _same_kind(tensors[name].dtype, value.dtype)
    ]
    if problems:
        raise ValueError(f"The weights in {source} do not fit: {_few(problems)}.")


def _same_kind(found: torch.dtype, needed: torch.dtype) -> bool:
    """Floating point of any precision, or the very same type."""
    return found == needed or (found.is_floating_point and needed.is_floating_point)


def _few(problems: list[str]) -> str:
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more
