"""Rows of tables as plain numbers for drawing."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from data_prep.synthetic.fields import Fields


def row_of(table: Fields, index: int) -> SimpleNamespace:
    """One row: Python numbers for columns (n,), float32 or int64 arrays for others."""
    values = {}
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)[index]
        values[field.name] = value.item() if value.dim() == 0 else value.numpy().copy()
    return SimpleNamespace(**values)


def fingerprint(row: SimpleNamespace) -> bytes:
    """Bytes that are equal for equal rows."""
    values = vars(row).values()
    return b"|".join(v.tobytes() if hasattr(v, "tobytes") else repr(v).encode() for v in values)
