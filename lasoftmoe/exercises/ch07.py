"""Checks of chapter 7: order of products, normalizer, feature maps, cost of linear attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe.exercises.checking import call, compare, compare_number, same


def check_order(numerator: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """phi(Q) (phi(K)^T V) for tensors (batch, tokens, width), without a table of pairs."""
    batch, tokens, width = 2, 40, 8
    q, k = _features(batch, tokens, width), _features(batch, tokens, width, seed=1)
    v = _randn(batch, tokens, width, seed=2)
    with FlopCounterMode(display=False) as counter:
        answer = call(numerator, q, k, v)
    result = q @ (k.mT @ v)
    compare(
        answer,
        result,
        {
            "You divided by the sum of the weights. That is the better attention, but here only "
            "the numerator is asked for.": result / (q @ k.sum(1)[..., None]),
            "Your einsum sums over the features of the keys and keeps the tokens apart: each "
            "query read only the key of its own token. The tokens' letter must disappear in the "
            "first product, that of keys and values.": (q * k).sum(-1, keepdim=True) * v,
            "The roles of queries and keys are exchanged.": k @ (q.mT @ v),
            "You summed over the batch as well, so pictures read each other's summaries.": (
                q @ (k.mT @ v).sum(0)
            ),
            "The summary is transposed: the features of φ(Q) must meet the features of φ(K), "
            "not the columns of V. It only ran because both widths are equal.": (q @ (k.mT @ v).mT),
        },
    )
    used = counter.get_total_flops() // 2
    wanted = 2 * batch * tokens * width**2
    if used > 1.5 * wanted:
        raise AssertionError(
            f"The values are right, but you used {used:,} multiply-adds where {wanted:,} are "
            "enough: somewhere a tokens x tokens table is built. A single einsum of three tensors "
            "is evaluated from left to right, Q with K first. Multiply keys and values first."
        )
    print("Right: the tokens are poured into one summary before any query reads it.")


def check_weights(linear_weights: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Features (batch, tokens, features) -> normalized weights (batch, queries, keys)."""
    q, k = _features(2, 7, 5), _features(2, 7, 5, seed=1)
    pairs = q @ k.mT
    compare(
        call(linear_weights, q, k),
        pairs / pairs.sum(-1, keepdim=True),
        {
            "The normalizer is missing, as in Eq. 6: these rows sum to whatever they like, and to "
            "more with more tokens. Divide each query's row by its own sum.": pairs,
            "You normalized over the queries: your columns sum to 1. A query reads an average, so "
            "ITS weights, over the keys, must sum to 1.": pairs / pairs.sum(-2, keepdim=True),
            "You divided by the number of tokens. The sum of the weights differs from query to "
            "query; divide by that.": pairs / pairs.shape[-1],
            "That is a softmax of the inner products. The features have taken the place of the "
            "exponential: divide by the sum, without another exp.": pairs.softmax(-1),
            "You divided by the sum of the whole table: one number for all queries.": pairs
            / pairs.sum((-2, -1), keepdim=True),
            "The table is transposed: rows are queries, columns are keys.": (
                pairs / pairs.sum(-1, keepdim=True)
            ).mT,
            "You normalized the features instead of the weights.": (
                q / q.sum(-1, keepdim=True) @ (k / k.sum(-1, keepdim=True)).mT
            ),
        },
    )
    print("Right: whatever the number of tokens, each query reads an average.")


def check_feature_map(feature_map: Callable[[Tensor], Tensor]) -> None:
    """A map of (batch, tokens, width) to positive features, token by token, with a gradient."""
    x = 3 * _randn(2, 9, 6)
    features = call(feature_map, x)
    _require_features(x, features)
    fewer = call(feature_map, x[:, :4])
    if not same(fewer, features[:, :4], 1e-5):
        raise AssertionError(
            "A token's features change when other tokens are left out, so the map mixes tokens. "
            "The trick needs φ(q) and φ(k) before tokens meet: work on each token by itself "
            "(a softmax over the last axis is fine, one over the tokens is not)."
        )
    if same(features, F.elu(x) + 1, 1e-6):
        raise AssertionError("That is elu + 1 itself. Find another one.")
    if features.std(dim=1).max() < 1e-4:
        raise AssertionError(
            "All tokens get the same features, so every query reads the same average."
        )
    asked = x.clone().requires_grad_()
    # Squares, since the sum of some features (a softmax's, say) is constant by construction.
    call(feature_map, asked).square().sum().backward()
    flat = (asked.grad == 0).float().mean().item()
    if flat > 0:
        raise AssertionError(
            f"{flat:.0%} of the numbers get no gradient: your map is flat there, and what falls "
            "into the flat part cannot come back by training."
        )
    print("Right: positive, token by token, with a slope everywhere.")


def check_cost(attention_cost: Callable[[int, int, int, bool], int]) -> None:
    """``attention_cost(tokens, width, heads, linear)`` in multiply-adds, all heads."""
    for tokens, width, heads in [(197, 196, 1), (50, 24, 4), (65, 64, 2)]:
        for linear in (True, False):
            size = width // heads
            one = 2 * tokens * size**2 if linear else 2 * tokens**2 * size
            other = 2 * tokens**2 * size if linear else 2 * tokens * size**2
            order = "φ(Q)(φ(K)ᵀV)" if linear else "(QKᵀ)V"
            misconceptions = {
                f"For {order} you counted the other order. The table between the two products is "
                "width x width in the linear one, tokens x tokens in the other.": heads * other,
                "You counted one of the two products.": heads * one // 2,
                "That is twice as much: count a multiplication and its addition as one.": heads
                * one
                * 2,
                "You counted one head; there are several.": one,
                "You gave every head the full width. The heads share the width: each has width / "
                "heads.": heads * (2 * tokens * width**2 if linear else 2 * tokens**2 * width),
            }
            if linear and heads > 1:
                misconceptions[
                    "You left out the heads. Each head has a summary of its own, (width / heads) "
                    "on both sides, so that linear attention gets cheaper with more heads."
                ] = 2 * tokens * width**2
            answer = call(attention_cost, tokens, width, heads, linear)
            compare_number(answer, heads * one, misconceptions)
    print("Right: heads make linear attention cheaper, and softmax attention not at all.")


def check_saving(saving: Callable[[int, int, int, int], float]) -> None:
    """``saving(tokens, num_experts, slots_per_expert, heads)``: softmax's cost over linear's."""
    for tokens, experts, slots, heads in [(197, 4, 49, 1), (577, 4, 49, 7), (65, 8, 16, 2)]:
        width = experts * slots
        compare_number(
            call(saving, tokens, experts, slots, heads),
            tokens * heads / width,
            {
                "Upside down: you divided linear's cost by softmax's.": width / (tokens * heads),
                "You left out the heads. A head has width / heads, and its break-even is there.": (
                    tokens / width
                ),
                "Heads make the heads narrower and linear attention cheaper; you divided by them "
                "where you should multiply.": tokens / (width * heads),
                "The width is that of the logits: slots of ALL experts. You took the slots of "
                "one.": tokens * heads / slots,
                "The attention runs over the logits, one number a slot; the number of experts "
                "alone does not say how many these are.": tokens * heads / experts,
                "The cost goes with the square of tokens against tokens times width: one factor "
                "of each cancels.": (tokens * heads / width) ** 2,
            },
        )
    print("Right: at the paper's size the factor is 197/196.")


def _require_features(x: Tensor, features: object) -> None:
    if not isinstance(features, Tensor):
        raise AssertionError(f"Expected a tensor, got {type(features).__name__}.")
    if features.shape[:2] != x.shape[:2] or features.dim() != 3:
        raise AssertionError(
            f"Expected features of shape {tuple(x.shape[:2])} x any width, got "
            f"{tuple(features.shape)}: every token keeps its place."
        )
    if not torch.isfinite(features).all():
        raise AssertionError("Some features are infinite or not a number.")
    if features.min() < 0:
        raise AssertionError(
            f"Some features are negative (down to {features.min():.2f}). Then weights can be "
            "negative, and the normalizer can be zero: the average explodes."
        )
    if features.min() == 0:
        raise AssertionError(
            "Some features are exactly 0. A query with nothing but zeros (with ReLU: all numbers "
            "negative) has no weights at all, 0/0, and no gradient to recover by."
        )


def _features(*shape: int, seed: int = 0) -> Tensor:
    return F.elu(_randn(*shape, seed=seed)) + 1


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
