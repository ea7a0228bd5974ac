import numpy as np

from data_prep.synthetic.heads.pieces import Piece, both_sides, grid_triangles, turns
from data_prep.synthetic.heads.raster import rasterize


def tube() -> Piece:
    around, down = turns(5, 33)
    angle = 2 * np.pi * around
    points = np.stack([np.sin(angle), -down, np.cos(angle)]).astype(np.float32)
    return Piece(points, np.stack([around, down]), "knit")


def test_normals_point_out_of_a_tube() -> None:
    piece = tube()
    flat = piece.points.reshape(3, -1)
    normals = piece.normals(flat).reshape(piece.points.shape)
    inner = (slice(None), slice(None), slice(1, -1))
    outward = normals[0] * piece.points[0] + normals[2] * piece.points[2]
    assert outward[inner[1:]].min() > 0.98


def test_fronts_of_a_tube_are_seen_and_its_inside_is_not() -> None:
    piece = tube()
    x, y, z = piece.points.reshape(3, -1)
    pixels = np.stack([16 + 10 * x, 8 - 10 * y]).astype(np.float32)
    hits = rasterize(pixels, z, piece.triangles, 32)
    assert len(hits.pixel) > 100
    assert hits.depth.min() >= 0


def test_thin_pieces_are_seen_from_both_sides() -> None:
    front, back = both_sides(tube())
    flat = front.points.reshape(3, -1)
    mirrored = back.points.reshape(3, -1)
    assert np.allclose(
        front.normals(flat).reshape(3, 5, 33),
        -back.normals(mirrored).reshape(3, 5, 33)[..., ::-1],
        atol=1e-5,
    )
    assert back.open_share < front.open_share


def test_a_grid_has_two_triangles_per_cell() -> None:
    assert len(grid_triangles(3, 4)) == 12
    assert grid_triangles(3, 4).max() == 11
