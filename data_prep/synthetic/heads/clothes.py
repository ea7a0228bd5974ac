"""Clothes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.pieces import Piece
from data_prep.synthetic.heads.steady import bell, smoothstep

Array = np.ndarray


def make_clothes(session: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    return ()


def paint_clothes(rest: Array, session: SimpleNamespace) -> tuple[Array, Array]:
    line = 5.80 + 0.42 * np.abs(rest[0]) - 0.18 * smoothstep(0.3, 1.0, rest[2])
    cover = smoothstep(0.02, -0.02, rest[1] - line)
    return session.clothing[:, None] * (1 + 0.15 * bell(rest[1] - line + 0.05, 0.03)), cover


def paint_piece(style: str, fabric: Array, person: SimpleNamespace, session: SimpleNamespace) -> Array:
    return np.repeat(session.clothing[:, None], fabric.shape[1], 1)


def clothe(shape: Array, session: SimpleNamespace) -> Array:
    return shape
