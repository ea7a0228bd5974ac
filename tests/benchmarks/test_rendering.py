"""The benchmark of the renderer counts images and adds up its parts."""

import pytest

from benchmarks.rendering import CAPTURES, measure


def test_rates_follow_from_the_times():
    figures = measure(people=1, workers=1, device="cpu")
    assert figures["images"] == CAPTURES
    total = figures["render_ms"] + figures["camera_ms"]
    assert figures["cpu_ms_an_image"] == pytest.approx(total, abs=0.02)
    assert figures["images_a_second_idle"] == pytest.approx(1e3 / total, rel=0.01)
    assert figures["render_ms"] > figures["camera_ms"] > 0
