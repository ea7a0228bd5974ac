"""Messages for wrong answers that show no known mistake."""

import pytest
import torch

from lasoftmoe.exercises.mismatch import explain_mismatch
from lasoftmoe.exercises.values import plain

RIGHT = [plain(torch.rand(3, 3, generator=torch.Generator().manual_seed(k)) + 0.1) for k in (0, 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: 100 * e, "percent"),
        (lambda e: e / 100, "100 times too small"),
        (lambda e: -e, "sign"),
        (lambda e: 1 - e, "one minus"),
        (lambda e: 1 / e, "upside down"),
        (lambda e: e**2, "square of"),
        (lambda e: e.sqrt(), "square root"),
        (lambda e: e.exp(), "exponential"),
        (lambda e: e.log(), "logarithm"),
        (lambda e: e.mT, "transposed"),
        (lambda e: 7 * e, "proportional"),
        (lambda e: e + 7, "one constant"),
        (lambda e: e.sum(), "got one of shape"),
        (lambda e: e.tolist(), "got a sequence"),
        (lambda e: "x", "got a string"),
        (lambda e: e.index_fill(0, torch.tensor([1]), 9.0), "3 of 9 numbers are off, the first at"),
    ],
)
def test_a_relation_to_the_answer_is_named(change, message):
    told = explain_mismatch([plain(change(e)) for e in RIGHT], RIGHT, 1e-4)
    assert message in " ".join(told)


def test_how_many_cases_are_right_is_told():
    message, detail = explain_mismatch([RIGHT[0], plain(RIGHT[1] ** 3)], RIGHT, 1e-4)
    assert message.startswith("Right in 1 of 2 cases")
    assert "yours is" in detail


def test_one_wrong_value_of_a_pair_is_pointed_at():
    message, detail = explain_mismatch([(0.25, 0.7)], [(0.25, 0.5)], 1e-6)
    assert detail == "Look at value 2 of 2. Yours is 0.7."
    assert "0.5" not in message + detail
