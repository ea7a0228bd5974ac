import math

import numpy as np
import pytest

from data_prep.synthetic.heads import steady
from data_prep.synthetic.heads.chance import Chance


def test_fade_is_nearly_an_exponential_and_ends_at_zero() -> None:
    x = np.linspace(0, 40, 200, dtype=np.float32)
    assert np.abs(steady.fade(x) - np.exp(-x)).max() < 0.01
    assert steady.fade(np.float32([32, 40])).tolist() == [0, 0]
    assert steady.fade(x).dtype == np.float32


def test_wave_is_nearly_a_sine() -> None:
    turns = np.linspace(-2, 2, 400)
    assert np.abs(steady.wave(turns) - np.sin(2 * np.pi * turns)).max() < 0.002
    assert steady.wave(np.array([0.25])) == 1


@pytest.mark.parametrize(
    ("angles", "moved"),
    [((0.3, 0, 0), (math.sin(0.3), 0)), ((0, 0.3, 0), (0, -math.sin(0.3))), ((0, 0, 0.3), (0, 0))],
)
def test_heads_turn_right_and_down(angles: tuple, moved: tuple) -> None:
    nose = steady.turn_head(np.array([[0.0], [0], [1]]), *angles)
    assert np.allclose(nose[:2, 0], moved, atol=1e-6)


def test_rolling_lowers_the_right_side_of_the_face() -> None:
    ear = steady.turn_head(np.array([[-1.0], [0], [0]]), 0, 0, 0.3)
    assert ear[1, 0] < -0.2


def test_turning_keeps_lengths() -> None:
    vectors = Chance(1, "test").normal(3, 50)
    turned = steady.turn_head(vectors, 0.4, -0.2, 0.1)
    assert np.allclose(steady.length(turned), steady.length(vectors), atol=1e-5)


def test_cross_and_unit_agree_with_numpy() -> None:
    a, b = Chance(1, "test").normal(2, 3, 20)
    assert np.allclose(steady.cross(a, b), np.cross(a.T, b.T).T, atol=1e-6)
    assert np.allclose(steady.length(steady.unit(a)), 1, atol=1e-6)
    assert (steady.unit(np.zeros((3, 1))) == 0).all()


def test_blur_keeps_the_sum_inside_and_flat_images() -> None:
    image = np.zeros((8, 8))
    image[4, 4] = 16
    assert steady.blur(image)[3:6, 3:6].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert (steady.blur(np.ones((2, 5, 5))) == 1).all()


def test_shifted_repeats_the_edge() -> None:
    image = np.arange(9).reshape(3, 3)
    assert steady.shifted(image, 1, 0).tolist() == [[0, 0, 1], [3, 3, 4], [6, 6, 7]]
    assert steady.shifted(image, 0, -1).tolist() == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]


def test_sample_is_exact_at_middles_and_linear_between() -> None:
    texture = np.arange(12.0).reshape(3, 4, 1)
    x, y = np.array([0.5, 1.0, 1.5]), np.array([1.5, 1.5, 1.0])
    assert steady.sample(texture, x, y)[:, 0].tolist() == [4, 4.5, 3]


def test_colors_are_decoded() -> None:
    assert np.allclose(steady.linear(0, 255, 10), [0, 1, 10 / 255 / 12.92])


def test_chance_is_fixed_forever() -> None:
    """Whatever library versions are installed: these numbers are the stream."""
    chance = Chance(7, "brows")
    assert chance.uniform(0, 1, 3).tolist() == [
        0.4867129325866699,
        0.24114739894866943,
        0.9380137324333191,
    ]
    assert chance.index(10, 5).tolist() == [7, 6, 1, 9, 8]
    assert chance.normal(2).tolist() == [-1.0512398481369019, -1.6404213905334473]


def test_chance_is_spread_and_independent() -> None:
    first, second = (Chance(1, name).normal(20000) for name in ("a", "b"))
    assert abs(first.mean()) < 0.03
    assert abs(first.std() - 1) < 0.02
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    uniform = Chance(1, "a").uniform(2, 3, 20000)
    assert 2 <= uniform.min() < 2.001 < 2.999 < uniform.max() < 3
    assert np.bincount(Chance(1, "c").index(4, 20000)).min() > 4700
