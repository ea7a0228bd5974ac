"""Chapter 7's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import pytest
import torch
import torch.nn.functional as F

from lasoftmoe.exercises import ch07
from lasoftmoe.moe import MoEConfig
from lasoftmoe.moe.cost import cost_table
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("07_linear_attention", ch07)


def weights_with_loops(q, k):
    table = torch.empty(len(q), q.shape[1], k.shape[1])
    for b in range(len(q)):
        for i, query in enumerate(q[b]):
            row = torch.stack([query @ key for key in k[b]])
            table[b, i] = row / row.sum()
    return table


def cost_of(tokens, width, heads, linear):
    return 2 * tokens * width * (width // heads if linear else tokens)


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch07.check_order, lambda q, k, v: q @ (k.mT @ v)),
    (ch07.check_order, lambda q, k, v: torch.einsum("bnd,bnf,bmf->bmd", v, k, q)),
    (ch07.check_weights, weights_with_loops),
    (ch07.check_weights, lambda q, k: F.normalize(q @ k.mT, p=1, dim=-1)),
    (ch07.check_feature_map, torch.exp),
    (ch07.check_feature_map, lambda x: x.softmax(-1)),
    (ch07.check_feature_map, torch.sigmoid),
    (ch07.check_feature_map, lambda x: torch.cat([x.exp(), (-x).exp()], dim=-1)),
    (ch07.check_cost, cost_of),
    (ch07.check_saving, lambda n, e, s, h: n / (e * s) * h),
]


def pairs(q, k):
    return q @ k.mT


ORDER_MISTAKES = [
    (lambda q, k, v: pairs(q, k) @ v, "left to right"),
    (lambda q, k, v: torch.einsum("bnf,bmf,bmd->bnd", q, k, v), "left to right"),
    (lambda q, k, v: (pairs(q, k) / pairs(q, k).sum(-1, keepdim=True)) @ v, "divided"),
    (lambda q, k, v: torch.einsum("bnf,bnf,bnd->bnd", q, k, v), "its own token"),
    (lambda q, k, v: k @ (q.mT @ v), "exchanged"),
    (lambda q, k, v: torch.einsum("bnf,fd->bnd", q, torch.einsum("bnf,bnd->fd", k, v)), "batch"),
    (lambda q, k, v: q @ (v.mT @ k), "transposed"),
    (lambda q, k, v: q @ (k.mT @ v) / 7, "the values are not"),
]
WEIGHTS_MISTAKES = [
    (pairs, "normalizer is missing"),
    (lambda q, k: pairs(q, k) / pairs(q, k).sum(1, keepdim=True), "your columns"),
    (lambda q, k: pairs(q, k) / q.shape[1], "number of tokens"),
    (lambda q, k: pairs(q, k).softmax(-1), "without another exp"),
    (lambda q, k: pairs(q, k) / pairs(q, k).sum((1, 2), keepdim=True), "whole table"),
    (lambda q, k: weights_with_loops(q, k).mT, "rows are queries"),
    (
        lambda q, k: pairs(F.normalize(q, p=1, dim=-1), F.normalize(k, p=1, dim=-1)),
        "the features instead",
    ),
]
FEATURE_MISTAKES = [
    (lambda x: F.softplus(x - x.mean(0)), "mixes tokens"),
    (lambda x: torch.exp(x - x.max()), "mixes tokens"),
    (lambda x: x**2, "exactly 0"),
    (torch.abs, "exactly 0"),
    (lambda x: x, "negative"),
    (F.elu, "negative"),
    (F.relu, "exactly 0"),
    (lambda x: F.relu(x) + 0.1, "no gradient"),
    (lambda x: x.softmax(1), "mixes tokens"),
    (lambda x: F.elu(x) + 1, "elu [+] 1 itself"),
    (torch.ones_like, "All tokens get the same"),
    (lambda x: (50 * x).exp(), "infinite"),
    (lambda x: x.exp().sum(-1), "every token keeps its place"),
    (lambda x: x.tolist(), "got a sequence"),
]
COST_MISTAKES = [
    (lambda n, w, h, linear: cost_of(n, w, h, not linear), "the other order"),
    (lambda n, w, h, linear: cost_of(n, w, h, linear) // 2, "one of the two products"),
    (lambda n, w, h, linear: cost_of(n, w, h, linear) * 2, "multiplication and its addition"),
    (lambda n, w, h, linear: cost_of(n, w, h, linear) // h, "counted one head"),
    (lambda n, w, h, linear: h * cost_of(n, w, 1, linear), "full width"),
    (lambda n, w, h, linear: cost_of(n, w, 1, linear), "left out the heads"),
]
SAVING_MISTAKES = [
    (lambda n, e, s, h: e * s / (n * h), "Upside down"),
    (lambda n, e, s, h: n / (e * s), "left out the heads"),
    (lambda n, e, s, h: n / (e * s * h), "should multiply"),
    (lambda n, e, s, h: n * h / s, "ALL experts"),
    (lambda n, e, s, h: n * h / e, "does not say how many"),
    (lambda n, e, s, h: (n * h / (e * s)) ** 2, "cancels"),
]
MISTAKES = [
    *((ch07.check_order, *mistake) for mistake in ORDER_MISTAKES),
    *((ch07.check_weights, *mistake) for mistake in WEIGHTS_MISTAKES),
    *((ch07.check_feature_map, *mistake) for mistake in FEATURE_MISTAKES),
    *((ch07.check_cost, *mistake) for mistake in COST_MISTAKES),
    *((ch07.check_saving, *mistake) for mistake in SAVING_MISTAKES),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_count_is_that_of_the_cost_table(attention, heads):
    config = MoEConfig(
        kind="la", slots_per_expert=6, heads=heads, attention=attention, normalize=False
    )
    row = cost_table(32, 50, config)["multiply_adds"][f"{attention} attention"]
    assert row == NOTEBOOK.functions()["attention_cost"](50, 24, heads, attention == "linear")


def test_checks_leave_the_readers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    for name, exercise in NOTEBOOK.exercises.items():
        exercise.check(NOTEBOOK.functions()[name])
    assert torch.equal(torch.randn(2), expected)
