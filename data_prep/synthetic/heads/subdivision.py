"""One step of Catmull-Clark subdivision as a sparse matrix (Catmull and Clark, 1978).

The matrix is made once from the faces; a product with it subdivides any shape of the same mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

Array = np.ndarray


@dataclass(frozen=True)
class _Edges:
    """The edges of quads."""

    ends: Array
    """Vertices at both ends, (edges, 2)."""
    of_faces: Array
    """Edge of each side of each face, (faces, 4)."""
    on_border: Array
    """Whether an edge has one face only, (edges,)."""


def catmull_clark(faces: Array, vertices: int) -> tuple[sparse.csr_matrix, Array]:
    """Subdivide quads (faces, 4).

    Returns:
        The matrix (new vertices, vertices) in float32, whose first rows are the old vertices, and
        the new quads (4 * faces, 4), four for each old one, which start at its corners.
    """
    edges = _find_edges(faces, vertices)
    count, edge_count = len(faces), len(edges.ends)
    to_faces = _matrix(np.repeat(np.arange(count), 4), faces.ravel(), (count, vertices)) / 4
    to_middles = _matrix(
        np.repeat(np.arange(edge_count), 2), edges.ends.ravel(), (edge_count, vertices)
    )
    to_middles = to_middles / 2
    faces_of_edges = _matrix(
        edges.of_faces.ravel(), np.repeat(np.arange(count), 4), (edge_count, count)
    )
    to_edges = _scaled(np.where(edges.on_border, 1, 0.5), to_middles) + _scaled(
        np.where(edges.on_border, 0, 0.25), faces_of_edges @ to_faces
    )
    to_corners = _moved_corners(faces, vertices, edges, to_faces, to_middles)
    matrix = sparse.vstack([to_corners, to_edges, to_faces]).tocsr().astype(np.float32)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    first_face = vertices + edge_count
    corners = [
        np.stack(
            [
                faces[:, k],
                vertices + edges.of_faces[:, k],
                first_face + np.arange(count),
                vertices + edges.of_faces[:, (k + 3) % 4],
            ],
            axis=1,
        )
        for k in range(4)
    ]
    return matrix, np.stack(corners, axis=1).reshape(-1, 4)


def subdivide_corners(corners: Array) -> Array:
    """Values at the corners of quads, (faces, 4, k), at those of their quarters, (4 * faces, 4, k).

    Linear between the corners: for texture coordinates, which faces do not share.
    """
    middle = corners.sum(axis=1) / 4
    quarters = [
        np.stack(
            [
                corners[:, k],
                (corners[:, k] + corners[:, (k + 1) % 4]) / 2,
                middle,
                (corners[:, k] + corners[:, (k + 3) % 4]) / 2,
            ],
            axis=1,
        )
        for k in range(4)
    ]
    return np.stack(quarters, axis=1).reshape(-1, 4, corners.shape[-1])


def _find_edges(faces: Array, vertices: int) -> _Edges:
    sides = np.concatenate([faces[:, [k, (k + 1) % 4]] for k in range(4)])
    low, high = sides.min(axis=1), sides.max(axis=1)
    keys, edge, uses = np.unique(low * vertices + high, return_inverse=True, return_counts=True)
    ends = np.stack([keys // vertices, keys % vertices], axis=1)
    return _Edges(ends, edge.reshape(4, len(faces)).T, uses == 1)


def _moved_corners(
    faces: Array,
    vertices: int,
    edges: _Edges,
    to_faces: sparse.csr_matrix,
    to_middles: sparse.csr_matrix,
) -> sparse.csr_matrix:
    """Where old vertices go: (F + 2 R + (n - 3) V) / n inside, (R + V) / 2 on a border."""
    count, edge_count = len(faces), len(edges.ends)
    faces_of = _matrix(faces.ravel(), np.repeat(np.arange(count), 4), (vertices, count))
    edges_of = _matrix(
        edges.ends.ravel(), np.repeat(np.arange(edge_count), 2), (vertices, edge_count)
    )
    borders_of = edges_of @ sparse.diags(edges.on_border.astype(float))
    n, edge_uses, border_uses = (_row_sums(matrix) for matrix in (faces_of, edges_of, borders_of))
    n, inside = np.maximum(n, 1), border_uses == 0
    moved = (
        _scaled(1 / n**2, faces_of @ to_faces)
        + _scaled(2 / (n * np.maximum(edge_uses, 1)), edges_of @ to_middles)
        + sparse.diags((n - 3) / n)
    )
    on_border = _scaled(0.5 / np.maximum(border_uses, 1), borders_of @ to_middles)
    on_border = on_border + sparse.diags(np.full(vertices, 0.5))
    return _scaled(inside.astype(float), moved) + _scaled((~inside).astype(float), on_border)


def _matrix(rows: Array, columns: Array, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)


def _row_sums(matrix: sparse.csr_matrix) -> Array:
    return np.asarray(matrix.sum(axis=1)).ravel()


def _scaled(factors: Array, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.diags(factors) @ matrix
