"""The benchmark of the metrics times what it says, on scores of the type it says."""

import numpy as np
import pytest
import torch

from benchmarks.metrics import FUNCTIONS, random_scores, time_metrics
from benchmarks.timing import Method


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_function_is_timed_beside_a_sort_of_the_same_scores(dtype):
    scores, is_attack = random_scores(1000, dtype)
    assert scores.dtype == dtype and 300 < is_attack.sum() < 700
    method = Method(1, torch.device("cpu"), clock="wall", product_size=8)
    rounds = time_metrics(scores, is_attack, method)
    assert set(rounds.seconds) == {"sort", *(f.__name__ for f in FUNCTIONS)}
    assert all(rounds.ratio(name, "sort") > 0 for name in rounds.seconds)


@pytest.mark.slow
def test_a_million_scores_cost_a_few_sorts_of_them():
    scores, is_attack = random_scores(10**6, "float64")
    method = Method(5, torch.device("cpu"), clock="process", product_size=64)
    rounds = time_metrics(np.asarray(scores), is_attack, method)
    assert all(rounds.ratio(f.__name__, "sort") < 6 for f in FUNCTIONS)  # 3, and a busy machine
