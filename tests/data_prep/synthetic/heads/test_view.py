import numpy as np
import pytest

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.view import Pose, View


@pytest.fixture
def view() -> View:
    return View(size=100, distance=8.0, span=3.0, aim=(0.2, 7.0))


def test_the_aim_is_in_the_middle_and_up_is_up(view: View) -> None:
    points = np.array([[0.2, 0.2, 1.2], [7.0, 8.0, 7.0], [0.8, 0.8, 0.8]])
    x, y = view.project(points)
    assert (x[0], y[0]) == pytest.approx((50, 50))
    assert y[1] < 50
    assert x[2] == pytest.approx(50 + 1.0 / view.pixel)


def test_closer_things_are_larger(view: View) -> None:
    near, far = (view.project(np.array([[1.2], [7.0], [z]]))[0, 0] for z in (1.5, 0.0))
    assert near > far > 50


def test_lifting_undoes_projecting(view: View) -> None:
    pixels, depth = np.array([0, 4321, 9999]), np.array([0.3, 1.0, -0.5])
    x, y = view.project(view.lift(pixels, depth))
    assert x == pytest.approx(pixels % 100 + 0.5, abs=1e-3)
    assert y == pytest.approx(pixels // 100 + 0.5, abs=1e-3)


def test_directions_point_at_the_camera(view: View) -> None:
    toward = view.directions(np.array([[0.2], [7.0], [0.8]]))
    assert toward[:, 0] == pytest.approx([0, 0, 1])


def test_turning_back_undoes_turning() -> None:
    pose, points = Pose(0.4, -0.2, 0.1), Chance(1, "test").normal(3, 30)
    assert pose.back(pose.rigid(points)) == pytest.approx(points, abs=1e-5)


def test_necks_bend_between_head_and_shoulders() -> None:
    pose = Pose(0.4, 0.1, -0.1)
    points = np.array([[0.5, 0.5, 0.5], [7.5, 6.0, 5.2], [0.5, 0.5, 0.5]], np.float32)
    bent, rigid = pose.bent(points), pose.rigid(points)
    assert bent[:, 0] == pytest.approx(rigid[:, 0], abs=1e-5)
    assert bent[:, 2] == pytest.approx(points[:, 2], abs=1e-5)
    shift = np.abs(bent - points).sum(axis=0)
    assert shift[0] > shift[1] > shift[2]
