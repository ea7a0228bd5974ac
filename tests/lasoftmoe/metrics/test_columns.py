"""Score columns of every kind that users have, or an error that names the row."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from lasoftmoe import metrics

SCORES, ATTACKS = [0.25, 1.0, 0.5, 0.75], [False, True, True, False]
FLOATING = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("gradient", [False, True], ids=["plain", "requires grad"])
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_tensors_of_every_floating_type_are_taken(dtype, gradient):
    expected = metrics.evaluate(SCORES, ATTACKS)
    scores = torch.tensor(SCORES, dtype=dtype, requires_grad=gradient)
    assert metrics.evaluate(scores, torch.tensor(ATTACKS)) == expected
    assert metrics.evaluate(list(scores), list(torch.tensor(ATTACKS))) == expected
    assert metrics.evaluate(2 * scores, torch.tensor(ATTACKS).to(torch.int8)).auc == expected.auc


@pytest.mark.parametrize(
    "scores",
    [
        np.array(SCORES, object),
        pd.Series(SCORES, dtype="Float64"),
        pd.Series(SCORES, dtype=object),
        [Decimal(str(score)) for score in SCORES],
        np.array(SCORES, np.float16),
    ],
)
def test_other_columns_of_numbers_are_taken(scores):
    assert metrics.evaluate(scores, ATTACKS) == metrics.evaluate(SCORES, ATTACKS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("0.5", "'0.5', not a number"),
        (None, "None, not a number"),
        (pd.NA, "<NA>, not a number"),
        (float("nan"), "nan; every score must be a finite number"),
        (-math.inf, "-inf; every score must be a finite number"),
    ],
)
def test_an_entry_that_is_no_finite_number_is_named_with_its_row(wrong, said):
    column = pd.Series([*SCORES[:2], wrong, SCORES[3]], dtype=object)
    with pytest.raises(ValueError, match=rf"attack_score\[2\] is {said}"):
        metrics.auc(column, ATTACKS)


def test_a_tensor_that_is_not_finite_is_refused_with_its_row():
    scores = torch.tensor([0.0, math.nan], dtype=torch.bfloat16, requires_grad=True)
    with pytest.raises(ValueError, match=r"attack_score\[1\] is nan"):
        metrics.eer_threshold(scores, torch.tensor([False, True]))
    with pytest.raises(ValueError, match="must hold numbers, got complex64"):
        metrics.auc(torch.zeros(2, dtype=torch.complex64), [False, True])


@pytest.mark.parametrize("wrong", ["fake", None, 2, 0.5, pd.NA])
def test_a_class_that_is_no_boolean_is_named_with_its_row(wrong):
    flags = pd.Series([False, True, wrong, False], dtype=object)
    with pytest.raises(ValueError, match=r"is_attack\[2\] is .*, not a boolean; from labels"):
        metrics.auc(SCORES, flags)


def test_nullable_booleans_are_taken():
    assert metrics.auc(SCORES, pd.Series(ATTACKS, dtype="boolean")) == 0.75


def test_metrics_of_arrays_do_not_load_torch():
    code = (
        "import sys; from lasoftmoe import metrics; metrics.auc([0.0, 1.0], [False, True]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
