"""Strands of hair: as curves while they grow, and as points when they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.rows import row_norm, row_unit

Array = np.ndarray
HAIR, BEARD, BROW = range(3)
STEP = 0.021
"""Distance between points along a strand: about a pixel and a half of an image of 192 pixels."""


@dataclass(frozen=True)
class Strands:
    """Points along strands, in the head's neutral pose."""

    place: Array
    """(3, n) float32."""
    tangent: Array
    """Unit vectors along the strand, (3, n) float32."""
    tint: Array
    """Factor on the color, (n,) float32."""
    along: Array
    """0 at the root to 1 at the tip, (n,) float32."""
    kind: Array
    """HAIR, BEARD, or BROW, (n,) uint8."""
    root: Array
    """Fine vertex that carries the strand, (n,) int32."""

    def chosen(self, rows: Array) -> Strands:
        """Some of the points."""
        return Strands(
            self.place[:, rows],
            self.tangent[:, rows],
            self.tint[rows],
            self.along[rows],
            self.kind[rows],
            self.root[rows],
        )

    def with_others(self, others: Strands) -> Strands:
        """These points and others."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Strands(*(np.concatenate(pair, axis=-1) for pair in pairs))


@dataclass(frozen=True)
class Bundle:
    """Strands before they are cut into points."""

    curves: Array
    """(strands, nodes, 3)."""
    tint: Array
    root: Array
    kind: int
    end: Array
    """Where each strand is cut, 0 to 1."""


def cut(bundle: Bundle, chance: Chance, step: float) -> Strands:
    """Points along strands at a distance of about ``step``."""
    curves = bundle.curves
    count, nodes = curves.shape[:2]
    mean = float(row_norm(np.diff(curves, axis=1))[..., 0].sum() / max(count, 1))
    points = max(3, int(np.ceil(mean / step)))
    offset = chance.uniform(-0.3, 0.7, count, 1)
    t = np.clip((np.arange(points, dtype=np.float32)[None] + offset) / (points - 0.6), 0, 1)
    strand, point = np.nonzero(t <= bundle.end[:, None])
    t = t[strand, point]
    where = t * (nodes - 1)
    node = np.minimum(where.astype(np.int64), nodes - 2)
    share = (where - node)[:, None].astype(np.float32)
    flat, first = curves.reshape(-1, 3), strand * nodes + node
    begin, end = flat.take(first, 0), flat.take(first + 1, 0)
    return Strands(
        place=np.ascontiguousarray((begin + (end - begin) * share).T, np.float32),
        tangent=np.ascontiguousarray(row_unit(end - begin).T, np.float32),
        tint=bundle.tint[strand].astype(np.float32),
        along=t.astype(np.float32),
        kind=np.full(len(t), bundle.kind, np.uint8),
        root=bundle.root[strand].astype(np.int32),
    )
