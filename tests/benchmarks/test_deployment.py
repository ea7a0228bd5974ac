"""The benchmark of exported detectors compares before it times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import deployment
from lasoftmoe.records.recorded import read_recorded


class Scorer:
    """Scores an image by its mean, and is off by ``error``."""

    def __init__(self, error=0.0):
        self.error, self.calls = error, 0

    def score(self, images):
        self.calls += 1
        return images.mean(axis=(1, 2, 3), dtype=np.float32) + np.float32(self.error)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (70, 3, 4, 4), np.uint8)


def test_differences_are_relative_to_scores_above_one(images):
    scorers = {"torch": Scorer(), "onnxruntime": Scorer(0.5)}
    smallest = images.mean(axis=(1, 2, 3)).min()
    found = deployment.largest_difference(scorers, images)
    assert found == pytest.approx(0.5 / smallest, rel=1e-3)
    assert deployment.largest_difference({**scorers, "onnxruntime": Scorer()}, images) == 0


def test_both_are_timed_in_turns(images):
    scorers = {"torch": Scorer(), "onnxruntime": Scorer()}
    seconds = deployment.in_turns(scorers, images[:1], rounds=4)
    assert [len(times) for times in seconds.values()] == [4, 4]
    assert scorers["torch"].calls == scorers["onnxruntime"].calls == 7


def test_a_record_says_what_was_compared():
    facts = read_recorded("benchmark_deployment").facts
    assert {row["experiment"] for row in facts["rows"]} >= {"vanilla", "la_soft_moe"}
    for row in facts["rows"]:
        assert row["largest_difference"] <= 1e-4 and row["images_compared"] >= 100
        assert row["torch_ms"] > 0 and row["onnxruntime_ms"] > 0
