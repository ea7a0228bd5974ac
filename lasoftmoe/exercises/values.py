"""Values that pass between a student's function and its judge, as plain data and as JSON."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.float64, torch.int64, torch.bool)
}


@dataclass(frozen=True)
class Strange:
    """An answer that no exercise asks for, known only by the name of its type."""

    type: str


def plain(value: Any) -> Any:
    """Return a value without what depends on how it was computed.

    Numbers become ``float`` (or ``bool``), arrays and tensors become float64 (or bool) tensors,
    sequences become tuples, and sets become sorted tuples. Other types become :class:`Strange`.
    """
    if value is None or isinstance(value, str | bool | Strange):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, pd.Series):
        value = value.to_numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            return tuple(plain(item) for item in value.tolist())
        value = torch.from_numpy(np.array(value))
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return Strange("complex tensor") if value.is_complex() else _as_stored(value)
    if isinstance(value, list | tuple | range):
        return tuple(plain(item) for item in value)
    if isinstance(value, set | frozenset):
        return tuple(sorted((plain(item) for item in value), key=repr))
    return Strange(type(value).__name__)


def _as_stored(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.bool else tensor.double()


def kind(value: Any) -> str:
    """Name the kind of a plain value as a message would."""
    if isinstance(value, Strange):
        return value.type
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple):
        return f"a sequence of {len(value)} values"
    if isinstance(value, bool):
        return "True or False"
    return {float: "a number", str: "a string"}.get(type(value), "None")


def same(answer: Any, expected: Any, tolerance: float, nan_is_nan: bool = False) -> bool:
    """Return whether two plain values agree within an absolute and relative tolerance.

    A number equals a tensor that holds this one number, and a tuple of numbers equals a
    one-dimensional tensor.
    """
    if isinstance(expected, tuple):
        if isinstance(answer, Tensor) and answer.dim() == 1:
            answer = tuple(answer.tolist())
        return (
            isinstance(answer, tuple)
            and len(answer) == len(expected)
            and all(
                same(mine, theirs, tolerance, nan_is_nan)
                for mine, theirs in zip(answer, expected, strict=True)
            )
        )
    if is_number(expected):
        expected = torch.tensor(float(expected), dtype=torch.float64)
        mine = number(answer)
        answer = None if mine is None else torch.tensor(mine, dtype=torch.float64)
    if isinstance(expected, Tensor):
        return (
            isinstance(answer, Tensor)
            and answer.shape == expected.shape
            and _close(answer.double(), expected.double(), tolerance, nan_is_nan)
        )
    return type(answer) is type(expected) and answer == expected


def _close(answer: Tensor, expected: Tensor, tolerance: float, nan_is_nan: bool) -> bool:
    # Not torch.allclose: in a notebook a student can replace it by something that says yes.
    near = (answer - expected).abs() <= tolerance * (1 + expected.abs())
    near = (near & expected.isfinite()) | (answer == expected)
    if nan_is_nan:
        near |= answer.isnan() & expected.isnan()
    return bool(near.all())


def is_number(value: Any) -> bool:
    """Return whether a plain value is one number, be it in a tensor without axes."""
    return isinstance(value, float | bool) or (isinstance(value, Tensor) and value.dim() == 0)


def number(value: Any) -> float | None:
    """Return the one number that a plain value holds, or None."""
    if isinstance(value, float | bool):
        return float(value)
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return None


def encode(value: Any) -> Any:
    """Return a value as JSON can write it, without loss.

    Known are numbers, strings, None, sequences, tensors, arrays, tables and :class:`Strange`.

    Raises:
        TypeError: Any other type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Strange):
        return {"strange": value.type}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [encode(item) for item in value]}
    if isinstance(value, Tensor):
        array = np.ascontiguousarray(value.detach().numpy())
        dtype, data = str(array.dtype), base64.b64encode(array.tobytes()).decode()
        return {"tensor": dtype, "shape": list(value.shape), "data": data}
    if isinstance(value, np.ndarray):
        dtype = "str" if value.dtype.kind == "U" else str(value.dtype)
        return {"array": dtype, "shape": list(value.shape), "data": value.flatten().tolist()}
    if isinstance(value, pd.DataFrame):
        return {"table": {name: encode(value[name].to_numpy()) for name in value.columns}}
    raise TypeError(f"an exercise passes numbers, strings, arrays and tables, no {type(value)}")


def decode(value: Any) -> Any:
    """Return what :func:`encode` wrote.

    Raises:
        ValueError: The data do not describe a value.
    """
    if not isinstance(value, dict):
        return value
    match value:
        case {"strange": str(name)}:
            return Strange(name)
        case {"list": list(items)}:
            return [decode(item) for item in items]
        case {"tuple": list(items)}:
            return tuple(decode(item) for item in items)
        case {"tensor": str(dtype), "shape": list(shape), "data": str(data)} if dtype in DTYPES:
            flat = np.frombuffer(base64.b64decode(data), dtype=dtype)
            return torch.from_numpy(flat.reshape(shape).copy())
        case {"array": str(dtype), "shape": list(shape), "data": list(data)}:
            return np.array(data, dtype=dtype).reshape(shape)
        case {"table": dict(columns)}:
            return pd.DataFrame({name: decode(column) for name, column in columns.items()})
    raise ValueError(f"not the description of a value: {str(value)[:80]}")
