from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.synthetic.heads.light import (
    PLAIN_WRAP,
    SKIN_WRAP,
    cast_shadows,
    creases,
    diffuse,
    glints,
    highlights,
)


@pytest.fixture
def lamp() -> SimpleNamespace:
    """One white light from above, and nothing else."""
    dark, up = np.zeros(3, np.float32), np.array([0, 1, 0], np.float32)
    return SimpleNamespace(
        light=np.array([0, 0.8, 0.6], np.float32),
        light_color=np.ones(3, np.float32),
        fill=up,
        fill_color=dark,
        sky=dark,
        ground=dark,
    )


def facing(*direction: float) -> np.ndarray:
    return np.array(direction, np.float32)[:, None]


def test_light_falls_off_with_the_angle_and_ends_in_shadow(lamp: SimpleNamespace) -> None:
    one = np.ones(1)
    toward = diffuse(facing(0, 0.8, 0.6), one, one, lamp, PLAIN_WRAP)
    aside = diffuse(facing(0.8, 0.48, 0.36), one, one, lamp, PLAIN_WRAP)
    away = diffuse(facing(0, -0.8, -0.6), one, one, lamp, PLAIN_WRAP)
    shaded = diffuse(facing(0, 0.8, 0.6), one, 0 * one, lamp, PLAIN_WRAP)
    assert toward[1] > aside[1] > away[1] == 0
    assert shaded.max() == 0


def test_red_light_reaches_furthest_around_skin(lamp: SimpleNamespace) -> None:
    one = np.ones(1)
    red, green, blue = diffuse(facing(1, 0, 0), one, one, lamp, SKIN_WRAP)[:, 0]
    assert red > green > blue > 0


def test_highlights_are_where_the_light_is_mirrored(lamp: SimpleNamespace) -> None:
    camera, one = facing(0, 0, 1), np.ones(1)
    mirror = facing(0, 0.8, 1.6) / np.float32(np.sqrt(0.8**2 + 1.6**2))
    bright, _ = highlights(mirror, camera, one, lamp)
    dim, _ = highlights(facing(0.6, 0, 0.8), camera, one, lamp)
    assert bright.max() > 5 * dim.max()
    assert (
        glints(mirror, camera, one, lamp).max()
        > 5 * glints(facing(0, 0, 1), camera, one, lamp).max()
    )


def test_edges_mirror_more(lamp: SimpleNamespace) -> None:
    _, front = highlights(facing(0, 0, 1), facing(0, 0, 1), np.ones(1), lamp)
    _, grazing = highlights(facing(1, 0, 0), facing(0, 0, 1), np.ones(1), lamp)
    assert grazing > 10 * front


def test_a_roof_shades_what_is_under_it(lamp: SimpleNamespace) -> None:
    roof = np.array([[-1, 1, 1, -1], [8, 8, 8, 8], [-1, -1, 2, 2]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    nothing = np.zeros((3, 0), np.float32)
    shadows = cast_shadows(lamp, [(roof, triangles)], nothing)
    points = np.array([[0, 1.8], [7, 7], [0, 0]], np.float32)
    under, next_to_it = shadows.at(points)
    assert under < 0.05
    assert next_to_it > 0.95
    strands = np.repeat(points[:, :1] + [[0], [0.8], [0.6]], 9, axis=1).astype(np.float32)
    hair = cast_shadows(lamp, [], strands).at(points)
    assert hair[0] < hair[1]


def test_creases_are_darker_than_flat_places() -> None:
    depth = np.zeros((32, 32), np.float32)
    depth[:, :10] = depth[:, 22:] = 0.3
    share = creases(depth, 0.02)
    assert share.shape == (32, 32)
    assert share[16, 11] < 0.9
    assert share[16, 4] == 1
