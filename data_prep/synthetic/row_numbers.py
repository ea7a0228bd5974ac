"""Numbers for many rows, used in the same formulas as a number for one row.

A formula such as ``x - 0.4 * p.hair_part`` draws one person if ``p.hair_part`` is a Python number
and ``x`` a map (h, w). It draws a batch if the field is a ``Numbers`` and ``x`` a stack of maps
(b, h, w). Leading dimensions are rows, and formulas do not mention them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Numbers:
    """A number for each of b rows that behaves like a Python float, in double precision.

    In operations with maps (b, h, w) or images (b, c, h, w), numbers become single precision, as a
    Python number does, and broadcast by row. So a batch has the same bits as its rows drawn one by
    one. The numbers are on the maps' device and are never read back, so the CPU need not wait.

    Args:
        values: (b,), or (b, ...) for several numbers per row.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def tolist(self) -> list[Any]:
        """Return a row's numbers, each for all rows, like ``Tensor.tolist`` for one row."""
        if self.values.dim() == 1:
            raise ValueError("a row has one number here, expected several: take it as it is")
        columns = [Numbers(column) for column in self.values.unbind(1)]
        return columns if self.values.dim() == 2 else [column.tolist() for column in columns]

    def beside(self, met: Tensor) -> Tensor:
        """Return the numbers in a type and shape that broadcast with maps or images.

        Raises:
            ValueError: If ``met`` has another number of rows.
        """
        rows = len(self.values)
        if met.dim() < 3 or len(met) != rows:
            raise ValueError(
                f"numbers of {rows} rows meet a tensor of shape {tuple(met.shape)}; expected "
                f"({rows}, h, w) or ({rows}, c, h, w)"
            )
        return self.values.view(rows, *[1] * (met.dim() - 1)).float()

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: object, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Run a PyTorch function that has numbers and maps among its arguments."""
        met = next(value for value in args if isinstance(value, Tensor))
        values = (value.beside(met) if isinstance(value, cls) else value for value in args)
        return function(*values, **(kwargs or {}))

    def __neg__(self) -> Numbers:
        return Numbers(-self.values)

    def __abs__(self) -> Numbers:
        return Numbers(self.values.abs())


Number = float | Numbers
"""A number for drawing: a Python number for one row, or one per row of a batch."""


def _operate(operation: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    met = next((value for value in (first, second) if isinstance(value, Tensor)), None)
    if met is not None:
        pair = (v.beside(met) if isinstance(v, Numbers) else v for v in (first, second))
        return operation(*pair)
    return Numbers(operation(*(v.values if isinstance(v, Numbers) else v for v in (first, second))))


def _add_operators() -> None:
    names = ("add", "sub", "mul", "truediv", "mod", "pow")
    for name in names:
        operation = getattr(operator, name)
        setattr(Numbers, f"__{name}__", lambda a, b, do=operation: _operate(do, a, b))
        setattr(Numbers, f"__r{name}__", lambda b, a, do=operation: _operate(do, a, b))
    for name in ("lt", "le", "gt", "ge"):
        operation = getattr(operator, name)
        setattr(Numbers, f"__{name}__", lambda a, b, do=operation: _operate(do, a, b))


_add_operators()


def larger(first: Number, second: Number) -> Number:
    """Return the larger of two numbers, row by row."""
    return _choose_one(torch.maximum, max, first, second)


def smaller(first: Number, second: Number) -> Number:
    """Return the smaller of two numbers, row by row."""
    return _choose_one(torch.minimum, min, first, second)


def _choose_one(
    of_rows: Callable[[Tensor, Tensor], Tensor],
    of_two: Callable[[float, float], float],
    first: Number,
    second: Number,
) -> Number:
    if not isinstance(first, Numbers) and not isinstance(second, Numbers):
        return of_two(first, second)
    values = first.values if isinstance(first, Numbers) else second.values
    pair = (
        n.values if isinstance(n, Numbers) else torch.full_like(values, n) for n in (first, second)
    )
    return Numbers(of_rows(*pair))


def flag(condition: bool | Numbers) -> Number:
    """Return 1 where a comparison holds, else 0."""
    if isinstance(condition, Numbers):
        return Numbers(condition.values.double())
    return float(condition)


def nobody(share: Number) -> bool:
    """Return whether a layer with this share can be skipped: for one row, if the share is 0.

    A batch draws every layer, because a check of its rows would wait for the device. A share of 0
    must then make the layer invisible.
    """
    return not isinstance(share, Numbers) and not share


def choose(kind: Number, makers: Sequence[Callable[[], Tensor]]) -> Tensor:
    """Return the result of ``makers[kind]``; a batch calls all, and each row takes its own."""
    if not isinstance(kind, Numbers):
        return makers[int(kind)]()
    chosen = makers[0]()
    for number, make in enumerate(makers[1:], 1):
        made = make()
        chosen = torch.where(kind.beside(made) == number, made, chosen)
    return chosen


def look_up(index: Number, table: Sequence[float]) -> Number:
    """Return ``table[index]``, row by row."""
    if not isinstance(index, Numbers):
        return table[int(index)]
    column = torch.tensor(table, dtype=index.values.dtype, device=index.values.device)
    return Numbers(column[index.values.long()])


__all__ = ["Number", "Numbers", "choose", "flag", "larger", "look_up", "nobody", "smaller"]
