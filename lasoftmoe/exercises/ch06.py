"""Checks of chapter 6: dispatch, combine, slots and cost of Soft MoE."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare, compare_number
from lasoftmoe.moe import Routing, SoftMoE

# Sizes that differ from each other, so that a softmax over the wrong axis shows.
BATCH, TOKENS, EXPERTS, SLOTS, DIM = 2, 7, 3, 4, 6


def check_dispatch(dispatch_weights: Callable[[Tensor], Tensor]) -> None:
    """Eq. 2: logits (batch, tokens, experts, slots) -> each slot's weights over the tokens."""
    routing = _random_routing()
    logits = routing.logits
    answer = call(dispatch_weights, logits)
    compare(
        answer,
        routing.dispatch,
        {
            "These are combine weights: for every token, the weights of all slots sum to 1. "
            "Dispatch asks the opposite question. A slot is a weighted average OF TOKENS, so "
            "for every slot the weights of the tokens must sum to 1: softmax over the token "
            "axis.": _over_all_slots(logits),
            "Your softmax runs over the last axis, the slots of one expert. That shares one "
            "token out among an expert's slots. A slot is a weighted average of tokens: softmax "
            "over the token axis (axis 1 of (batch, tokens, experts, slots)).": logits.softmax(-1),
            "Your softmax runs over the experts, as the gate of a sparse mixture would: it "
            "makes the experts compete for a token. In dispatch the tokens compete for a slot: "
            "softmax over the token axis.": logits.softmax(2),
            "Your softmax runs over axis 0, the batch, and mixes different pictures. The paper "
            "writes dim=0 because Algorithm 2 has no batch axis; with one in front, the tokens "
            "are axis 1.": logits.softmax(0),
        },
    )
    print("Right: for every slot, the weights of the tokens sum to 1.")


def check_combine(combine_weights: Callable[[Tensor], Tensor]) -> None:
    """Eq. 4: logits (batch, tokens, experts, slots) -> each token's weights over all slots."""
    routing = _random_routing()
    logits = routing.logits
    answer = call(combine_weights, logits)
    compare(
        answer,
        routing.combine,
        {
            "These are dispatch weights: for every slot, the weights of the tokens sum to 1. "
            "Combine asks the opposite question. An output token is a weighted average OF "
            "SLOTS, so for every token the weights of the slots must sum to 1.": logits.softmax(1),
            "Your softmax runs over the slots of each expert separately, so a token's weights "
            f"sum to the number of experts ({EXPERTS}) instead of 1, and no expert can be "
            "preferred to another. The sum in Eq. 4 runs over all e·s slots: merge the last two "
            "axes first, then undo it.": logits.softmax(-1),
            "Your softmax runs over the experts separately for each slot number. Slot 0 of one "
            "expert has nothing in common with slot 0 of the next. The sum in Eq. 4 runs over "
            "all e·s slots: merge the last two axes first, then undo it.": logits.softmax(2),
            "Your softmax runs over axis 0, the batch, and mixes different pictures.": (
                logits.softmax(0)
            ),
            "The weights are right but the last two axes are still merged: give them back "
            "their shape (experts, slots).": logits.flatten(2).softmax(-1),
        },
    )
    print("Right: for every token, the weights of all slots of all experts sum to 1.")


def check_slots(soft_moe_for: Callable[[int, int, int], SoftMoE]) -> None:
    """``soft_moe_for(num_tokens, dim, num_experts)`` -> a layer with one slot for every token."""
    for num_tokens, dim, num_experts in [(64, 8, 4), (60, 6, 3), (196, 4, 4)]:
        layer = call(soft_moe_for, num_tokens, dim, num_experts)
        if not isinstance(layer, SoftMoE):
            raise AssertionError(f"Return a SoftMoE, not a {type(layer).__name__}.")
        dispatch = layer.route(torch.randn(1, num_tokens, dim)).dispatch
        experts, slots = dispatch.shape[2:]
        if experts != num_experts:
            raise AssertionError(f"Asked for {num_experts} experts, the layer has {experts}.")
        if slots == num_tokens and num_experts > 1:
            raise AssertionError(
                f"`slots_per_expert={slots}` is slots PER EXPERT: with {experts} experts the "
                f"layer has {experts * slots} slots for {num_tokens} tokens, and its experts do "
                f"{experts} times the work. The total is experts x slots per expert."
            )
        if experts * slots != num_tokens:
            raise AssertionError(
                f"{experts} experts x {slots} slots = {experts * slots} slots in all; wanted as "
                f"many as there are tokens, {num_tokens}."
            )
    print("Right: experts x slots per expert = tokens.")


def check_cost(expert_flops: Callable[[int, int, int, int], int]) -> None:
    """``expert_flops(num_experts, slots_per_expert, dim, hidden_dim)`` for one image."""
    for num_experts, slots, dim, hidden in [(3, 5, 7, 11), (4, 16, 96, 384), (4, 49, 768, 3072)]:
        rows = num_experts * slots
        expected = 4 * rows * dim * hidden
        compare_number(
            call(expert_flops, num_experts, slots, dim, hidden),
            expected,
            {
                "That is half of it. Either you counted multiplications only (every product is "
                "also added to a sum, so one entry of an (r x d) by (d x h) matrix product costs "
                "2 d operations), or one of the two Linear layers (an expert goes dim -> hidden "
                "and back again).": expected // 2,
                "That is a quarter of it: count the additions as well as the multiplications, "
                "and both Linear layers of an expert.": expected // 4,
                "You counted one expert. All of them run, each on its own slots.": (
                    expected // num_experts
                ),
                "You sent every slot through every expert. That would be a dense ensemble: in "
                "Soft MoE a slot belongs to exactly one expert, so more experts at the same "
                "total number of slots cost nothing more.": expected * num_experts,
            },
        )
    print("Right: the cost depends on the total number of slots, not on the number of tokens.")


def check_effective_tokens(effective_tokens: Callable[[Tensor], Tensor]) -> None:
    """``effective_tokens(dispatch)``: exp of each slot's entropy over tokens, (b, e, s)."""
    dispatch = _random_routing().dispatch
    entropy = torch.special.entr(dispatch)
    compare(
        call(effective_tokens, dispatch),
        entropy.sum(1).exp(),
        {
            "That is the entropy itself, in nats. Its exponential is the number of tokens: a "
            "slot that averages k tokens equally has entropy log(k).": entropy.sum(1),
            "You summed over the slots: that says how many slots a token feeds. Sum over the "
            "token axis to learn from how many tokens a slot drinks.": entropy.sum((2, 3)).exp(),
            "You mixed the logarithm to base 2 with the exponential to base e. Use one base "
            "for both.": (entropy.sum(1) / torch.tensor(2.0).log()).exp(),
        },
    )
    one_hot = torch.zeros_like(dispatch)
    one_hot[:, 0] = 1.0
    answer = call(effective_tokens, one_hot)
    if torch.isnan(answer).any():
        raise AssertionError(
            "A weight of exactly 0 gives 0 x log(0) = nan. Its share of the entropy is 0: use "
            "torch.special.entr, or torch.xlogy, or clamp the weight inside the logarithm."
        )
    compare(answer, torch.ones_like(answer), {})
    print("Right: 1 for a slot that copies one token, n for one that averages all n of them.")


def _random_routing() -> Routing:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = SoftMoE(DIM, num_experts=EXPERTS, slots_per_expert=SLOTS)
        return layer.route(torch.randn(BATCH, TOKENS, DIM))


def _over_all_slots(logits: Tensor) -> Tensor:
    return logits.flatten(2).softmax(-1).view_as(logits)
