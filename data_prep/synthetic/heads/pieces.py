"""Extra surfaces: grids of points for hats, scarves, and collars."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.heads.steady import cross, unit

Array = np.ndarray


@dataclass(frozen=True)
class Piece:
    """A grid of points, and places on its fabric."""

    points: Array
    """(3, rows, columns)."""
    fabric: Array
    """What its colors are a function of: along rows and columns, (2, rows, columns)."""
    style: str
    """How it is painted: a name that ``clothes.paint_piece`` knows."""
    with_head: bool = True
    """Whether it turns with the head or bends with the neck."""
    open_share: float = 1.0
    """Share of the light that reaches it, before shadows."""

    @property
    def count(self) -> int:
        return self.points[0].size

    @property
    def triangles(self) -> Array:
        return grid_triangles(*self.points.shape[1:])

    def normals(self, points: Array) -> Array:
        """Unit normals (3, n) of moved points (3, n)."""
        grid = points.reshape(3, *self.points.shape[1:])
        down = np.concatenate(
            [grid[:, 1:2] - grid[:, :1], grid[:, 2:] - grid[:, :-2], grid[:, -1:] - grid[:, -2:-1]],
            axis=1,
        )
        right = np.concatenate(
            [
                grid[..., 1:2] - grid[..., :1],
                grid[..., 2:] - grid[..., :-2],
                grid[..., -1:] - grid[..., -2:-1],
            ],
            axis=2,
        )
        return unit(cross(down.reshape(3, -1), right.reshape(3, -1))).astype(np.float32)


@functools.cache
def grid_triangles(rows: int, columns: int) -> Array:
    """Two triangles per cell of a grid, fronts seen from outside, (triangles, 3)."""
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    c, d = number[1:, 1:].ravel(), number[1:, :-1].ravel()
    return np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])


def turns(rows: int, columns: int) -> tuple[Array, Array]:
    """Grids (rows, columns) of turns around an axis, 0 to 1, and of steps down, 0 to 1."""
    around, down = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return around.astype(np.float32), down.astype(np.float32)


def both_sides(piece: Piece) -> tuple[Piece, Piece]:
    """A thin piece that is seen from above and from below."""
    back = Piece(
        piece.points[..., ::-1], piece.fabric[..., ::-1], piece.style, piece.with_head, 0.3
    )
    return piece, back
