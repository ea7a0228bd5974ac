"""Chapter 5's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from lasoftmoe.exercises import ch05
from lasoftmoe.moe.sparse_moe import TopKMoE, expert_capacity
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("05_mixture_of_experts", ch05)


def dropped_with_loop(choice, num_experts, places):
    used, dropped = [0] * num_experts, []
    for wanted in choice.tolist():
        dropped.append(used[wanted] >= places)
        used[wanted] += 1
    return torch.tensor(dropped)


def learns_by_autograd(logits, k, kept_only):
    logits = logits.clone().requires_grad_()
    kept = logits.topk(k).indices
    gates = logits[kept].softmax(0) if kept_only else logits.softmax(0)[kept]
    (gates * torch.arange(1.0, k + 1)).sum().backward()
    return logits.grad.abs() > 1e-6


def first_places(choice, experts, places, spare=0):
    wants = F.one_hot(choice, experts)
    return ((wants.cumsum(0) * wants).sum(1)) > places + spare


def shares(logits):
    return F.one_hot(logits.argmax(1), logits.shape[1]).float().mean(0)


def wanted(logits):
    return logits.softmax(1).mean(0)


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch05.check_places, lambda b, n, e, k, f: b * e * np.int64(np.ceil(f * k * n / e))),
    (
        ch05.check_competition,
        lambda p, o, t: -torch.logsumexp(p.log() - (t - o) ** 2 / 2, dim=1).mean(),
    ),
    (ch05.check_places, lambda b, n, e, k, f: b * e * expert_capacity(n, e, k, f)),
    (ch05.check_dropped, dropped_with_loop),
    (ch05.check_learns, learns_by_autograd),
    (ch05.check_balance, lambda x: (shares(x) * wanted(x)).mean() * x.shape[1] ** 2),
]


def blended(p, o, t):
    return (t - (p * o).sum(1, keepdim=True)).square()


def fits(p, o, t, scale=2.0):
    return (p * (-((t - o) ** 2) / scale).exp()).sum(1)


COMPETITION_MISTAKES = [
    (lambda p, o, t: blended(p, o, t).mean(), "error of the blended answer"),
    (lambda p, o, t: blended(p, o, t).mean() / 2, "on the blended answer"),
    (lambda p, o, t: (p * (t - o) ** 2).sum(1).mean(), "weighted the experts' errors"),
    (lambda p, o, t: (p * (t - o) ** 2 / 2).sum(1).mean(), "logarithm inside the sum"),
    (lambda p, o, t: -fits(p, o, t, 1.0).log().mean(), "factor ½"),
    (lambda p, o, t: fits(p, o, t).log().mean(), "minus sign"),
    (lambda p, o, t: -fits(p, o, t).log().sum(), "summed over the points"),
    (lambda p, o, t: -fits(p, o, t).mean().log(), "averaged over the points"),
    (lambda p, o, t: -fits(p, o, t).log(), "Expected a number, got a tensor"),
]
PLACES_MISTAKES = [
    (lambda b, n, e, k, f: b * e * (int(f * k * n / e) + 1), "already comes out whole"),
    (lambda b, n, e, k, f: math.ceil(f * k * n / e), "one expert's queue in one image"),
    (lambda b, n, e, k, f: e * math.ceil(f * k * n / e), "one image of the batch"),
    (lambda b, n, e, k, f: b * math.ceil(f * k * n / e), "counted one expert"),
    (lambda b, n, e, k, f: b * e * math.ceil(f * n / e), "forgot k"),
    (lambda b, n, e, k, f: b * e * math.ceil(k * n / e), "capacity factor"),
    (lambda b, n, e, k, f: b * e * int(f * k * n / e), "rounded down"),
    (lambda b, n, e, k, f: b * math.ceil(f * k * n), "rounded once"),
    (lambda b, n, e, k, f: e * math.ceil(b * f * k * n / e), "one queue for all images"),
    (lambda b, n, e, k, f: b * n * k, "number of choices"),
]
DROPPED_MISTAKES = [
    (lambda c, e, p: ~dropped_with_loop(c, e, p), "opposite"),
    (lambda c, e, p: first_places(c, e, p, 1), "One too many"),
    (lambda c, e, p: first_places(c, e, p, -1), "One too few"),
    (lambda c, e, p: dropped_with_loop(c.flip(0), e, p).flip(0), "served the last ones"),
    (lambda c, e, p: torch.bincount(c, minlength=e)[c] > p, "asked for too often"),
    (lambda c, e, p: torch.arange(len(c)) >= p, "position in the image"),
    (lambda c, e, p: torch.arange(len(c)) >= e * p, "one common queue"),
    (lambda c, e, p: dropped_with_loop(c, e, p).long(), "true and false"),
    (lambda c, e, p: dropped_with_loop(c, e, 2), "always give two places"),
]
LEARNS_MISTAKES = [
    (lambda z, k, kept: torch.ones_like(z).bool(), "kept logits get a gradient"),
    (lambda z, k, kept: learns_by_autograd(z, k, kept) | (z == z.max()), "single number is 1"),
    (lambda z, k, kept: learns_by_autograd(z, k, True), "in the denominator"),
    (lambda z, k, kept: z.topk(k).indices, "one true or false for each expert"),
]
BALANCE_MISTAKES = [
    (lambda x: (shares(x) * wanted(x)).sum(), "factor e"),
    (lambda x: len(x) * x.shape[1] * (shares(x) * wanted(x)).sum(), "shares of tokens"),
    (lambda x: x.shape[1] * (shares(x) * x.softmax(1).sum(0)).sum(), "tokens"),
    (lambda x: x.shape[1] * (wanted(x) ** 2).sum(), "probabilities twice"),
    (lambda x: x.shape[1] * (shares(x) ** 2).sum(), "no gradient"),
    (lambda x: (shares(x) * wanted(x)).mean(), "averaged over the experts"),
    (lambda x: (4 * (shares(x) * wanted(x)).sum()).detach(), "no gradient"),
]
MISTAKES = [
    *((ch05.check_competition, *mistake) for mistake in COMPETITION_MISTAKES),
    *((ch05.check_places, *mistake) for mistake in PLACES_MISTAKES),
    *((ch05.check_dropped, *mistake) for mistake in DROPPED_MISTAKES),
    *((ch05.check_learns, *mistake) for mistake in LEARNS_MISTAKES),
    *((ch05.check_balance, *mistake) for mistake in BALANCE_MISTAKES),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES


def test_the_solutions_say_what_the_layer_does():
    torch.manual_seed(0)
    layer = TopKMoE(6, num_experts=3, k=1, capacity_factor=1.0)
    routing = layer.route(torch.randn(2, 10, 6))
    places = routing.dispatch.numel() // 10
    assert places == NOTEBOOK.functions()["places_computed"](2, 10, 3, 1, 1.0)
    choice = routing.logits[0, :, :, 0].argmax(1)
    expected = NOTEBOOK.functions()["dropped_tokens"](choice, 3, places // 6)
    assert torch.equal(routing.dispatch[0].sum((1, 2)) == 0, expected)


def test_checks_leave_the_readers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    for name, exercise in NOTEBOOK.exercises.items():
        exercise.check(NOTEBOOK.functions()[name])
    assert torch.equal(torch.randn(2), expected)
