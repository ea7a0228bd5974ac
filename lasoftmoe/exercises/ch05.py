"""Checks of chapter 5: competing experts, capacity, dropping, top-k's gradient, balance."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare, compare_number
from lasoftmoe.moe import balance_loss


def check_competition(competition: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Jacobs et al. 1991: shares p, answers o (points, experts), targets t -> scalar loss."""
    p, o, t = _randn(6, 3).softmax(-1), _randn(6, 3, seed=1), _randn(6, 1, seed=2)
    squared = (t - o).square()
    fit = (p * (-squared / 2).exp()).sum(-1)
    compare(
        call(competition, p, o, t),
        -fit.log().mean(),
        {
            "That is the error of the blended answer: every expert is trained to repair what the "
            "others leave over. Let each answer meet the target by itself: exp(-(t - o)²/2) "
            "first, then the sum over the experts.": _blend(p, o, t).square().mean(),
            "That is the competition's formula on the blended answer. Compare each expert's own "
            "answer with the target, and sum over the experts afterwards.": (
                (_blend(p, o, t).square() / 2).mean()
            ),
            "You weighted the experts' errors, so each expert is pulled to every target in "
            "proportion to its share, however badly it fits there. Inside the logarithm the "
            "best-fitting expert gets most of the gradient.": (p * squared).sum(-1).mean(),
            "You took the logarithm inside the sum. -Σ p log(fit) is only a weighted error; the "
            "competition comes from log of the sum.": (p * squared / 2).sum(-1).mean(),
            "The factor ½ in the exponent is missing.": -(p * (-squared).exp())
            .sum(-1)
            .log()
            .mean(),
            "The minus sign in front of the logarithm is missing: you would train the experts to "
            "make the targets improbable.": fit.log().mean(),
            "You summed over the points. Take the mean, so that the loss does not grow with the "
            "data.": -fit.log().sum(),
            "You averaged over the points before the logarithm. Points are independent: their "
            "probabilities multiply, so their logarithms add.": -fit.mean().log(),
        },
    )
    print("Right: each expert is compared with the target itself.")


def check_places(places_computed: Callable[[int, int, int, int, float], int]) -> None:
    """``places_computed(pictures, tokens, num_experts, k, factor)`` over all experts."""
    for pictures, tokens, experts, k, factor in [(3, 65, 4, 2, 1.25), (5, 197, 8, 2, 1.1)]:
        share = factor * k * tokens / experts
        each = math.ceil(share)
        compare_number(
            call(places_computed, pictures, tokens, experts, k, factor),
            pictures * experts * each,
            {
                "That is one expert's queue in one picture. Every expert of every picture has "
                "such a queue.": each,
                "You counted one picture of the batch.": experts * each,
                "You counted one expert; all of them have a queue.": pictures * each,
                "You forgot k: every token makes k choices, and each needs a place.": pictures
                * experts
                * math.ceil(factor * tokens / experts),
                "You left out the capacity factor. A factor of 1 has room for everybody only if "
                "demand is exactly even.": pictures * experts * math.ceil(k * tokens / experts),
                "You rounded down. A fraction of a place is no place: capacity is rounded up.": (
                    pictures * experts * math.floor(share)
                ),
                "You rounded once for the whole layer. Each expert's queue is a whole number by "
                "itself: round first, multiply afterwards.": (
                    pictures * math.ceil(factor * k * tokens)
                ),
                "You gave the batch one queue for all pictures. Ours are per picture: compute the "
                "capacity from one picture's tokens, then multiply.": (
                    experts * math.ceil(pictures * share)
                ),
                "That is the number of choices made. Places are computed whether they are filled "
                "or not.": pictures * tokens * k,
            },
        )
    print("Right: empty places cost as much as full ones.")


def check_dropped(dropped_tokens: Callable[[Tensor, int, int], Tensor]) -> None:
    """``dropped_tokens(choice, num_experts, places)`` -> bool (tokens,), in order of coming."""
    choice, experts, places = torch.tensor([1, 0, 1, 1, 2, 1, 0, 1, 0, 0]), 4, 2
    wants = F.one_hot(choice, experts)
    place = ((wants.cumsum(0) - 1) * wants).sum(1)
    behind = ((wants.flip(0).cumsum(0).flip(0) - 1) * wants).sum(1)
    answer = call(dropped_tokens, choice, experts, places)
    if isinstance(answer, Tensor) and answer.dtype != torch.bool:
        raise AssertionError(f"Return a tensor of true and false, not of {answer.dtype}.")
    compare(
        answer,
        place >= places,
        {
            "That is the opposite: true for the tokens that are served.": place < places,
            "One too many is served: the first place is number 0, so that places 0 to "
            "places - 1 exist.": place > places,
            "One too few is served. Count the tokens AHEAD in the queue, without the token "
            "itself.": place >= places - 1,
            "You served the last ones and dropped the first. The queue fills from the start of "
            "the sequence.": behind >= places,
            "You dropped every token of an expert that is asked for too often. An overfull "
            "expert still serves as many as it has places.": wants.sum(0)[choice] > places,
            "You counted the token's position in the picture. Each expert has a queue of its "
            "own: count only the earlier tokens that want the SAME expert.": (
                torch.arange(len(choice)) >= places
            ),
            "You gave the experts one common queue. Each has room of its own.": (
                torch.arange(len(choice)) >= places * experts
            ),
        },
    )
    nobody = call(dropped_tokens, choice, experts, len(choice))
    if nobody.any():
        raise AssertionError("With room for every token you still drop some.")
    print("Right: a token is dropped when as many as there are places came before it.")


def check_learns(logits_that_learn: Callable[[Tensor, int, bool], Tensor]) -> None:
    """``logits_that_learn(logits, k, kept_only)`` -> bool (experts,), by PyTorch's gradient."""
    logits = torch.tensor([0.3, -1.0, 1.2, 0.9, -0.2])
    for k, kept_only in [(2, True), (1, True), (1, False), (3, False), (5, True)]:
        answer = call(logits_that_learn, logits, k, kept_only)
        if not isinstance(answer, Tensor) or answer.shape != logits.shape:
            raise AssertionError("Return one true or false for each expert, as a tensor.")
        expected = _gradient_of_top_k(logits, k, kept_only) != 0
        if torch.equal(answer.bool(), expected):
            continue
        case = f"k = {k}, softmax over {'the kept logits only' if kept_only else 'all logits'}: "
        if k == 1 and kept_only:
            raise AssertionError(
                case + "the softmax of a single number is 1, whatever the number. The gate is "
                "constant, and no logit gets a gradient, the winner's included. That is why "
                "Switch takes the softmax over all logits."
            )
        if not kept_only:
            raise AssertionError(
                case + "the logits of experts that were not chosen stand in the denominator of "
                "the chosen ones' probabilities, so they get a gradient too (though it knows "
                "nothing of how good those experts are)."
            )
        raise AssertionError(
            case + "the gates depend on the kept logits and on nothing else. Which ones are "
            "kept is a choice, a whole number without a slope; so all kept logits get a "
            "gradient, and the others exactly none."
        )
    print("Right: a logit learns only if it appears in the softmax, next to another one.")


def check_balance(balance_by_hand: Callable[[Tensor], Tensor]) -> None:
    """Switch's balance loss: logits (tokens, experts), k = 1 -> scalar with a gradient."""
    logits = (_randn(12, 4) + torch.tensor([1.0, 0.5, 0.0, 0.0])).requires_grad_()
    experts = logits.shape[1]
    f = F.one_hot(logits.argmax(1), experts).float().mean(0)
    probability = logits.softmax(1).mean(0).detach()
    answer = call(balance_by_hand, logits)
    expected = balance_loss(logits[None], k=1)
    compare(
        answer,
        expected,
        {
            "The factor e, the number of experts, is missing: without it the smallest value "
            "would depend on how many there are.": (f * probability).sum(),
            "You counted tokens instead of shares of tokens: divide the counts by the number of "
            "tokens.": experts * len(logits) * (f * probability).sum(),
            "You summed the probabilities over the tokens. P is their mean.": experts
            * (f * probability * len(logits)).sum(),
            "You used the probabilities twice. f counts which expert each token CHOSE (argmax), "
            "P is what the router would have liked.": experts * probability.square().sum(),
            "You used the counts twice. That has no gradient at all: f is made of choices. One of "
            "the two factors has to be the mean probability.": experts * f.square().sum(),
            "You averaged over the experts. Sum f·P over them, then multiply by their number.": (
                (f * probability).mean()
            ),
        },
    )
    if not answer.requires_grad:
        raise AssertionError(
            "The value is right, but nothing can learn from it: it has no gradient. The counts "
            "have none by nature; the mean probabilities must keep theirs (no detach, no .item(), "
            "no torch.no_grad())."
        )
    (slope,) = torch.autograd.grad(answer, logits)
    (wanted,) = torch.autograd.grad(expected, logits)
    compare(slope, wanted, {})
    print("Right: counts say where to push, probabilities are what is pushed.")


def _gradient_of_top_k(logits: Tensor, k: int, kept_only: bool) -> Tensor:
    """Gradient of a random loss on the sum of gates times random expert outputs."""
    logits = logits.clone().requires_grad_()
    chosen = logits.topk(k).indices
    gates = logits[chosen].softmax(0) if kept_only else logits.softmax(0)[chosen]
    (gates * _randn(k, seed=3)).sum().backward()
    # A gate that is always 1 has a gradient of 0 up to rounding.
    return logits.grad.where(logits.grad.abs() > 1e-6, torch.zeros(()))


def _blend(p: Tensor, o: Tensor, t: Tensor) -> Tensor:
    return t - (p * o).sum(-1, keepdim=True)


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
