"""Hats, scarves, and turbans: surfaces around a person's own head."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.pieces import Piece

Array = np.ndarray


def make_headwear(person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    """What a person wears on the head."""
    return (), None
