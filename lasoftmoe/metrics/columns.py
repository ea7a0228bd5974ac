"""Score and class columns as NumPy arrays, or an error that names the row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float32 | np.float64]
Flags = NDArray[np.bool_]


def score_columns(attack_score: ArrayLike, is_attack: ArrayLike) -> tuple[Scores, Flags]:
    """Return scores and classes (n,) of a list that has both classes.

    Tensors of any device and floating type are taken, with or without gradients.

    Raises:
        ValueError: The lengths differ, the list is empty, it has only one class, or an entry is
            not a finite number or not a boolean.
    """
    scores, flags = _array(attack_score), _array(is_attack)
    if scores.ndim != 1 or flags.shape != scores.shape:
        raise ValueError(
            f"attack_score and is_attack must be two columns of one length, got shapes "
            f"{scores.shape} and {flags.shape}"
        )
    if scores.size == 0:
        raise ValueError("no scores: at least one live image and one attack are needed")
    flags, scores = _booleans(flags), finite_scores(scores)
    if flags.all() or not flags.any():
        found = "attacks" if flags.all() else "live images"
        raise ValueError(f"only {found} among {flags.size} scores; both classes are needed")
    return scores, flags


def finite_scores(attack_score: ArrayLike, ids: Sequence[Any] | None = None) -> Scores:
    """Return scores (n,) as float32 if they are float32, otherwise as float64.

    Args:
        attack_score: Numbers (n,).
        ids: Names of the images (n,), for the error. By default, it names the row.

    Raises:
        ValueError: An entry is not a finite number.
    """
    scores = _array(attack_score)
    where = (lambda row: f"[{row}]") if ids is None else (lambda row: f" of image {ids[row]!r}")
    if scores.dtype == object:
        for row, value in enumerate(scores):
            if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
                raise ValueError(f"attack_score{where(row)} is {value!r}, not a number")
    elif scores.dtype.kind not in "biuf":
        raise ValueError(f"attack_score must hold numbers, got {scores.dtype}")
    scores = scores.astype(np.float32 if scores.dtype == np.float32 else np.float64, copy=False)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(
            f"attack_score{where(row)} is {scores[row]}; every score must be a finite number"
        )
    return scores


def _booleans(flags: NDArray[Any]) -> Flags:
    if flags.dtype == bool:
        return flags
    if flags.dtype.kind in "iuf":
        valid = np.isin(flags, (0, 1))
    else:
        kinds = (bool, np.bool_, int)
        valid = np.array([isinstance(flag, kinds) and flag in (0, 1) for flag in flags])
    if not valid.all():
        row = int(np.argmin(valid))
        raise ValueError(
            f"is_attack[{row}] is {flags[row]!r}, not a boolean; "
            "from labels: is_attack = label == 'fake'"
        )
    return flags.astype(bool)


def _array(values: ArrayLike) -> NDArray[Any]:
    return np.asarray(_without_tensors(values))


def _without_tensors(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return [_without_tensors(value) for value in values]
    if not hasattr(values, "detach"):  # asked this way, metrics need not import torch
        return values
    values = values.detach().cpu()
    if values.is_floating_point() and values.element_size() < 4:
        values = values.float()  # NumPy has no bfloat16
    return values.numpy()
