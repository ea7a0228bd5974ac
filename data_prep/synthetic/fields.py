"""Two tools for the samplers: a table of tensors, and random numbers per row."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Self

import torch
from torch import Tensor

from data_prep.synthetic.row_numbers import Numbers

_DRAWS_PER_ROW = 160
_BATCH = 64
"""Rows drawn at once on a GPU: one or two gigabytes at full size."""


@dataclasses.dataclass(frozen=True)
class Fields:
    """Base class of tables of tensors; every field is a column, with rows first."""

    def __len__(self) -> int:
        return len(getattr(self, dataclasses.fields(self)[0].name))

    def _columns(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Self:
        """Return a table of the chosen rows, also for a single row number."""
        if isinstance(rows, int):
            rows = [rows]
        return type(self)(**{name: column[rows] for name, column in self._columns().items()})

    def repeat(self, times: int) -> Self:
        """Repeat every row ``times`` times, with copies together (a, a, b, b, ...)."""
        return type(self)(
            **{name: c.repeat_interleave(times, dim=0) for name, c in self._columns().items()}
        )

    def replace(self, **columns: Tensor) -> Self:
        """Return a copy with some columns replaced.

        Raises:
            ValueError: If a column is unknown or its shape differs.
        """
        for name, column in columns.items():
            old = self._columns().get(name)
            if old is None:
                raise ValueError(
                    f"{type(self).__name__} has no column {name!r}; it has: "
                    + ", ".join(self._columns())
                )
            if column.shape != old.shape:
                raise ValueError(
                    f"column {name!r} has shape {tuple(column.shape)}, expected {tuple(old.shape)}"
                )
        return dataclasses.replace(self, **columns)

    def row(self, index: int, device: torch.device | str = "cpu") -> SimpleNamespace:
        """Return one row for drawing: numbers as Python floats, colors as (3, 1, 1), others as is.

        Only colors and tables of colors are moved to ``device``.
        """
        values = {}
        for name, column in self._columns().items():
            value = column[index]
            if value.dim() == 0:
                values[name] = value.item()
            elif value.shape == (3,):
                values[name] = value.view(3, 1, 1).to(device)
            elif value.shape[-1] == 3:
                values[name] = value.to(device)
            else:
                values[name] = value
        return SimpleNamespace(**values)

    def batch(self, device: torch.device | str = "cpu") -> SimpleNamespace:
        """Return all rows for drawing at once, with a ``Numbers`` where ``row`` has numbers.

        Colors are (b, 3, 1, 1), tables of colors (b, ..., 3). Everything is moved to ``device``.
        """
        values = {}
        for name, column in self._columns().items():
            column = column.to(device)
            if column.shape[1:] == (3,):
                values[name] = column.view(-1, 3, 1, 1)
            elif column.dim() > 1 and column.shape[-1] == 3:
                values[name] = column
            else:
                values[name] = Numbers(column.double())
        return SimpleNamespace(**values)

    def for_drawing(self, rows: slice, device: torch.device | str = "cpu") -> SimpleNamespace:
        """Return rows as ``batch`` does, or one row as ``row`` does; formulas accept both.

        Args:
            rows: One of ``in_chunks``.
            device: Device for drawing.
        """
        if rows.stop - rows.start == 1:
            return self.row(rows.start, device)
        return self[rows].batch(device)


def in_chunks(rows: int, device: torch.device, chunk: int | None = None) -> list[slice]:
    """Split rows into chunks to draw at once, of size ``chunk`` or a default for the device.

    A CPU draws one row at a time: that is as fast and needs no memory for layers that most rows
    lack. Other devices draw 64, or they would mostly wait for instructions.

    Raises:
        ValueError: If ``chunk`` is less than 1.
    """
    if chunk is None:
        chunk = 1 if device.type == "cpu" else _BATCH
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; expected 1 or more rows to draw at once")
    return [slice(start, min(start + chunk, rows)) for start in range(0, rows, chunk)]


class Draws:
    """Random numbers for the rows from ``start``, with one generator per row.

    So row i depends only on (seed, i): row 7 is the same among 10 or 1,000 rows, and a worker can
    draw one row without the others.
    """

    def __init__(self, rows: int, seed: int, start: int = 0) -> None:
        self.numbers = range(start, start + rows)
        self._table = torch.empty(rows, _DRAWS_PER_ROW, dtype=torch.float64)
        for row, number in zip(self._table, self.numbers, strict=True):
            row.uniform_(generator=_generator(seed, number))
        self._used = 0

    def unit(self, *shape: int) -> Tensor:
        """Draw uniform numbers in [0, 1), (rows, *shape), float64."""
        count = math.prod(shape)
        start, self._used = self._used, self._used + count
        if self._used > _DRAWS_PER_ROW:
            raise ValueError(f"a row needs more than {_DRAWS_PER_ROW} draws; raise _DRAWS_PER_ROW")
        return self._table[:, start : self._used].reshape(len(self.numbers), *shape)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw uniform numbers in [low, high)."""
        return (low + (high - low) * self.unit(*shape)).float()

    def normal(
        self,
        mean: float,
        std: float,
        low: float = -math.inf,
        high: float = math.inf,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """Draw normal numbers, clamped to [low, high]."""
        standard = torch.special.ndtri(self.unit(*shape).clamp(1e-9, 1 - 1e-9))
        return (mean + std * standard).clamp(low, high).float()

    def chance(self, probability: float | Tensor) -> Tensor:
        """Draw 1.0 with the given probability, else 0.0."""
        return (self.unit() < probability).float()

    def choice(self, weights: Tensor) -> Tensor:
        """Draw one index per row by ``weights``, (kinds,) or (rows, kinds)."""
        cumulative = (weights / weights.sum(-1, keepdim=True)).double().cumsum(-1)
        index = (self.unit(1) >= cumulative).sum(-1)
        return index.clamp(max=weights.shape[-1] - 1)

    def even(self, seed_offset: float, step: float) -> Tensor:
        """Return numbers in [0, 1) that are evenly spread over any range of rows.

        An additive recurrence (Weyl sequence) is far more even than random numbers and depends
        only on the row's number.
        """
        numbers = torch.tensor(list(self.numbers), dtype=torch.float64)
        return (seed_offset + step * numbers) % 1.0


def _generator(seed: int, number: int) -> torch.Generator:
    """Return a row's generator; the multipliers give neighboring pairs distant seeds."""
    return torch.Generator().manual_seed(
        (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    )


def seed_number(seed: int, salt: int) -> float:
    """Draw a number in [0, 1) from a seed, for an offset that all rows share."""
    return torch.rand(1, generator=_generator(seed, -1 - salt), dtype=torch.float64).item()
