import numpy as np
import pytest
from scipy import sparse

from data_prep.synthetic.heads.mesh import SKIN, average_weights, load_head
from data_prep.synthetic.heads.raster import rasterize
from data_prep.synthetic.heads.subdivision import catmull_clark, subdivide_corners

CUBE = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
)
CORNERS = np.array([[x, y, z] for z in (-1.0, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def test_a_subdivided_cube_has_the_known_places() -> None:
    matrix, faces = catmull_clark(CUBE, 8)
    fine = matrix @ CORNERS
    assert fine.shape == (8 + 12 + 6, 3)
    assert faces.shape == (24, 4)
    assert np.allclose(np.abs(fine[:8]), 5 / 9)
    assert np.allclose(np.sort(np.abs(fine[8:20]), axis=1), [0, 0.75, 0.75])
    assert np.allclose(np.abs(fine[20:]).sum(axis=1), 1)


def test_subdivision_moves_with_the_mesh_and_keeps_borders_in_place() -> None:
    square = np.array([[0, 1, 2, 3]])
    matrix, _ = catmull_clark(square, 4)
    assert isinstance(matrix, sparse.csr_matrix)
    assert np.allclose(matrix.sum(axis=1), 1)
    flat = np.array([[0.0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 1, 5]])
    assert np.allclose((matrix @ flat)[:, 2], 5)


def test_texture_coordinates_split_at_the_middle() -> None:
    corners = np.array([[[0.0, 0], [2, 0], [2, 2], [0, 2]]])
    quarters = subdivide_corners(corners)
    assert quarters.shape == (4, 4, 2)
    assert (quarters[:, 2] == 1).all()
    assert quarters[1, 0].tolist() == [2, 0]


def test_targets_add_up_and_unknown_names_are_refused() -> None:
    head = load_head()
    once, twice = (head.shaped({"nose/nose-hump-incr": k}) for k in (1, 2))
    assert np.allclose(twice - head.vertices, 2 * (once - head.vertices), atol=1e-6)
    assert np.abs(once - head.vertices).max() > 0.02
    with pytest.raises(ValueError, match="no target 'nose/nose-longer'"):
        head.shaped({"nose/nose-longer": 1})
    with pytest.raises(ValueError, match="no facial action 'grin'; expected one of: browDownLeft"):
        head.expressed({"grin": 1})


def test_opening_the_jaw_lowers_the_chin() -> None:
    head = load_head()
    shape = head.shaped(average_weights())
    chin = int(np.argmin(np.abs(shape[:, 0]) + np.abs(shape[:, 1] - 6.25) - 0.3 * shape[:, 2]))
    assert head.expressed({"jawOpen": 1})[chin, 1] < -0.1


def test_normals_point_out_of_the_face() -> None:
    head = load_head()
    fine = head.subdivide @ head.shaped(average_weights())
    normals = head.normals(fine)
    assert np.allclose((normals**2).sum(axis=0), 1, atol=1e-5)
    nose_tip = np.argmax(np.where(head.fine_vertex_kind == SKIN, fine[:, 2], -9))
    assert normals[2, nose_tip] > 0.8


def square(depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of two triangles over pixels 1 to 2 of an image of 4."""
    points = np.array([[1, 3, 3, 1], [1, 1, 3, 3]], np.float32)
    return points, np.full(4, depth)


FRONT = np.array([[0, 2, 1], [0, 3, 2]])


def test_the_closest_triangle_wins_whatever_the_order() -> None:
    near, depth_near = square(2.0)
    far, depth_far = square(1.0)
    triangles = np.concatenate([FRONT, FRONT + 4])
    hits = rasterize(np.hstack([near, far]), np.hstack([depth_near, depth_far]), triangles, 4)
    assert hits.pixel.tolist() == [5, 6, 9, 10]
    assert (hits.triangle < 2).all()
    hits = rasterize(np.hstack([far, near]), np.hstack([depth_far, depth_near]), triangles, 4)
    assert (hits.triangle >= 2).all()
    assert np.allclose(hits.depth, 2)


def test_backs_are_seen_on_request_only() -> None:
    points, depth = square(1.0)
    back = FRONT[:, ::-1]
    assert len(rasterize(points, depth, back, 4).pixel) == 0
    assert len(rasterize(points, depth, back, 4, both_sides=True).pixel) == 4


def test_hits_interpolate_linearly_and_stay_in_the_image() -> None:
    points = np.array([[-10, 20, -10], [-10, -10, 20]], np.float32)
    hits = rasterize(points, np.zeros(3), np.array([[0, 2, 1]]), 4)
    assert hits.pixel.tolist() == list(range(16 - 0))[: len(hits.pixel)]
    places = hits.interpolate(points.T.copy(), np.array([[0, 2, 1]]))
    assert np.allclose(places[0], hits.pixel % 4 + 0.5, atol=1e-4)
    assert np.allclose(places[1], hits.pixel // 4 + 0.5, atol=1e-4)


def test_nothing_to_see_is_no_error() -> None:
    points, depth = square(1.0)
    assert len(rasterize(points + 50, depth, FRONT, 4).pixel) == 0
