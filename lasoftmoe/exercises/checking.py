"""What the checks of all chapters share: calling the reader's code and comparing tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

BLANK = (
    "Nothing is written here yet: replace the line `raise NotImplementedError` of the cell "
    "above with your own code, run that cell, then run this one again."
)


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call the reader's function; say kindly that it is still blank or returns nothing.

    Raises:
        AssertionError: the function raises ``NotImplementedError`` or returns ``None``.
    """
    try:
        answer = function(*args)
    except NotImplementedError:
        raise AssertionError(BLANK) from None
    if answer is None:
        raise AssertionError(
            f"`{function.__name__}` returned None: end it with `return` and your result."
        )
    return answer


def same(answer: Tensor, other: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors have one shape and agree within an absolute and relative tolerance."""
    return answer.shape == other.shape and torch.allclose(
        answer.float(), other.float(), atol=tolerance, rtol=tolerance
    )


def compare(
    answer: Any,
    expected: Tensor,
    misconceptions: Mapping[str, Tensor],
    tolerance: float = 1e-4,
) -> None:
    """Accept an answer close to ``expected``; otherwise name the misconception it shows.

    Args:
        answer: what the reader's function returned.
        expected: the right answer.
        misconceptions: explanation -> the wrong answer that this misconception produces.
        tolerance: absolute and relative.

    Raises:
        AssertionError: not a tensor, wrong shape, or wrong values; the message explains.
    """
    if not isinstance(answer, Tensor):
        raise AssertionError(f"Expected a tensor, got {type(answer).__name__}.")
    if same(answer, expected, tolerance):
        return
    for explanation, wrong in misconceptions.items():
        if same(answer, wrong, tolerance):
            raise AssertionError(explanation)
    if answer.shape != expected.shape:
        raise AssertionError(
            f"Expected a tensor of shape {tuple(expected.shape)}, got {tuple(answer.shape)}."
        )
    gap = (answer.float() - expected.float()).abs().max().item()
    raise AssertionError(
        f"The shape {tuple(expected.shape)} is right, the values are not: the largest "
        f"difference from the expected answer is {gap:.3g}. Try your function on an example so "
        "small that you can follow every number."
    )


def compare_number(
    answer: Any, expected: float, misconceptions: Mapping[str, float], tolerance: float = 1e-6
) -> None:
    """The same for a single number, such as a count of operations or of parameters."""
    if isinstance(answer, Tensor) and answer.numel() == 1:
        answer = answer.item()
    if not isinstance(answer, int | float):
        raise AssertionError(f"Expected a number, got {type(answer).__name__}.")
    if abs(answer - expected) <= tolerance * max(1.0, abs(expected)):
        return
    for explanation, wrong in misconceptions.items():
        if abs(answer - wrong) <= tolerance * max(1.0, abs(wrong)):
            raise AssertionError(explanation)
    raise AssertionError(f"Expected {expected:,}, got {answer:,}.")
