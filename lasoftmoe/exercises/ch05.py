"""Exercises of chapter 5: competing experts, capacity, dropping, top-k's gradient, balance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake


def _experts_answers(g: Draw) -> Case:
    points, experts = g.sizes(2, 3, 8)
    return g.normal(points, experts).softmax(-1), g.normal(points, experts), g.normal(points, 1)


def _fit(p: Tensor, o: Tensor, t: Tensor, scale: float = 2.0) -> Tensor:
    return (p * (-(t - o).square() / scale).exp()).sum(-1)


def _blend(p: Tensor, o: Tensor, t: Tensor) -> Tensor:
    return (t - (p * o).sum(-1, keepdim=True)).square()


COMPETITION = Exercise(
    "competition",
    _experts_answers,
    lambda p, o, t: -_fit(p, o, t).log().mean(),
    misconceptions=[
        Mistake(
            lambda p, o, t: _blend(p, o, t).mean(),
            "That is the error of the blended answer: every expert is trained to repair what the "
            "others leave over. Let each answer meet the target by itself: exp(-(t - o)²/2) first, "
            "then the sum over the experts.",
        ),
        Mistake(
            lambda p, o, t: _blend(p, o, t).mean() / 2,
            "That is the competition's formula on the blended answer. Compare each expert's own "
            "answer with the target, and sum over the experts afterwards.",
        ),
        Mistake(
            lambda p, o, t: (p * (t - o).square()).sum(-1).mean(),
            "You weighted the experts' errors, so each expert is pulled to every target in "
            "proportion to its share, however badly it fits there. Inside the logarithm the "
            "best-fitting expert gets most of the gradient.",
        ),
        Mistake(
            lambda p, o, t: (p * (t - o).square() / 2).sum(-1).mean(),
            "You took the logarithm inside the sum. -Σ p log(fit) is only a weighted error; the "
            "competition comes from log of the sum.",
        ),
        Mistake(
            lambda p, o, t: -_fit(p, o, t, scale=1.0).log().mean(),
            "The factor ½ in the exponent is missing.",
        ),
        Mistake(
            lambda p, o, t: _fit(p, o, t).log().mean(),
            "The minus sign in front of the logarithm is missing: you would train the experts to "
            "make the targets improbable.",
        ),
        Mistake(
            lambda p, o, t: -_fit(p, o, t).log().sum(),
            "You summed over the points. Take the mean, so that the loss does not grow with the "
            "data.",
        ),
        Mistake(
            lambda p, o, t: -_fit(p, o, t).mean().log(),
            "You averaged over the points before the logarithm. Points are independent: their "
            "probabilities multiply, so their logarithms add.",
        ),
        Mistake(
            lambda p, o, t: (t - o).square().gather(1, p.argmax(1, keepdim=True)).mean() / 2,
            "You let only the expert with the largest share answer. All of them compete: sum their "
            "fits, each times its share, inside the logarithm.",
        ),
        Mistake(
            lambda p, o, t: (t - o).square().amin(1).mean() / 2,
            "You let only the best-fitting expert count, and forgot how large its share is. Sum "
            "the fits of all experts, each times its share, inside the logarithm.",
        ),
        Mistake(
            lambda p, o, t: -(p * (-(t - o).square() / 2).exp()).sum(0).log().mean(),
            "You summed over the points inside the logarithm. Sum over the experts, the last axis.",
        ),
    ],
    hints=[
        "Work from the inside: the fit of each expert is exp(-½ (t - o)²), (points, experts).",
        "Multiply by the shares and sum over the experts. The logarithm comes after that.",
    ],
    praise="each expert is compared with the target itself.",
)


def _room(g: Draw) -> Case:
    """Sizes at which a queue holds fewer than all tokens; products are exact in floating point."""
    experts = g.size(5, 8)
    return g.size(2, 6), g.size(30, 200), experts, g.size(2, 3), 1 + g.size(1, 5) / 8


def _places(b: int, n: int, e: int, k: int, f: float, rounded: Any = math.ceil) -> float:
    return b * e * rounded(f * k * n / e)


PLACES = Exercise(
    "places_computed",
    _room,
    _places,
    difficulty=2,
    draws=4,
    tolerance=1e-9,
    edge_cases=[(2, 64, 4, 1, 1.0), (3, 65, 4, 2, 1.25), (5, 197, 8, 2, 1.1)],
    misconceptions=[
        Mistake(
            lambda b, n, e, k, f: math.ceil(f * k * n / e),
            "That is one expert's queue in one image. Every expert of every image has such a "
            "queue.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(1, n, e, k, f), "You counted one image of the batch."
        ),
        Mistake(
            lambda b, n, e, k, f: b * math.ceil(f * k * n / e),
            "You counted one expert; all of them have a queue.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, 1, f),
            "You forgot k: every token makes k choices, and each needs a place.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, k, 1.0),
            "You left out the capacity factor. A factor of 1 has room for everybody only if demand "
            "is exactly even.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, k, f, math.floor),
            "You rounded down. A fraction of a place is no place: capacity is rounded up.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, k, f, round),
            "You rounded to the nearest number. A fraction of a place is no place: capacity is "
            "rounded up.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, k, f, lambda q: int(q) + 1),
            "You added a place where the queue already comes out whole. Round up: math.ceil.",
        ),
        Mistake(
            lambda b, n, e, k, f: _places(b, n, e, k, f, float),
            "You did not round. Each expert's queue has a whole number of places, rounded up.",
        ),
        Mistake(
            lambda b, n, e, k, f: b * e * k * math.ceil(f * n / e),
            "You rounded before multiplying by k. A queue holds all k choices: round "
            "factor · k · tokens / experts.",
        ),
        Mistake(
            lambda b, n, e, k, f: b * e * math.ceil(f * math.ceil(k * n / e)),
            "You rounded twice, before the factor and after it. Round once, at the end of one "
            "queue's size.",
        ),
        Mistake(
            lambda b, n, e, k, f: b * math.ceil(f * k * n),
            "You rounded once for the whole layer. Each expert's queue is a whole number by "
            "itself: round first, multiply afterwards.",
        ),
        Mistake(
            lambda b, n, e, k, f: e * math.ceil(b * f * k * n / e),
            "You gave the batch one queue for all images. Ours are per image: compute the capacity "
            "from one image's tokens, then multiply.",
        ),
        Mistake(
            lambda b, n, e, k, f: b * n * k,
            "That is the number of choices made. Places are computed whether they are filled or "
            "not.",
        ),
    ],
    hints=[
        "Start with one queue: k · tokens choices are shared by the experts, times the factor.",
        "A queue has a whole number of places, rounded up. Then count the queues.",
    ],
    praise="empty places cost as much as full ones.",
)


def _queue(g: Draw) -> Case:
    """Choices in which several experts are asked for too often and one hardly at all."""
    experts = g.size(3, 5)
    favors = torch.arange(experts, 0.0, -1)
    choice = torch.multinomial(favors, g.size(14, 20), replacement=True, generator=g.torch)
    return choice, experts, g.size(2, 3)


def _ahead(choice: Tensor, experts: int) -> Tensor:
    wants = F.one_hot(choice, experts)
    return ((wants.cumsum(0) - wants) * wants).sum(1)


def _dropped_rules(value: Any, *_: Any) -> str | None:
    if isinstance(value, Tensor) and value.dtype != torch.bool:
        return "Return a tensor of true and false, not of numbers."
    return None


DROPPED = Exercise(
    "dropped_tokens",
    _queue,
    lambda c, e, p: _ahead(c, e) >= p,
    difficulty=2,
    rules=_dropped_rules,
    edge_cases=[
        (torch.tensor([1, 0, 1, 1, 2, 1, 0, 1, 0, 0]), 4, 2),
        (torch.tensor([1, 0, 1, 1, 2, 1, 0, 1, 0, 0]), 4, 10),
    ],
    misconceptions=[
        Mistake(
            lambda c, e, p: _ahead(c, e) < p,
            "That is the opposite: true for the tokens that are served.",
        ),
        Mistake(
            lambda c, e, p: _ahead(c, e) > p,
            "One too many is served: the first place is number 0, so that places 0 to places - 1 "
            "exist.",
        ),
        Mistake(
            lambda c, e, p: _ahead(c, e) >= p - 1,
            "One too few is served. Count the tokens AHEAD in the queue, without the token itself.",
        ),
        Mistake(
            lambda c, e, p: _ahead(c.flip(0), e).flip(0) >= p,
            "You served the last ones and dropped the first. The queue fills from the start of the "
            "sequence.",
        ),
        Mistake(
            lambda c, e, p: torch.bincount(c, minlength=e)[c] > p,
            "You dropped every token of an expert that is asked for too often. An overfull expert "
            "still serves as many as it has places.",
        ),
        Mistake(
            lambda c, e, p: torch.arange(len(c)) >= p,
            "You counted the token's position in the image. Each expert has a queue of its own: "
            "count only the earlier tokens that want the SAME expert.",
        ),
        Mistake(
            lambda c, e, p: torch.arange(len(c)) >= p * e,
            "You gave the experts one common queue. Each has room of its own.",
        ),
        Mistake(
            lambda c, e, p: _ahead(c, e) >= 2,
            "You always give two places. Use `places`.",
        ),
    ],
    hints=[
        "`F.one_hot(choice, num_experts)` says which expert each token wants, (tokens, experts).",
        "A cumulative sum down the tokens counts the queue of each expert.",
        "A token is dropped when as many as there are places stand AHEAD of it in its own queue.",
    ],
    praise="a token is dropped when as many as there are places came before it.",
)


def _one_token(g: Draw) -> Case:
    experts = g.size(4, 7)
    return g.normal(experts), g.size(2, experts - 1), bool(g.size(0, 1))


def _learns(logits: Tensor, k: int, kept_only: bool) -> Tensor:
    if not kept_only:
        return torch.ones_like(logits, dtype=torch.bool)
    chosen = torch.zeros_like(logits, dtype=torch.bool)
    if k > 1:
        chosen[logits.topk(k).indices] = True
    return chosen


def _learns_rules(value: Any, logits: Tensor, k: int, kept_only: bool) -> str | None:
    if not isinstance(value, Tensor) or value.shape != logits.shape:
        return "Return one true or false for each expert, as a tensor."
    if torch.equal(value.bool(), _learns(logits, k, kept_only)):
        return None
    if k == 1 and kept_only:
        return (
            "For k = 1 and a softmax over the kept logits only: the softmax of a single number is "
            "1, whatever the number. The gate is constant, and no logit gets a gradient, the "
            "winner's included. That is why Switch takes the softmax over all logits."
        )
    if not kept_only:
        return (
            "For a softmax over all logits: those of experts that were not chosen stand in the "
            "denominator of the chosen ones' probabilities, so they get a gradient too (though it "
            "knows nothing of how good those experts are)."
        )
    return (
        "For a softmax over the kept logits only: the gates depend on these and on nothing else. "
        "Which ones are kept is a choice, a whole number without a slope; so all kept logits get a "
        "gradient, and the others exactly none."
    )


_LOGITS = torch.tensor([0.3, -1.0, 1.2, 0.9, -0.2])

LEARNS = Exercise(
    "logits_that_learn",
    _one_token,
    _learns,
    difficulty=3,
    rules=_learns_rules,
    edge_cases=[
        (_LOGITS, k, kept) for k, kept in [(2, True), (1, True), (1, False), (3, False), (5, True)]
    ],
    misconceptions=[
        Mistake(
            lambda z, k, kept: torch.ones_like(z).bool(),
            "For a softmax over the kept logits only: the gates depend on these and on nothing "
            "else.",
        ),
        Mistake(
            lambda z, k, kept: z >= z.topk(k).values[-1] if kept else torch.ones_like(z).bool(),
            "For k = 1 and a softmax over the kept logits only: the softmax of a single number is "
            "1, whatever the number.",
        ),
        Mistake(
            lambda z, k, kept: _learns(z, k, True) if k > 1 or kept else z == z.max(),
            "For a softmax over all logits: those of experts that were not chosen stand in the "
            "denominator",
        ),
    ],
    hints=[
        "A gate is exp(its logit) over a sum of exponentials. Which logits are in that sum?",
        "With `kept_only` and k = 1 the sum has a single term. What is the gate then?",
    ],
    praise="a logit learns only if it appears in the softmax, next to another one.",
)


def _router_logits(g: Draw) -> Case:
    tokens, experts = g.sizes(2, 3, 6)
    return (g.normal(3 * tokens, experts) + torch.linspace(1.0, 0.0, experts),)


def _shares(logits: Tensor) -> Tensor:
    return F.one_hot(logits.argmax(1), logits.shape[1]).float().mean(0)


def _wanted(logits: Tensor) -> Tensor:
    return logits.softmax(1).mean(0)


def _balance(logits: Tensor) -> Tensor:
    return logits.shape[1] * (_shares(logits) * _wanted(logits)).sum()


def _balance_rules(value: Any, *_: Any) -> str | None:
    answer, slope = value
    if slope == "none" and isinstance(answer, Tensor | float):
        right_form = not isinstance(answer, Tensor) or answer.numel() == 1
        if right_form:
            return (
                "Nothing can learn from your number: it has no gradient. The counts have none by "
                "nature; the mean probabilities must keep theirs (no detach, no .item(), no "
                "torch.no_grad())."
            )
        return f"Return one number, a scalar tensor, not shape {tuple(answer.shape)}."
    return None


def _of_shares(combine: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Any:
    """A loss from shares, mean probabilities and logits."""
    return lambda z: combine(_shares(z), _wanted(z), z)


BALANCE = Exercise(
    "balance_by_hand",
    _router_logits,
    _balance,
    trial="with_gradient",
    rules=_balance_rules,
    misconceptions=[
        Mistake(
            lambda z: _balance(z).detach(),
            "Nothing can learn from your number: it has no gradient.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: (f * p).sum()),
            "The factor e, the number of experts, is missing: without it the smallest value would "
            "depend on how many there are.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: z.numel() * (f * p).sum()),
            "You counted tokens instead of shares of tokens, or summed the probabilities over the "
            "tokens: divide by the number of tokens.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: len(p) * p.square().sum()),
            "You used the probabilities twice. f counts which expert each token CHOSE (argmax), P "
            "is what the router would have liked.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: len(p) * (f.square() + 0 * p).sum()),
            "You used the counts twice. That has no gradient at all: f is made of choices. One of "
            "the two factors has to be the mean probability.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: (f * p).mean()),
            "You averaged over the experts. Sum f·P over them, then multiply by their number.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: len(f) * (f * z.softmax(0).mean(0)).sum()),
            "Your softmax runs over the tokens, and its mean is the same for every expert. The "
            "experts compete for a token: softmax over dim=1.",
        ),
        Mistake(
            _of_shares(lambda f, p, z: len(f) * (f * z.mean(0)).sum()),
            "You averaged the raw logits. P is the mean of their softmax.",
        ),
        Mistake(
            _of_shares(
                lambda f, p, z: (
                    len(f) * (f * (z.softmax(1) * F.one_hot(z.argmax(1), z.shape[1])).mean(0)).sum()
                )
            ),
            "You averaged only the probability of the chosen expert. P is the mean over ALL tokens "
            "of what each would have given the expert.",
        ),
    ],
    hints=[
        "f: the share of tokens whose largest logit is that of expert i.",
        "P: the mean over the tokens of the softmax over the experts.",
        "The loss is the number of experts times the sum of f · P.",
    ],
    praise="counts say where to push, probabilities are what is pushed.",
)

CHAPTER = Chapter(
    "05",
    "Mixture of experts",
    "import math\n\nimport torch\nimport torch.nn.functional as F",
    [COMPETITION, PLACES, DROPPED, LEARNS, BALANCE],
)

check_competition = COMPETITION.check
check_places = PLACES.check
check_dropped = DROPPED.check
check_learns = LEARNS.check
check_balance = BALANCE.check
