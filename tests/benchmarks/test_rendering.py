"""The benchmark of the renderer counts images and adds up its parts."""

import pytest
import torch

from benchmarks.rendering import CAPTURES, measure, measure_batches


def test_rates_follow_from_the_times():
    figures = measure(people=1, workers=1, device="cpu")
    assert figures["images"] == CAPTURES
    total = figures["render_ms"] + figures["camera_ms"]
    assert figures["cpu_ms_an_image"] == pytest.approx(total, abs=0.02)
    assert figures["images_a_second_idle"] == pytest.approx(1e3 / total, rel=0.01)
    assert figures["render_ms"] > figures["camera_ms"] > 0


def test_drawing_in_batches_is_measured_by_their_size():
    rates = measure_batches("cpu", rounds=1, at_once=(1, 2), size=48)
    assert list(rates) == [1, 2]
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_rate_is_not_made_up():
    assert measure_batches("cuda", rounds=1) == "skipped, this machine has no CUDA device"
