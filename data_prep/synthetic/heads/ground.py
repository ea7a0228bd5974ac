"""The skin that strands grow on: where roots are, and how hair is kept off the head."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.mesh import SKIN, TORSO, load_head
from data_prep.synthetic.heads.rows import row_norm, row_unit
from data_prep.synthetic.heads.shape import template

Array = np.ndarray
EYES = 7.27
"""Height of the eyes, the same for everybody."""


@dataclass(frozen=True)
class Roots:
    """Where strands begin."""

    place: Array
    """(n, 3)."""
    normal: Array
    rest: Array
    """The same places on the template."""
    vertex: Array


class Ground:
    """The skin that strands grow on: the head of one person."""

    def __init__(self, shape: Array) -> None:
        head = load_head()
        self.fine = fine = head.subdivide @ shape
        self.normals = np.ascontiguousarray(head.normals(fine).T)
        self.rest = head.subdivide @ template()
        self.quads = np.nonzero(head.fine_kind == SKIN)[0]
        self.corners = head.fine_faces[self.quads]
        self.middles = sum(self.rest[self.corners[:, k]] for k in range(4)) / 4
        flat = head.subdivide @ _without_ears(shape)
        body = np.nonzero(np.isin(head.fine_vertex_kind, (SKIN, TORSO)))[0]
        self._flat, self._tree = flat[body], cKDTree(flat[body])
        self._flat_normals = np.ascontiguousarray(head.normals(flat)[:, body].T)
        skin = fine[head.fine_vertex_kind == SKIN]
        self.top = float(skin[:, 1].max())
        diagonals = (
            fine[self.corners[:, a]] - fine[self.corners[:, b]] for a, b in ((2, 0), (3, 1))
        )
        self._areas = row_norm(np.cross(*diagonals))[:, 0]

    def roots(self, density: Array, count: int, chance: Chance) -> Roots:
        """Places spread by a density per quad."""
        sums = np.cumsum((density * self._areas).astype(np.float64))
        quad = np.searchsorted(sums, chance.uniform(0, 1, count) * sums[-1])
        corner = self.corners[np.minimum(quad, len(self.corners) - 1)]
        a, b = chance.uniform(0, 1, 2, count, 1)
        weights = ((1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b)
        place, normal, rest = (
            sum(w * values[corner[:, k]] for k, w in enumerate(weights))
            for values in (self.fine, self.normals, self.rest)
        )
        return Roots(place, row_unit(normal), rest, corner[:, 0])

    def nearest(self, places: Array) -> tuple[Array, Array]:
        """The closest point of the skin to places (n, 3), and its normal, as without ears.

        Hair that followed the ears would show them as bumps.
        """
        vertex = self._tree.query(places)[1]
        return self._flat[vertex], self._flat_normals[vertex]


@functools.cache
def _ear_smoother() -> tuple[Array, sparse.csr_matrix]:
    """Coarse vertices of the ears, and means over their neighbors, (ears, vertices)."""
    head = load_head()
    x, y, z = template().T
    chosen = (np.abs(x) > 0.70) & (y > 6.7) & (y < 7.62) & (z < 0.75) & (head.vertex_part == 0)
    ears = np.nonzero(chosen)[0]
    sides = np.concatenate([head.faces[:, [k, (k + 1) % 4]] for k in range(4)])
    sides = np.unique(np.concatenate([sides, sides[:, ::-1]]), axis=0)
    sides = sides[chosen[sides[:, 0]]]
    shape = (len(head.vertices),) * 2
    links = sparse.csr_matrix((np.ones(len(sides), np.float32), (sides[:, 0], sides[:, 1])), shape)
    counts = np.asarray(links.sum(axis=1)).ravel()[ears]
    return ears, (sparse.diags(1 / counts) @ links[ears]).astype(np.float32)


def _without_ears(shape: Array) -> Array:
    """Coarse vertices with skin stretched flat where the ears were."""
    ears, means = _ear_smoother()
    flat = shape.copy()
    for _ in range(150):
        flat[ears] = means @ flat
    return flat
