"""Exercises of chapter 6: dispatch, combine, slots and cost of Soft MoE."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake
from lasoftmoe.moe import SoftMoE


def _logits(g: Draw) -> Case:
    """Logits (batch, tokens, experts, slots) with four different sizes."""
    return (g.normal(*g.sizes(4, 2, 7)),)


def _dispatch(x: Tensor) -> Tensor:
    return x.softmax(1)


def _combine(x: Tensor) -> Tensor:
    return x.flatten(2).softmax(-1).view_as(x)


DISPATCH = Exercise(
    "dispatch_weights",
    _logits,
    _dispatch,
    misconceptions=[
        Mistake(
            _combine,
            "These are combine weights: for every token, the weights of all slots sum to 1. "
            "Dispatch asks the opposite question. A slot is a weighted average OF TOKENS, so for "
            "every slot the weights of the tokens must sum to 1: softmax over the token axis.",
        ),
        Mistake(
            lambda x: x.softmax(-1),
            "Your softmax runs over the last axis, the slots of one expert. That shares one token "
            "out among an expert's slots. A slot is a weighted average of tokens: softmax over the "
            "token axis (axis 1 of (batch, tokens, experts, slots)).",
        ),
        Mistake(
            lambda x: x.softmax(2),
            "Your softmax runs over the experts, as the gate of a sparse mixture would: it makes "
            "the experts compete for a token. In dispatch the tokens compete for a slot: softmax "
            "over the token axis.",
        ),
        Mistake(
            lambda x: x.softmax(0),
            "Your softmax runs over axis 0, the batch, and mixes different images. The paper "
            "writes dim=0 because Algorithm 2 has no batch axis; with one in front, the tokens are "
            "axis 1.",
        ),
        Mistake(
            lambda x: x / x.sum(1, keepdim=True),
            "The exponential is missing: logits may be negative, so dividing by their sum makes no "
            "weights. A softmax takes exp first.",
        ),
        Mistake(
            lambda x: x.exp(),
            "You took the exponential but did not divide: the weights of a slot must sum to 1.",
        ),
        Mistake(
            lambda x: x.log_softmax(1),
            "That is the logarithm of the weights. Weights are between 0 and 1: softmax, without "
            "log.",
        ),
    ],
    hints=[
        "A slot is a weighted average of tokens. Which axis are the tokens?",
        "Softmax over axis 1 of (batch, tokens, experts, slots).",
    ],
    praise="for every slot, the weights of the tokens sum to 1.",
)

COMBINE = Exercise(
    "combine_weights",
    _logits,
    _combine,
    difficulty=2,
    misconceptions=[
        Mistake(
            _dispatch,
            "These are dispatch weights: for every slot, the weights of the tokens sum to 1. "
            "Combine asks the opposite question. An output token is a weighted average OF SLOTS, "
            "so for every token the weights of the slots must sum to 1.",
        ),
        Mistake(
            lambda x: x.softmax(-1),
            "Your softmax runs over the slots of each expert separately, so a token's weights sum "
            "to the number of experts instead of 1, and no expert can be preferred to another. The "
            "sum in Eq. 4 runs over all e·s slots: merge the last two axes first, then undo it.",
        ),
        Mistake(
            lambda x: x.softmax(2),
            "Your softmax runs over the experts separately for each slot number. Slot 0 of one "
            "expert has nothing in common with slot 0 of the next. The sum in Eq. 4 runs over all "
            "e·s slots: merge the last two axes first, then undo it.",
        ),
        *(
            Mistake(
                answer,
                "You took two softmaxes in a row. The second one flattens the weights of the "
                "first: merge the last two axes and take one softmax over all slots.",
            )
            for answer in (lambda x: x.softmax(2).softmax(3), lambda x: x.softmax(3).softmax(2))
        ),
        Mistake(
            lambda x: x.softmax(2) * x.softmax(3),
            "You multiplied a softmax over experts by one over slots. The weights of all e·s slots "
            "compete in ONE softmax: merge the last two axes first.",
        ),
        Mistake(
            lambda x: x.softmax(0),
            "Your softmax runs over axis 0, the batch, and mixes different images.",
        ),
        Mistake(
            lambda x: x.flatten(2).softmax(-1),
            "The weights are right but the last two axes are still merged: give them back their "
            "shape (experts, slots).",
        ),
    ],
    hints=[
        "All slots of all experts compete for one token, so they have to be on one axis.",
        "`logits.flatten(start_dim=2)` merges experts and slots; `.view_as(logits)` undoes it.",
    ],
    praise="for every token, the weights of all slots of all experts sum to 1.",
)


def _layer_sizes(g: Draw) -> Case:
    experts, slots, dim = g.sizes(3, 2, 9)
    return experts * slots, dim, experts


def _slots_rules(value: Any, num_tokens: int, dim: int, num_experts: int) -> Any:
    name, *sizes = value
    if name != "SoftMoE":
        return f"Return a SoftMoE, not a {name}."
    experts, slots = (int(size) for size in sizes)
    if experts != num_experts:
        return (
            "The layer has another number of experts than `num_experts`.",
            f"Asked for {num_experts}, the layer has {experts}.",
        )
    if slots == num_tokens and num_experts > 1:
        return (
            "`slots_per_expert` is slots PER EXPERT: you gave every expert as many slots as there "
            "are tokens. The total is experts x slots per expert, and the experts would do that "
            "many times the work.",
            f"{experts} experts x {slots} slots for {num_tokens} tokens.",
        )
    if experts * slots != num_tokens:
        return (
            "The layer should have as many slots in all as there are tokens; wanted as many, got "
            "another number.",
            f"{experts} experts x {slots} slots = {experts * slots}, for {num_tokens} tokens.",
        )
    return None


SLOTS = Exercise(
    "soft_moe_for",
    _layer_sizes,
    lambda n, d, e: SoftMoE(d, e, slots_per_expert=n // e),
    points=1,
    trial="layer_built",
    rules=_slots_rules,
    edge_cases=[(64, 8, 4), (60, 6, 3)],
    misconceptions=[
        Mistake(lambda n, d, e: SoftMoE(d, e, n), "`slots_per_expert` is slots PER EXPERT"),
        Mistake(
            lambda n, d, e: SoftMoE(d, e, 1),
            "The layer should have as many slots in all as there are tokens",
        ),
        Mistake(
            lambda n, d, e: SoftMoE(d, e + 1, n // e),
            "The layer has another number of experts than `num_experts`.",
        ),
    ],
    hints=["The layer has num_experts x slots_per_expert slots. How many may each expert have?"],
    praise="experts x slots per expert = tokens.",
)


def _cost(e: int, s: int, d: int, h: int) -> int:
    return 4 * e * s * d * h


COST = Exercise(
    "expert_flops",
    lambda g: (g.size(2, 6), g.size(2, 9), g.size(10, 90), g.size(10, 90)),
    _cost,
    tolerance=1e-9,
    edge_cases=[(4, 49, 768, 3072)],
    misconceptions=[
        Mistake(
            lambda e, s, d, h: _cost(e, s, d, h) // 2,
            "That is half of it. Either you counted multiplications only (every product is also "
            "added to a sum, so one entry of an (r x d) by (d x h) matrix product costs 2 d "
            "operations), or one of the two Linear layers (an expert goes dim -> hidden and back "
            "again).",
        ),
        Mistake(
            lambda e, s, d, h: _cost(e, s, d, h) // 4,
            "That is a quarter of it: count the additions as well as the multiplications, and both "
            "Linear layers of an expert.",
        ),
        Mistake(
            lambda e, s, d, h: _cost(1, s, d, h),
            "You counted one expert. All of them run, each on its own slots.",
        ),
        Mistake(
            lambda e, s, d, h: e * _cost(e, s, d, h),
            "You sent every slot through every expert. That would be a dense ensemble: in Soft MoE "
            "a slot belongs to exactly one expert, so more experts at the same total number of "
            "slots cost nothing more.",
        ),
        Mistake(
            lambda e, s, d, h: 2 * e * s * d * h + 2 * e * s * h * h,
            "The second Linear layer leads from hidden_dim back to dim; you gave it hidden_dim on "
            "both sides.",
        ),
        Mistake(
            lambda e, s, d, h: _cost(e, s, d, h) - e * s * (d + h),
            "You counted d - 1 additions for d products. That is exact, but the usual count, which "
            "torch uses too, takes one addition per product: 2 operations each.",
        ),
        Mistake(
            lambda e, s, d, h: _cost(e, s, d, h) + e * s * (d + h),
            "You counted the biases. The task leaves them out.",
        ),
    ],
    hints=[
        "How many rows enter the experts in one image? A slot belongs to one expert.",
        "A product of (r x d) by (d x h) takes 2 · r · d · h operations.",
        "An expert has two such products: dim -> hidden_dim and back.",
    ],
    praise="the cost depends on the total number of slots, not on the number of tokens.",
)


def _weights(g: Draw) -> Case:
    return ((2 * g.normal(*g.sizes(4, 2, 8))).softmax(1),)


def _count(dispatch: Tensor) -> Tensor:
    return torch.special.entr(dispatch).sum(1).exp()


_HALVES = torch.tensor([0.5, 0.5, 0.0, 0.0]).view(1, 4, 1, 1)
_ONE_TOKEN = torch.zeros(2, 5, 3, 2).index_fill(1, torch.tensor([0]), 1.0)

EFFECTIVE = Exercise(
    "count_tokens",
    _weights,
    _count,
    points=3,
    difficulty=2,
    edge_cases=[(_HALVES,), (_ONE_TOKEN,)],
    misconceptions=[
        Mistake(
            lambda D: (-(D * D.log()).sum(1)).exp(),
            "A weight of exactly 0 gives 0 x log(0) = nan. Its share of the entropy is 0: use "
            "torch.special.entr, or torch.xlogy, or clamp the weight inside the logarithm.",
        ),
        Mistake(
            lambda D: torch.special.entr(D).sum(1),
            "That is the entropy itself, in nats. Its exponential is the number of tokens: a slot "
            "that averages k tokens equally has entropy log(k).",
        ),
        Mistake(
            lambda D: torch.special.entr(D).sum((2, 3)).exp(),
            "You summed over the slots: that says how many slots a token feeds. Sum over the token "
            "axis to learn from how many tokens a slot drinks.",
        ),
        Mistake(
            lambda D: (torch.special.entr(D).sum(1) / torch.tensor(2.0).log()).exp(),
            "You mixed the logarithm to base 2 with the exponential to base e. Use one base for "
            "both.",
        ),
        Mistake(
            lambda D: torch.special.entr(D).sum(1).exp2(),
            "You mixed the natural logarithm with a power of 2. Use one base for both.",
        ),
        Mistake(
            lambda D: (-torch.special.entr(D).sum(1)).exp(),
            "The sign is reversed: entropy is MINUS the sum of p log p, and never negative.",
        ),
        Mistake(
            lambda D: 1 / D.square().sum(1),
            "That is one over the sum of squares, another effective number. The exponential of the "
            "entropy was asked for.",
        ),
        Mistake(
            lambda D: (D > 0).sum(1),
            "You counted the weights that are not 0. A token with a weight of 0.001 hardly counts: "
            "take the exponential of the entropy.",
        ),
    ],
    hints=[
        "The entropy of a slot is minus the sum over its tokens (axis 1) of p log p.",
        "0 · log 0 is nan in floating point; `torch.special.entr` and `torch.xlogy` give 0.",
        "The exponential of the entropy turns nats into a number of tokens.",
    ],
    praise="1 for a slot that copies one token, n for one that averages all n of them.",
)

CHAPTER = Chapter(
    "06",
    "Soft MoE: mixing instead of choosing",
    "import torch\nimport torch.nn.functional as F\n\nfrom lasoftmoe.moe import SoftMoE",
    [DISPATCH, COMBINE, SLOTS, COST, EFFECTIVE],
)

check_dispatch = DISPATCH.check
check_combine = COMBINE.check
check_slots = SLOTS.check
check_cost = COST.check
check_effective_tokens = EFFECTIVE.check
