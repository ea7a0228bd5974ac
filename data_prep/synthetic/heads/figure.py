"""A person ready to be drawn: everything that no session changes."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.hair import grow_hair
from data_prep.synthetic.heads.headwear import make_headwear
from data_prep.synthetic.heads.mesh import SKIN, load_head
from data_prep.synthetic.heads.pieces import Piece
from data_prep.synthetic.heads.shape import person_shape
from data_prep.synthetic.heads.skin import paint_skin
from data_prep.synthetic.heads.strand import Strands

Array = np.ndarray


@dataclass(frozen=True)
class Figure:
    """A person's geometry and colors, in the neutral pose."""

    person: SimpleNamespace
    """A row of People."""
    shape: Array
    """Coarse vertices, (vertices, 3)."""
    texture: Array
    """Skin on the atlas, (height, width, 5)."""
    hair: Strands
    pieces: tuple[Piece, ...] = ()
    """What the head wears."""
    stiff: Array | None = None
    """How little each coarse vertex follows facial actions, (vertices,): 1 under a rigid mask."""
    detail: float = 1.0
    """Closeness of the hair's points, against those for images of 192 pixels."""
    waxy: Array | None = None
    """Where the texture is a mask's and not skin, (height, width): there light does not scatter."""

    @functools.cached_property
    def fine(self) -> Array:
        """Fine vertices in the neutral pose, (fine vertices, 3)."""
        return load_head().subdivide @ self.shape

    @functools.cached_property
    def top(self) -> float:
        """Height of the highest point of the head."""
        skin = load_head().fine_vertex_kind == SKIN
        return float(self.fine[skin, 1].max())

    def replace(self, **changes: object) -> Figure:
        """A copy with some parts exchanged."""
        return dataclasses.replace(self, **changes)


def make_figure(person: SimpleNamespace, detail: float = 1.0) -> Figure:
    """Build a person from a row of People, with hair for images of ``192 * detail`` pixels."""
    shape = person_shape(person)
    fine = load_head().subdivide @ shape
    pieces, covered = make_headwear(person, fine)
    hair = grow_hair(person, shape, covered, detail)
    return Figure(person, shape, paint_skin(person), hair, pieces, detail=detail)
