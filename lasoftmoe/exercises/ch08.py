"""Exercises of chapter 8: linear attention, instance norm, combine, zero-initialized branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lasoftmoe.exercises.algorithm_2 import ALGORITHM_2
from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake
from lasoftmoe.moe import MoEAdapter

PARTS = {"down", "moe", "up"}


def _qkv(g: Draw) -> Case:
    shape = g.sizes(3, 2, 9)
    return tuple(g.normal(*shape) for _ in range(3))


def _phi(x: Tensor) -> Tensor:
    return F.elu(x) + 1


def _attend(phi: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Normalized linear attention with another feature map."""

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = phi(q) @ phi(k).mT
        return weights @ v / weights.sum(-1, keepdim=True)

    return attention


def _numerator(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _phi(q) @ (_phi(k).mT @ v)


LINEAR = Exercise(
    "batched_linear_attention",
    _qkv,
    _attend(_phi),
    difficulty=2,
    misconceptions=[
        Mistake(
            _numerator,
            "The normalizer is missing, as it is in Eq. 6: your rows are sums over the tokens, so "
            "they grow with the number of tokens. Divide each row by φ(q)·Σφ(k), and they are "
            "averages again.",
        ),
        Mistake(
            lambda q, k, v: _numerator(q, k, v) / q.shape[1],
            "You divided by the number of tokens. The normalizer is the sum of this query's own "
            "weights, φ(q)·Σφ(k), which differs from query to query.",
        ),
        Mistake(
            lambda q, k, v: _numerator(q, k, v) / (_phi(q) @ _phi(k).mT).sum(1)[..., None],
            "You summed the weights over the queries. Each query's weights over the KEYS must sum "
            "to 1: sum φ(k) over the tokens first, then multiply by φ(q).",
        ),
        Mistake(
            F.scaled_dot_product_attention,
            "That is softmax attention, Eq. 5. Linear attention replaces exp(q·k) by φ(q)·φ(k) "
            "with φ(x) = elu(x) + 1.",
        ),
        Mistake(
            _attend(lambda x: x),
            "The feature map is missing: you used q and k themselves. Their products can be "
            "negative, and the normalizer can be zero. φ(x) = elu(x) + 1 keeps both positive.",
        ),
        Mistake(
            _attend(F.elu),
            "elu alone goes down to -1. The feature map is φ(x) = elu(x) + 1, which is always "
            "positive.",
        ),
        *(
            Mistake(
                _attend(phi),
                "That is linear attention with another feature map. Here φ(x) = elu(x) + 1 is "
                "asked for.",
            )
            for phi in (F.relu, torch.exp, F.softplus, torch.sigmoid, F.gelu)
        ),
        Mistake(
            lambda q, k, v: (
                _phi(q) @ (_phi(k).mT @ _phi(v)) / (_phi(q) @ _phi(k).mT).sum(-1)[..., None]
            ),
            "You sent the values through the feature map, too. Only queries and keys need it.",
        ),
    ],
    hints=[
        "Map q and k: `F.elu(q) + 1`. Then chapter 7's two products, keys and values first.",
        "The normalizer of a query is the inner product of φ(q) with the SUM of all φ(k).",
        '`torch.einsum("bnf,bf->bn", q, k.sum(dim=1))` gives one number per query.',
    ],
    praise="every row is a weighted average of the values.",
)


def _weights(g: Draw) -> Case:
    shape = g.sizes(3, 3, 9)
    return (3 * g.normal(*shape) + g.normal(shape[0], shape[1], 1),)


def _standardize(c: Tensor, dims: Any = -1, eps: float = 1e-5, correction: int = 0) -> Tensor:
    variance = c.var(dims, correction=correction, keepdim=True)
    return (c - c.mean(dims, keepdim=True)) / (variance + eps).sqrt()


def _min_max(c: Tensor) -> Tensor:
    low, high = c.amin(-1, keepdim=True), c.amax(-1, keepdim=True)
    return (c - low) / (high - low)


NORM = Exercise(
    "instance_norm",
    _weights,
    _standardize,
    misconceptions=[
        Mistake(
            lambda c: _standardize(c, 1),
            "You normalized over the tokens, so every SLOT has mean 0. Instance norm treats each "
            "row of C, the weights of one token over all slots, as one instance: use the last "
            "axis.",
        ),
        Mistake(
            lambda c: _standardize(c, (1, 2)),
            "You normalized over tokens and slots together. That is one mean for the whole image; "
            "instance norm uses one for every row, so only the last axis.",
        ),
        Mistake(
            lambda c: _standardize(c, 0),
            "You normalized over the batch, which makes the answer for one image depend on the "
            "others. Each row stands for itself: use the last axis.",
        ),
        Mistake(
            lambda c: (c - c.mean(-1, keepdim=True)) / (c.var(-1, keepdim=True, correction=0)),
            "You divided by the variance. Divide by its square root.",
        ),
        Mistake(
            lambda c: c / c.std(-1, keepdim=True, correction=0),
            "The mean is still in it: subtract it before dividing.",
        ),
        Mistake(
            lambda c: c - c.mean(-1, keepdim=True),
            "The mean is 0, the variance is not 1 yet: divide by the square root of the variance.",
        ),
        Mistake(
            lambda c: _standardize(c, correction=1),
            "Nearly: your variance divides by m - 1. The layer divides by m; use correction=0 (the "
            "old name is unbiased=False).",
        ),
        Mistake(
            _min_max,
            "You squeezed each row into 0 to 1. The caption of the paper's figure speaks of (0, "
            "1), but line 8 is Instance Norm: mean 0 and variance 1.",
        ),
        Mistake(
            lambda c: c.softmax(-1),
            "That is a softmax. It would keep the weights positive, but it is not what line 8 "
            "says.",
        ),
        Mistake(
            lambda c: F.normalize(c, dim=-1),
            "You gave each row length 1. Instance Norm subtracts the mean and divides by the "
            "standard deviation.",
        ),
    ],
    hints=[
        "One mean and one variance per token: over the last axis, with `keepdim=True`.",
        "Divide by the root of (variance + 1e-5). The variance is the mean of the squares.",
    ],
    praise="each row sums to 0, so about half of its weights are negative.",
)


def _outputs(g: Draw) -> Case:
    """As many tokens as slots, on purpose: a wrong axis then runs without an error."""
    batch, experts, slots, dim = g.sizes(4, 2, 6)
    rows = experts * slots
    return g.normal(batch, experts, slots, dim), g.normal(batch, rows, rows)


def _rows(out: Tensor) -> Tensor:
    return out.flatten(1, 2)


COMBINE = Exercise(
    "combine_slots",
    _outputs,
    lambda out, c: c @ _rows(out),
    difficulty=2,
    misconceptions=[
        Mistake(
            lambda out, c: c @ out.transpose(1, 2).flatten(1, 2),
            "You merged the axes as (s e). Line 6 made the columns of C in the order (e s), expert "
            "by expert, so the rows of `out` must come in that order too; otherwise each weight "
            "meets the output of another expert, and no shape complains.",
        ),
        Mistake(
            lambda out, c: c.mT @ _rows(out),
            "You summed over the tokens instead of over the slots: that is Cᵀ. It only ran because "
            "there happen to be as many tokens as slots. In the einsum, the letter that disappears "
            "must be the slots'.",
        ),
        Mistake(
            lambda out, c: c @ _rows(out) / c.shape[-1],
            "You averaged the slots' outputs. C has already weighted them: sum.",
        ),
        Mistake(
            lambda out, c: c.softmax(-1) @ _rows(out),
            "You took a softmax of C first. Lines 11 and 12 use C as it is.",
        ),
    ],
    hints=[
        "Merge experts and slots of `out` into one axis, expert by expert: `out.flatten(1, 2)`.",
        "Each output token is the sum of these rows, weighted by its row of `c`.",
    ],
    praise="column j of C meets the output of slot j.",
)


def _learn_rules(value: Any, *_: Any) -> str | None:
    names = {value} if isinstance(value, str) else set(value) if isinstance(value, tuple) else None
    if names is None:
        return "Return a set of names, such as {'down', 'moe'}."
    if unknown := names - PARTS:
        return f"Unknown part {sorted(map(str, unknown))}; the parts are {sorted(PARTS)}."
    if names == {"up"}:
        return None
    if not names:
        return (
            "The output is zero, but the gradient of `up` is (gradient from above) x (its input), "
            "and neither of those is zero. A layer of zeros is not a dead layer."
        )
    if names == PARTS:
        return (
            "To reach `moe` and `down`, the gradient has to pass backward through `up`, that is, "
            "to be multiplied by its weights. Those are zero at step 0."
        )
    return (
        "Those are not the parts with a gradient. The gradient of a Linear layer's weight is "
        "(gradient from above) x (input of the layer); what it passes on downward is (gradient "
        "from above) x (its weight)."
    )


LEARN = Exercise(
    "first_to_learn",
    lambda g: (),
    lambda: {"up"},
    difficulty=2,
    points=1,
    draws=1,
    rules=_learn_rules,
    compared=False,
    misconceptions=[
        Mistake(lambda: PARTS, "To reach `moe` and `down`, the gradient has to pass backward"),
        Mistake(set, "The output is zero, but the gradient of `up` is"),
        Mistake(lambda: {"down"}, "Those are not the parts with a gradient."),
        Mistake(lambda: {"down", "moe"}, "Those are not the parts with a gradient."),
    ],
    hints=[
        "`up` starts with zeros. What is the gradient of a Linear layer's weight made of?",
        "What does a Linear layer pass on to the layers below it?",
    ],
    praise="at step 0 only `up` learns; from step 1 on, everything does.",
)


def _adapter(g: Draw) -> Case:
    return g.normal(2, g.size(5, 9), g.size(5, 8)), g.size(3, 5), g.size(0, 10_000)


def _silence(*parts: str) -> Callable[[MoEAdapter], MoEAdapter]:
    """Set some parameters to zero, or all of them if none is named."""

    def start_silent(adapter: MoEAdapter) -> MoEAdapter:
        for name, parameter in adapter.named_parameters():
            if not parts or name in parts:
                nn.init.zeros_(parameter)
        return adapter

    return start_silent


_silent = _silence("up.weight", "up.bias")


def _silent_rules(value: Any, *_: Any) -> Any:
    name = value[0]
    if len(value) == 1:
        return f"Return the adapter, not a {name}."
    frozen, loudest, up, down, learns, kept = value[1:]
    if frozen:
        return (
            "A parameter no longer asks for a gradient. Set the values to zero under "
            "torch.no_grad(), but leave requires_grad as it is: the branch must learn later.",
            f"It is {frozen}.",
        )
    if loudest > 0 and not up:
        return "`up.weight` is zero but `up.bias` is not, so every token still gets something."
    if loudest > 0 and not down:
        return (
            "You silenced the way in. The experts have biases: given zeros they still answer, and "
            "`up` passes the answer on. Silence the way out."
        )
    if loudest > 0:
        return "The branch still adds something; wanted exactly 0."
    if not learns:
        return (
            "The branch is silent and dead: nothing reaches `up` any more, so the gradient of "
            "`up.weight`, (gradient from above) x (its input), is zero for ever. Zero the last "
            "layer only."
        )
    if not kept:
        return (
            "You changed the experts too. That works, but throws their initialization away: "
            "zeroing `up` alone is enough."
        )
    return None


SILENT = Exercise(
    "start_silent",
    _adapter,
    _silent,
    difficulty=2,
    trial="adapter_changed",
    rules=_silent_rules,
    compared=False,
    misconceptions=[
        Mistake(_silence("up.weight"), "`up.weight` is zero but `up.bias` is not"),
        Mistake(_silence("down.weight", "down.bias"), "You silenced the way in."),
        Mistake(lambda adapter: adapter, "The branch still adds something"),
        Mistake(_silence(), "The branch is silent and dead"),
        Mistake(
            lambda adapter: _silent(adapter).requires_grad_(False),
            "A parameter no longer asks for a gradient.",
        ),
        Mistake(lambda adapter: _silent(adapter).up, "Return the adapter"),
    ],
    hints=[
        "Which layer is the last before the branch is added to the tokens?",
        "A Linear layer adds something unless its weight AND its bias are zero.",
    ],
    praise="silent at step 0, and `up.weight` has a gradient to leave it.",
)

CHAPTER = Chapter(
    "08",
    "La-SoftMoE",
    "import torch\nimport torch.nn.functional as F\n\n"
    "from lasoftmoe.moe import Experts, LaSoftMoE, LinearAttention, SoftMoE",
    [LINEAR, NORM, COMBINE, LEARN, SILENT, ALGORITHM_2],
)

check_linear_attention = LINEAR.check
check_instance_norm = NORM.check
check_combine_slots = COMBINE.check
check_first_to_learn = LEARN.check
check_start_silent = SILENT.check
check_algorithm_2 = ALGORITHM_2.check
