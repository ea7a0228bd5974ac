"""Exercises of chapter 7: order of products, normalizer, feature maps, cost of linear attention."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake
from lasoftmoe.exercises.values import kind, same


def _positive(g: Draw, *shape: int) -> Tensor:
    return F.elu(g.normal(*shape)) + 1


def _queries_keys_values(g: Draw) -> Case:
    """Many tokens and few features, so that a table of pairs shows in the count."""
    shape = g.size(2, 3), g.size(30, 50), g.size(5, 8)
    return _positive(g, *shape), _positive(g, *shape), g.normal(*shape)


def _numerator(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ (k.mT @ v)


def _order_rules(value: Any, q: Tensor, k: Tensor, v: Tensor) -> str | None:
    answer, table = value
    if table and same(answer, _numerator(q, k, v).double(), 1e-4):
        return (
            "The values are right, but somewhere a tokens x tokens table is built. A single einsum "
            "of three tensors is evaluated from left to right, Q with K first. Multiply keys and "
            "values first."
        )
    return None


ORDER = Exercise(
    "numerator",
    _queries_keys_values,
    _numerator,
    trial="counted",
    rules=_order_rules,
    misconceptions=[
        Mistake(
            lambda q, k, v: q @ k.mT @ v,
            "The values are right, but somewhere a tokens x tokens table is built.",
        ),
        Mistake(
            lambda q, k, v: (q @ k.mT / (q @ k.mT).sum(-1, keepdim=True)) @ v,
            "You divided by the sum of the weights. That is the better attention, but here only "
            "the numerator is asked for.",
        ),
        Mistake(
            lambda q, k, v: (q * k).sum(-1, keepdim=True) * v,
            "Your einsum sums over the features of the keys and keeps the tokens apart: each query "
            "read only the key of its own token. The tokens' letter must disappear in the first "
            "product, that of keys and values.",
        ),
        Mistake(lambda q, k, v: k @ (q.mT @ v), "The roles of queries and keys are exchanged."),
        Mistake(
            lambda q, k, v: q @ (k.mT @ v).sum(0),
            "You summed over the batch as well, so images read each other's summaries.",
        ),
        Mistake(
            lambda q, k, v: q @ (k.mT @ v).mT,
            "The summary is transposed: the features of φ(Q) must meet the features of φ(K), not "
            "the columns of V. It only ran because both widths are equal.",
        ),
        Mistake(
            lambda q, k, v: q @ (k.mT @ v) / k.shape[1],
            "You divided by the number of tokens. Only the sum is asked for.",
        ),
    ],
    hints=[
        "First pour all keys and values into one summary per image, (features, width).",
        '`torch.einsum("bnf,bnd->bfd", features_k, v)`: the tokens\' letter n disappears.',
        "Then let every query read that summary.",
    ],
    praise="the tokens are poured into one summary before any query reads it.",
)


def _queries_keys(g: Draw) -> Case:
    batch, tokens, width = g.sizes(3, 2, 8)
    return _positive(g, batch, tokens, width), _positive(g, batch, tokens, width)


def _pairs(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT


def _weights(q: Tensor, k: Tensor) -> Tensor:
    return _pairs(q, k) / _pairs(q, k).sum(-1, keepdim=True)


WEIGHTS = Exercise(
    "linear_weights",
    _queries_keys,
    _weights,
    misconceptions=[
        Mistake(
            _pairs,
            "The normalizer is missing, as in Eq. 6: these rows sum to whatever they like, and to "
            "more with more tokens. Divide each query's row by its own sum.",
        ),
        Mistake(
            lambda q, k: _pairs(q, k) / _pairs(q, k).sum(-2, keepdim=True),
            "You normalized over the queries: your columns sum to 1. A query reads an average, so "
            "ITS weights, over the keys, must sum to 1.",
        ),
        Mistake(
            lambda q, k: _pairs(q, k) / k.shape[1],
            "You divided by the number of tokens. The sum of the weights differs from query to "
            "query; divide by that.",
        ),
        Mistake(
            lambda q, k: _pairs(q, k).softmax(-1),
            "That is a softmax of the inner products. The features have taken the place of the "
            "exponential: divide by the sum, without another exp.",
        ),
        Mistake(
            lambda q, k: _pairs(q, k) / _pairs(q, k).sum((-2, -1), keepdim=True),
            "You divided by the sum of the whole table: one number for all queries.",
        ),
        Mistake(
            lambda q, k: _weights(q, k).mT,
            "The table is transposed: rows are queries, columns are keys.",
        ),
        Mistake(
            lambda q, k: F.normalize(q, p=1, dim=-1) @ F.normalize(k, p=1, dim=-1).mT,
            "You normalized the features instead of the weights.",
        ),
    ],
    hints=[
        "The table of pairs is `features_q @ features_k.mT`, (batch, queries, keys).",
        "Divide each row by its own sum. `keepdim=True` keeps the axis that the division needs.",
    ],
    praise="whatever the number of tokens, each query reads an average.",
)


def _tokens(g: Draw) -> Case:
    """Tokens of several images; some numbers are exactly 0, where squares have no slope."""
    x = 3 * g.normal(2, g.size(5, 8), g.size(4, 6))
    x[:, ::3, 0] = 0.0
    return (x,)


def _feature_rules(value: Any, x: Tensor) -> Any:
    features = value[0]
    if len(value) == 1:
        if not isinstance(features, Tensor):
            return f"Expected a tensor, got {kind(features)}."
        return (
            "Expected features of shape (batch, tokens, any width): every token keeps its place.",
            f"Got {tuple(features.shape)} for {tuple(x.shape)}.",
        )
    alone, slope = value[1:]
    return _bad_sign(features) or _bad_map(features, alone, slope, x)


def _bad_sign(features: Tensor) -> Any:
    if not torch.isfinite(features).all():
        return "Some features are infinite or not a number."
    if features.min() < 0:
        return (
            "Some features are negative. Then weights can be negative, and the normalizer can be "
            "zero: the average explodes.",
            f"The smallest is {features.min():.2f}.",
        )
    if features.min() == 0:
        return (
            "Some features are exactly 0. A query with nothing but zeros (with ReLU: all numbers "
            "negative) has no weights at all, 0/0, and no gradient to recover by."
        )
    return None


def _bad_map(features: Tensor, alone: Tensor, slope: Tensor, x: Tensor) -> Any:
    if not same(alone, features, 1e-5):
        return (
            "A token's features change when other tokens or other images are left out, so the map "
            "mixes tokens. The trick needs φ(q) and φ(k) before tokens meet: work on each token by "
            "itself (a softmax over the last axis is fine, one over the tokens is not, and neither "
            "is a mean or a maximum of the whole batch)."
        )
    if same(features, (F.elu(x) + 1).double(), 1e-6):
        return "That is elu + 1 itself. Find another one."
    if features.std(dim=1).max() < 1e-4:
        return "All tokens get the same features, so every query reads the same average."
    flat = float((slope == 0).double().mean())
    if flat > 0:
        return (
            "Some numbers get no gradient: your map is flat there, and what falls into the flat "
            "part cannot come back by training.",
            f"{flat:.0%} of the numbers are concerned.",
        )
    return None


FEATURE = Exercise(
    "feature_map",
    _tokens,
    F.softplus,
    difficulty=2,
    trial="features_of",
    rules=_feature_rules,
    compared=False,
    misconceptions=[
        Mistake(F.elu, "Some features are negative."),
        Mistake(F.relu, "Some features are exactly 0."),
        Mistake(torch.abs, "Some features are exactly 0."),
        Mistake(torch.square, "Some features are exactly 0."),
        Mistake(lambda x: F.relu(x) + 0.1, "Some numbers get no gradient"),
        Mistake(lambda x: x.square() + 0.1, "Some numbers get no gradient"),
        Mistake(lambda x: x.softmax(1), "A token's features change when other tokens"),
        Mistake(lambda x: F.softplus(x - x.mean(0)), "A token's features change when other tokens"),
        Mistake(lambda x: (x - x.max()).exp(), "A token's features change when other tokens"),
        Mistake(lambda x: F.elu(x) + 1, "That is elu + 1 itself. Find another one."),
        Mistake(torch.ones_like, "All tokens get the same features"),
    ],
    hints=[
        "Which functions of one number are positive everywhere and never flat?",
        "exp, softplus, and sigmoid are; so is a softmax over the last axis.",
    ],
    praise="positive, token by token, with a slope everywhere.",
)


def _attention_sizes(g: Draw) -> Case:
    heads = g.size(2, 6)
    return g.size(20, 200), heads * g.size(5, 40), heads, bool(g.size(0, 1))


def _attention_cost(n: int, w: int, heads: int, linear: bool) -> int:
    return 2 * n * w * (w // heads if linear else n)


COST = Exercise(
    "attention_cost",
    _attention_sizes,
    _attention_cost,
    tolerance=1e-9,
    draws=6,
    edge_cases=[
        (n, w, h, order) for n, w, h in [(197, 196, 1), (65, 64, 2)] for order in (True, False)
    ],
    misconceptions=[
        Mistake(
            lambda n, w, h, linear: _attention_cost(n, w, h, not linear),
            "You counted the other order. The table between the two products is width x width in "
            "φ(Q)(φ(K)ᵀV), the linear one, and tokens x tokens in (QKᵀ)V.",
        ),
        Mistake(
            lambda n, w, h, linear: _attention_cost(n, w, h, linear) // 2,
            "You counted one of the two products.",
        ),
        Mistake(
            lambda n, w, h, linear: 2 * _attention_cost(n, w, h, linear),
            "That is twice as much: count a multiplication and its addition as one.",
        ),
        Mistake(
            lambda n, w, h, linear: _attention_cost(n, w, h, linear) // h,
            "You counted one head; there are several.",
        ),
        Mistake(
            lambda n, w, h, linear: h * _attention_cost(n, w, 1, linear),
            "You gave every head the full width. The heads share the width: each has width / "
            "heads.",
        ),
        Mistake(
            lambda n, w, h, linear: _attention_cost(n, w, 1, linear),
            "You left out the heads. Each head has a summary of its own, (width / heads) on both "
            "sides, so that linear attention gets cheaper with more heads.",
        ),
    ],
    hints=[
        "A product of (a x b) by (b x c) takes a · b · c multiply-adds.",
        "A head has width / heads. Count its two products, then multiply by the heads.",
    ],
    praise="heads make linear attention cheaper, and softmax attention not at all.",
)


def _layer(g: Draw) -> Case:
    heads = g.size(2, 6)
    return g.size(30, 600), g.size(2, 9), heads * g.size(3, 12), heads


SAVING = Exercise(
    "saving",
    _layer,
    lambda n, e, s, h: n * h / (e * s),
    difficulty=2,
    tolerance=1e-6,
    edge_cases=[(197, 4, 49, 1), (577, 4, 49, 7)],
    misconceptions=[
        Mistake(
            lambda n, e, s, h: e * s / (n * h),
            "Upside down: you divided linear's cost by softmax's.",
        ),
        Mistake(
            lambda n, e, s, h: n / (e * s),
            "You left out the heads. A head has width / heads, and its break-even is there.",
        ),
        Mistake(
            lambda n, e, s, h: n / (e * s * h),
            "Heads make the heads narrower and linear attention cheaper; you divided by them where "
            "you should multiply.",
        ),
        Mistake(
            lambda n, e, s, h: n * h / s,
            "The width is that of the logits: slots of ALL experts. You took the slots of one.",
        ),
        Mistake(
            lambda n, e, s, h: n * h / e,
            "The attention runs over the logits, one number per slot; the number of experts alone "
            "does not say how many these are.",
        ),
        Mistake(
            lambda n, e, s, h: (n * h / (e * s)) ** 2,
            "The cost goes with the square of tokens against tokens times width: one factor of "
            "each cancels.",
        ),
        Mistake(
            lambda n, e, s, h: n // (e * s / h),
            "You rounded the result down. The ratio is rarely whole: divide with /.",
        ),
    ],
    hints=[
        "The width of the attention is the number of all slots; a head has its share of that.",
        "Write both costs of the exercise before this one and divide. What cancels?",
    ],
    praise="at the paper's size the factor is 197/196.",
)

CHAPTER = Chapter(
    "07",
    "Linear attention",
    "import math\n\nimport torch\nimport torch.nn.functional as F",
    [ORDER, WEIGHTS, FEATURE, COST, SAVING],
)

check_order = ORDER.check
check_weights = WEIGHTS.check
check_feature_map = FEATURE.check
check_cost = COST.check
check_saving = SAVING.check
