"""The posed surfaces of one image, and what each pixel sees of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.clothes import clothe, make_clothes
from data_prep.synthetic.heads.expression import ALWAYS, FACES, gaze_actions, mix
from data_prep.synthetic.heads.eyes import turn_eyes
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.mesh import LASHES, load_arrays, load_head
from data_prep.synthetic.heads.pieces import Piece, grid_triangles
from data_prep.synthetic.heads.raster import Hits, rasterize
from data_prep.synthetic.heads.session import FACE_NAMES, SMALL_ACTIONS
from data_prep.synthetic.heads.shape import eye_vertices, template
from data_prep.synthetic.heads.view import Pose, View, make_view

Array = np.ndarray
PIECE = LASHES
"""Kind of the triangles of extra surfaces; lashes are drawn by themselves."""


@dataclass(frozen=True)
class Scene:
    """Surfaces in front of a camera."""

    pose: Pose
    view: View
    points: Array
    """Posed fine vertices and points of pieces, (3, points)."""
    normals: Array
    pixels: Array
    """Where the points fall in the image, (2, points)."""
    triangles: Array
    kinds: Array
    """Kind of each triangle, and PIECE."""
    pieces: tuple[Piece, ...]
    neutral: Array
    """Fine vertices with the expression but before the pose, (fine vertices, 3)."""
    hits: Hits

    @functools.cached_property
    def kind(self) -> Array:
        """Kind of surface at each hit."""
        return self.kinds[self.hits.triangle]

    def per_hit(self, values: Array) -> Array:
        """Values of points, (points, k), at the hits, (k, hits)."""
        return self.hits.interpolate(values, self.triangles)

    def fine_per_hit(self, values: Array) -> Array:
        """Values of fine vertices, (fine vertices,), at the hits; 0 on pieces."""
        padded = np.zeros((self.points.shape[1], 1), np.float32)
        padded[: len(values), 0] = values
        return self.per_hit(padded)[0]

    def hits_of_pieces(self) -> Iterator[tuple[Piece, Array]]:
        """Each piece and the numbers of the hits on it."""
        owner = self.triangles[self.hits.triangle, 0]
        first = len(self.neutral)
        for piece in self.pieces:
            yield piece, np.nonzero((owner >= first) & (owner < first + piece.count))[0]
            first += piece.count

    def image(self, values: Array, elsewhere: float = 0.0) -> Array:
        """Values (hits,) as a map (size, size)."""
        flat = np.full(self.view.size**2, elsewhere, np.float32)
        flat[self.hits.pixel] = values
        return flat.reshape(self.view.size, self.view.size)


def make_scene(figure: Figure, session: SimpleNamespace, size: int) -> Scene:
    """Pose a figure as a session says and look at it."""
    head = load_head()
    pose = Pose(session.yaw, session.pitch, session.roll)
    view = make_view(session, pose, figure.top, size)
    neutral = head.subdivide @ clothe(_expressed(figure, session), session)
    points = pose.bent(np.ascontiguousarray(neutral.T))
    normals = head.normals(points.T)
    pieces = (*figure.pieces, *make_clothes(session, figure.fine))
    points, normals, pieces = _with_pieces(points, normals, pieces, pose)
    triangles, kinds = _triangles(tuple(piece.points.shape[1:] for piece in pieces))
    pixels = view.project(points)
    hits = rasterize(pixels, points[2], triangles, size)
    return Scene(pose, view, points, normals, pixels, triangles, kinds, pieces, neutral, hits)


def actions_of(session: SimpleNamespace) -> dict[str, float]:
    """All facial actions of a session but those that follow the gaze."""
    small = dict(zip(SMALL_ACTIONS, map(float, session.small_actions), strict=True))
    lids = {f"eyeBlink{side}": session.blink for side in ("Left", "Right")}
    face = FACES[FACE_NAMES[session.face]]
    return mix((face, session.face_strength), (small, 1), (lids, 1), (ALWAYS, 1))


def _expressed(figure: Figure, session: SimpleNamespace) -> Array:
    """Coarse vertices with facial actions and gaze."""
    head, gaze = load_head(), tuple(float(angle) for angle in session.gaze)
    shifts = head.expressed(mix((actions_of(session), 1), (gaze_actions(*gaze), 1)))
    shifts[eye_vertices(head)] = 0
    if figure.stiff is not None:
        shifts *= 1 - figure.stiff[:, None]
    return turn_eyes(figure.shape + shifts, gaze)


def _with_pieces(
    points: Array, normals: Array, pieces: tuple[Piece, ...], pose: Pose
) -> tuple[Array, Array, tuple[Piece, ...]]:
    all_points, all_normals = [points], [normals]
    for piece in pieces:
        flat = piece.points.reshape(3, -1)
        moved = pose.rigid(flat) if piece.with_head else pose.bent(flat)
        all_points.append(moved)
        all_normals.append(piece.normals(moved))
    return np.concatenate(all_points, 1), np.concatenate(all_normals, 1), pieces


@functools.lru_cache(maxsize=64)
def _triangles(grids: tuple[tuple[int, int], ...]) -> tuple[Array, Array]:
    """Triangles of the head without lashes and of grids, and their kinds."""
    head = load_head()
    solid = head.triangle_kind < LASHES
    triangles, kinds = [head.triangles[solid]], [head.triangle_kind[solid]]
    first = head.subdivide.shape[0]
    for rows, columns in grids:
        triangles.append(grid_triangles(rows, columns) + first)
        kinds.append(np.full(len(triangles[-1]), PIECE))
        first += rows * columns
    return np.concatenate(triangles), np.concatenate(kinds)


@functools.cache
def solid_uv() -> Array:
    """Texture coordinates of the corners of the head's triangles without lashes, (n, 3, 2)."""
    head = load_head()
    return head.triangle_uv[head.triangle_kind < LASHES]


@functools.cache
def rest_places() -> Array:
    """Fine vertices of the template, (fine vertices, 3)."""
    return load_head().subdivide @ template()


@functools.cache
def occlusion() -> Array:
    """Baked share of ambient light, (fine vertices,)."""
    return load_arrays()[0]["occlusion"].astype(np.float32) / 255
