"""The benchmark of the metrics times what it says, on scores of the type it says."""

import json

import numpy as np
import pytest
import torch

from benchmarks.metrics import FUNCTIONS, main, random_scores, time_metrics
from benchmarks.timing import Method


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_function_is_timed_beside_a_sort_of_the_same_scores(dtype):
    scores, is_attack = random_scores(1000, dtype)
    assert scores.dtype == dtype and 300 < is_attack.sum() < 700
    method = Method(1, torch.device("cpu"), clock="wall", product_size=8)
    rounds = time_metrics(scores, is_attack, method)
    assert set(rounds.seconds) == {"sort", *(f.__name__ for f in FUNCTIONS)}
    assert all(rounds.ratio(name, "sort") > 0 for name in rounds.seconds)


def test_record_says_what_was_measured_and_against_which_limit(tmp_path, capsys):
    out = tmp_path / "record.json"
    assert main(["--count", "1000", "--rounds", "1", "--clock", "wall", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert {"date", "commit", "command", "hardware", "versions", "clock"} <= record.keys()
    assert [row["dtype"] for row in record["rows"]] == ["float64", "float32"]
    for row, target in zip(record["rows"], record["targets"], strict=True):
        assert row["times_sort"]["evaluate"] == target["measured"] > 0
        assert target["met"] == (target["measured"] <= target["at_most"] == 6)
    assert "times numpy.sort" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_million_scores_cost_a_few_sorts_of_them(dtype):
    scores, is_attack = random_scores(10**6, dtype)
    method = Method(5, torch.device("cpu"), clock="process", product_size=64)
    rounds = time_metrics(np.asarray(scores), is_attack, method)
    assert all(rounds.ratio(f.__name__, "sort") < 9 for f in FUNCTIONS)  # 6, and a busy machine
