"""What to say of a wrong answer that shows no known mistake; never the expected value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lasoftmoe.exercises.values import is_number, kind, number, same

SMALL = "Try an example small enough to work through by hand."
# Relations of an answer (a) to the right one, tried in this order.
VARIANTS: dict[str, Callable[[Tensor], Tensor]] = {
    "Your numbers are 100 times too large: return fractions, not percent.": lambda e: 100 * e,
    "Your numbers are 100 times too small: return percent, not fractions.": lambda e: e / 100,
    "Every sign is reversed.": lambda e: -e,
    "You computed one minus the answer: the complement.": lambda e: 1 - e,
    "You computed one over the answer: it is upside down.": lambda e: 1 / e,
    "You computed the square of the answer.": lambda e: e.square(),
    "You computed the square root of the answer.": lambda e: e.abs().sqrt(),
    "You computed the exponential of the answer.": lambda e: e.exp(),
    "You computed the logarithm of the answer.": lambda e: e.abs().log(),
}


def explain_mismatch(
    answers: Sequence[Any], expected: Sequence[Any], tolerance: float
) -> tuple[str, str]:
    """Return a sentence about wrong answers, and a detail of the first wrong one.

    Args:
        answers: plain values, one per case.
        expected: the right values.
        tolerance: absolute and relative.
    """
    for answer, right in zip(answers, expected, strict=True):
        sentence = wrong_kind(answer, right)
        if sentence:
            return sentence, ""
    mine, theirs = _flat(answers), _flat(expected)
    if mine is not None and theirs is not None:
        for sentence, variant in VARIANTS.items():
            if same(mine, variant(theirs), tolerance):
                return sentence, ""
        if sentence := _transposed_or_scaled(answers, expected, tolerance):
            return sentence, ""
    wrong = [
        i
        for i, pair in enumerate(zip(answers, expected, strict=True))
        if not same(*pair, tolerance)
    ]
    return _how_wrong(len(wrong), len(answers)) + SMALL, _first_wrong(
        answers[wrong[0]], expected[wrong[0]], tolerance
    )


def wrong_kind(answer: Any, right: Any) -> str | None:
    """Say that an answer is of another kind or shape, or return None."""
    if isinstance(right, tuple):
        many = isinstance(answer, tuple) or (isinstance(answer, Tensor) and answer.dim() == 1)
        if not many or len(answer) != len(right):
            return f"Expected {len(right)} values, got {kind(answer)}."
        told = (wrong_kind(*pair) for pair in zip(answer, right, strict=True))
        return next((sentence for sentence in told if sentence), None)
    if is_number(right):
        return None if number(answer) is not None else f"Expected a number, got {kind(answer)}."
    if isinstance(right, Tensor):
        if not isinstance(answer, Tensor):
            return f"Expected a tensor, got {kind(answer)}."
        if answer.shape != right.shape:
            return (
                f"Expected a tensor of shape {tuple(right.shape)}, got one of shape "
                f"{tuple(answer.shape)}."
            )
    return None


def _flat(values: Sequence[Any]) -> Tensor | None:
    """All numbers of some values in one row, or None where a value is no number."""
    parts = []
    for value in values:
        inner = value if isinstance(value, tuple) else (value,)
        for item in inner:
            if isinstance(item, Tensor):
                parts.append(item.double().flatten())
            elif (single := number(item)) is not None:
                parts.append(torch.tensor([single], dtype=torch.float64))
            else:
                return None
    return torch.cat(parts) if parts else None


def _transposed_or_scaled(
    answers: Sequence[Any], expected: Sequence[Any], tolerance: float
) -> str | None:
    pairs = list(zip(answers, expected, strict=True))
    tables = all(isinstance(e, Tensor) and e.dim() >= 2 for e in expected)
    if tables and all(same(a, e.mT, tolerance) for a, e in pairs):
        return "Your table is transposed: rows and columns are exchanged."
    several = [
        (a.double(), e.double()) for a, e in pairs if isinstance(e, Tensor) and e.numel() > 2
    ]
    if len(several) == len(pairs):
        if all(_constant(a / e) and a.any() for a, e in several):
            return "Your values are proportional to the right ones: one factor is off."
        if all(_constant(a - e) for a, e in several):
            return "Your values differ from the right ones by one constant."
    return None


def _constant(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all()) and float(values.max() - values.min()) < 1e-4 * max(
        1.0, float(values.abs().max())
    )


def _how_wrong(wrong: int, cases: int) -> str:
    if wrong < cases:
        return f"Right in {cases - wrong} of {cases} cases, not yet in the others. "
    return "The form is right, the values are not. "


def _first_wrong(answer: Any, right: Any, tolerance: float) -> str:
    """Say where the first wrong number stands and what the student's own value is."""
    if isinstance(right, tuple):
        for place, (mine, theirs) in enumerate(zip(answer, right, strict=True)):
            if not same(mine, theirs, tolerance):
                inner = _first_wrong(mine, theirs, tolerance)
                return f"Look at value {place + 1} of {len(right)}. {inner}".strip()
    if isinstance(right, Tensor) and right.dim() and isinstance(answer, Tensor):
        gap = (answer.double() - right.double()).abs()
        off = ~(gap <= tolerance * (1 + right.double().abs()))
        if off.any():
            place = off.nonzero()[0].tolist()
            return (
                f"{int(off.sum())} of {off.numel()} numbers are off, the first at {place}: yours "
                f"is {float(answer[tuple(place)]):.4g}."
            )
    mine = number(answer)
    return "" if mine is None else f"Yours is {mine:,.6g}."
