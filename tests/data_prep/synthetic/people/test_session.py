import dataclasses

import pytest
import torch

from data_prep.synthetic.people.session import BACKGROUNDS, NECKLINES, sample_sessions


def test_a_session_depends_on_seed_and_number_only() -> None:
    many, single = sample_sessions(9, seed=2), sample_sessions(1, seed=2, start=6)
    for field in dataclasses.fields(many):
        name = field.name
        assert torch.equal(getattr(many, name)[6], getattr(single, name)[0]), name


def test_light_is_a_unit_vector_in_front_of_the_face() -> None:
    sessions = sample_sessions(300, seed=0)
    assert torch.allclose(sessions.light.norm(dim=1), torch.ones(300), atol=1e-5)
    assert sessions.light[:, 2].min() > 0


def test_ranges() -> None:
    s = sample_sessions(500, seed=1)
    assert s.yaw.abs().max() <= 0.5
    assert s.mouth_open.min() == 0
    assert s.mouth_open.max() <= 1
    assert s.smile.min() >= -0.2
    assert s.jpeg_quality.min() >= 72
    assert s.jpeg_quality.max() <= 96
    assert s.background_colors.shape == (500, 3, 3)
    assert s.background_colors.min() > 0
    assert s.background_colors.max() <= 0.9
    assert set(s.background.tolist()) == set(range(len(BACKGROUNDS)))
    assert set(s.neckline.tolist()) == set(range(len(NECKLINES)))


def test_noise_seeds_differ() -> None:
    assert len(set(sample_sessions(1000, seed=1).seed.tolist())) == 1000


def test_looking_left_and_right_are_equally_frequent() -> None:
    yaw = sample_sessions(2000, seed=3).yaw
    assert (yaw > 0).float().mean().item() == pytest.approx(0.5, abs=0.04)
