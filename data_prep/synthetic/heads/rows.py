"""Vectors as rows, (..., 3): places and directions of strands while they grow."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def row(x: float, y: float, z: float) -> Array:
    """One vector, (1, 3) float32."""
    return np.array([[x, y, z]], np.float32)


def row_sum(rows: Array) -> Array:
    """Sums over the last axis of three, kept as an axis."""
    return rows[..., :1] + rows[..., 1:2] + rows[..., 2:]


def row_norm(rows: Array) -> Array:
    """Lengths, with the last axis kept."""
    return np.sqrt(row_sum(rows * rows))


def row_unit(rows: Array) -> Array:
    """Vectors of length 1 in the same directions."""
    return rows / np.maximum(row_norm(rows), 1e-9)
