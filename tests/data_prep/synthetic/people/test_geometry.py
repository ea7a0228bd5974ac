import math
from types import SimpleNamespace

import pytest
import torch

from data_prep.synthetic.people.geometry import (
    View,
    find_landmarks,
    head_profile,
    head_surface,
    hit_egg,
    make_view,
    surface_normals,
)
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions


def a_view(size: int = 96, **pose: float) -> View:
    values = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "scale": 0.8} | pose
    return make_view(SimpleNamespace(shift=torch.zeros(2), **values), size)


def test_turning_to_head_coordinates_keeps_lengths() -> None:
    view = a_view(yaw=0.4, pitch=-0.2, roll=0.1)
    depth = torch.full_like(view.x, 0.7)
    x, y, z = view.to_head(depth)
    assert torch.allclose(x**2 + y**2 + z**2, view.x**2 + view.y**2 + depth**2, atol=1e-5)


def test_roll_turns_the_picture_and_nothing_else() -> None:
    upright, rolled = a_view(), a_view(roll=0.15)
    assert torch.allclose(upright.x.hypot(upright.y), rolled.x.hypot(rolled.y), atol=1e-5)
    # The head leans to the left of the picture, so what is straight above lies right of its axis.
    assert rolled.x[0, 47:49].mean() > 0.1


def test_positive_yaw_shows_the_nose_to_the_right_and_positive_pitch_turns_it_down() -> None:
    person = sample_identities(1, seed=0).row(0)
    session = sample_sessions(1, seed=0).row(0)
    session.shift = torch.zeros(2)
    tips = {}
    for yaw, pitch in ((0.4, 0.0), (-0.4, 0.0), (0.0, 0.25), (0.0, -0.25)):
        session.yaw, session.pitch, session.roll = yaw, pitch, 0.0
        view = make_view(session, 96)
        depth = head_surface(view, person, find_landmarks(person, session)).depth
        at = depth.argmax()
        tips[yaw, pitch] = (view.u.flatten()[at].item(), view.v.flatten()[at].item())
    assert tips[0.4, 0.0][0] > 0.1
    assert tips[-0.4, 0.0][0] < -0.1
    assert tips[0.0, 0.25][1] < tips[0.0, -0.25][1] - 0.1


@pytest.mark.parametrize("yaw", [0.0, 0.45])
def test_an_egg_of_power_two_is_an_ellipsoid(yaw: float) -> None:
    view = a_view(yaw=yaw)
    depth, inside = hit_egg(view, lambda y: torch.full_like(y, 0.7), 0.98, 0.82, 2.0)
    x, y, z = view.to_head(depth)
    on_surface = (x / 0.7) ** 2 + (y / 0.98) ** 2 + (z / 0.82) ** 2
    well_inside = inside > 0.1
    assert well_inside.float().mean() > 0.2
    assert (on_surface - 1)[well_inside].abs().max() < 1e-4
    assert z[well_inside].min() > -0.6, "rays must meet the front, not the back"


def test_inside_falls_to_zero_at_the_outline() -> None:
    view = a_view(size=200)
    _, inside = hit_egg(view, lambda y: torch.full_like(y, 0.7), 0.98, 0.82, 2.0)
    radius = (view.x / 0.7) ** 2 + (view.y / 0.98) ** 2
    assert torch.allclose(inside[radius < 1.2], (1 - radius)[radius < 1.2], atol=1e-4)


def test_no_ring_around_crown_and_chin() -> None:
    """Whole fixed-point steps made ``inside`` rise again beyond the crown of a tilted head."""
    person = sample_identities(1, seed=7).row(0)
    for pitch in (-0.25, 0.25):
        view = a_view(size=144, pitch=pitch, yaw=0.35)
        _, inside = hit_egg(view, lambda y: head_profile(person, y), 1.05, 0.85, 3.0)
        upward = inside[:70].flip(0)
        rise = upward.diff(dim=0).clamp(min=0)[12:] * (upward[13:] > -0.15)
        assert rise.max() < 0.03


def test_normals_of_a_sphere_point_outward() -> None:
    view = a_view(size=200)
    radius2 = view.x**2 + view.y**2
    depth = (1 - radius2).clamp(min=0).sqrt()
    normal = surface_normals(view, depth)
    inner = radius2 < 0.8
    expected = torch.stack([view.x, view.y, depth])
    assert (normal - expected)[:, inner].abs().max() < 0.02


def test_the_nose_stands_out_where_the_landmark_says() -> None:
    people, sessions = sample_identities(6, seed=1), sample_sessions(6, seed=1)
    for i in range(6):
        person, session = people.row(i), sessions.row(i)
        session.yaw = session.pitch = session.roll = 0.0
        marks = find_landmarks(person, session)
        surface = head_surface(make_view(session, 144), person, marks)
        tip = surface.depth.argmax()
        assert abs(surface.x.flatten()[tip]) < 0.03
        assert abs(surface.y.flatten()[tip] - marks.nose_y) < 0.06


def test_a_broad_smile_widens_and_opens_the_mouth() -> None:
    person = sample_identities(1, seed=1).row(0)
    neutral = find_landmarks(person, SimpleNamespace(smile=0.0, mouth_open=0.0))
    smiling = find_landmarks(person, SimpleNamespace(smile=1.0, mouth_open=0.0))
    talking = find_landmarks(person, SimpleNamespace(smile=0.0, mouth_open=1.0))
    assert neutral.jaw_drop == 0
    assert smiling.mouth_width == pytest.approx(1.2 * neutral.mouth_width)
    assert 0 < smiling.jaw_drop < talking.jaw_drop
    assert math.isclose(neutral.mouth_y, talking.mouth_y)
