"""Checks of chapter 8: linear attention, instance norm, combine and the zero-initialized branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare
from lasoftmoe.moe import LaSoftMoE, MoEAdapter

PARTS = {"down", "moe", "up"}


def check_linear_attention(linear_attention: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Eq. 6 with its normalizer: three tensors (batch, tokens, width) -> one of the same shape."""
    q, k, v = _randn(3, 2, 9, 5).unbind()
    phi_q, phi_k = F.elu(q) + 1, F.elu(k) + 1
    weights = phi_q @ phi_k.mT  # (batch, queries, keys)
    numerator = weights @ v
    compare(
        call(linear_attention, q, k, v),
        numerator / weights.sum(-1, keepdim=True),
        {
            "The normalizer is missing, as it is in Eq. 6: your rows are sums over the tokens, "
            "so they grow with the number of tokens. Divide each row by φ(q)·Σφ(k), and they "
            "are averages again.": numerator,
            "You divided by the number of tokens. The normalizer is the sum of this query's own "
            "weights, φ(q)·Σφ(k), which differs from query to query.": numerator / q.shape[1],
            "You summed the weights over the queries. Each query's weights over the KEYS must "
            "sum to 1: sum φ(k) over the tokens first, then multiply by φ(q).": numerator
            / weights.sum(-2, keepdim=True).mT,
            "That is softmax attention, Eq. 5. Linear attention replaces exp(q·k) by φ(q)·φ(k) "
            "with φ(x) = elu(x) + 1.": (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v,
            "The feature map is missing: you used q and k themselves. Their products can be "
            "negative, and the normalizer can be zero. φ(x) = elu(x) + 1 keeps both positive.": (
                (q @ k.mT @ v) / (q @ k.mT).sum(-1, keepdim=True)
            ),
            "elu alone goes down to -1. The feature map is φ(x) = elu(x) + 1, which is always "
            "positive.": (F.elu(q) @ F.elu(k).mT @ v)
            / (F.elu(q) @ F.elu(k).mT).sum(-1, keepdim=True),
        },
    )
    print("Right: every row is a weighted average of the values.")


def check_instance_norm(instance_norm: Callable[[Tensor], Tensor]) -> None:
    """Line 8 of Algorithm 2: (batch, tokens, e·s) -> each token's row has mean 0, variance 1."""
    c = 3 * _randn(4, 9, 8) + _randn(4, 9, 1)
    compare(
        call(instance_norm, c),
        F.instance_norm(c),
        {
            "You normalized over the tokens, so every SLOT has mean 0. Instance norm treats each "
            "row of C, the weights of one token over all slots, as one instance: use the "
            "last axis.": F.instance_norm(c.mT).mT,
            "You normalized over tokens and slots together. That is one mean for the whole "
            "picture; instance norm uses one for every row, so only the last axis.": _standardize(
                c, (1, 2)
            ),
            "You normalized over the batch, which makes the answer for one picture depend on "
            "the others. Each row stands for itself: use the last axis.": _standardize(c, (0,)),
            "You divided by the variance. Divide by its square root.": (
                (c - c.mean(-1, keepdim=True)) / c.var(-1, keepdim=True, correction=0)
            ),
            "The mean is still in it: subtract it before dividing.": (
                c / c.std(-1, keepdim=True, correction=0)
            ),
            "Nearly: your variance divides by m - 1. The layer divides by m; use "
            "correction=0 (the old name is unbiased=False).": (
                (c - c.mean(-1, keepdim=True)) / c.std(-1, keepdim=True)
            ),
            "That is a softmax. It would keep the weights positive, but it is not what line 8 "
            "says.": c.softmax(-1),
        },
    )
    print("Right: each row sums to 0, so about half of its weights are negative.")


def check_combine_slots(combine_slots: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Lines 11-12: outputs (batch, e, s, d) and C (batch, tokens, e·s) -> (batch, tokens, d)."""
    experts, slots, dim = 3, 4, 5
    out = _randn(2, experts, slots, dim)
    c = _randn(2, experts * slots, experts * slots, seed=1)  # as many tokens as slots, on purpose
    rows = out.flatten(1, 2)
    compare(
        call(combine_slots, out, c),
        c @ rows,
        {
            "You merged the axes as (s e). Line 6 made the columns of C in the order (e s), "
            "expert by expert, so the rows of `out` must come in that order too; otherwise each "
            "weight meets the output of another expert, and no shape complains.": c
            @ out.transpose(1, 2).flatten(1, 2),
            "You summed over the tokens instead of over the slots: that is Cᵀ. It only ran "
            "because there happen to be as many tokens as slots. In the einsum, the letter that "
            "disappears must be the slots'.": c.mT @ rows,
            "You averaged the slots' outputs. C has already weighted them: sum.": (
                c @ rows / (experts * slots)
            ),
        },
    )
    print("Right: column j of C meets the output of slot j.")


def check_first_to_learn(first_to_learn: Callable[[], Iterable[str]]) -> None:
    """Which of the adapter's parts get a gradient that is not zero at the very first step."""
    answer = set(call(first_to_learn))
    if unknown := answer - PARTS:
        raise AssertionError(f"Unknown part {sorted(unknown)}; the parts are {sorted(PARTS)}.")
    learning = _parts_with_gradient(_fresh_adapter())
    if answer == learning:
        print("Right: at step 0 only `up` learns; from step 1 on, everything does.")
        return
    if not answer:
        raise AssertionError(
            "The output is zero, but the gradient of `up` is (gradient from above) x (its "
            "input), and neither of those is zero. A layer of zeros is not a dead layer."
        )
    if answer == PARTS:
        raise AssertionError(
            "To reach `moe` and `down`, the gradient has to pass backward through `up`, that is, "
            "to be multiplied by its weights. Those are zero at step 0."
        )
    raise AssertionError(
        f"At step 0 the parts with a gradient are {sorted(learning)}, not {sorted(answer)}. The "
        "gradient of a Linear layer's weight is (gradient from above) x (input of the layer); "
        "what it passes on downward is (gradient from above) x (its weight)."
    )


def check_start_silent(start_silent: Callable[[MoEAdapter], MoEAdapter]) -> None:
    """Make an adapter with random weights add exactly nothing, and still able to learn."""
    adapter = _random_adapter()
    before = [p.detach().clone() for p in adapter.moe.parameters()]
    adapter = call(start_silent, adapter)
    if not isinstance(adapter, MoEAdapter):
        raise AssertionError(f"Return the adapter, not a {type(adapter).__name__}.")
    frozen = [name for name, p in adapter.named_parameters() if not p.requires_grad]
    if frozen:
        raise AssertionError(
            f"{frozen[0]} no longer asks for a gradient. Set the values to zero under "
            "torch.no_grad(), but leave requires_grad as it is: the branch must learn later."
        )
    up = adapter.up
    with torch.no_grad():
        loudest = adapter(_randn(2, 9, 6)).abs().max().item()
    if loudest > 0 and not up.weight.any():
        raise AssertionError(
            f"`up.weight` is zero but `up.bias` is not, so every token still gets {loudest:.2g}."
        )
    if loudest > 0 and not adapter.down.weight.any():
        raise AssertionError(
            "You silenced the way in. The experts have biases: given zeros they still answer, "
            "and `up` passes the answer on. Silence the way out."
        )
    if loudest > 0:
        raise AssertionError(f"The branch still adds up to {loudest:.2g}; wanted exactly 0.")
    if not _backward(adapter).up.weight.grad.any():
        raise AssertionError(
            "The branch is silent and dead: nothing reaches `up` any more, so the gradient of "
            "`up.weight`, (gradient from above) x (its input), is zero for ever. Zero the last "
            "layer only."
        )
    if any(not torch.equal(a, b) for a, b in zip(before, adapter.moe.parameters(), strict=True)):
        raise AssertionError(
            "You changed the experts too. That works, but throws their initialization away: "
            "zeroing `up` alone is enough."
        )
    print("Right: silent at step 0, and `up.weight` has a gradient to leave it.")


def _fresh_adapter() -> MoEAdapter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MoEAdapter(6, 4, LaSoftMoE(4, num_experts=2, slots_per_expert=3))


def _random_adapter() -> MoEAdapter:
    """An adapter in which no weight and no bias is zero."""
    adapter = _fresh_adapter()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in adapter.parameters():
            parameter.normal_(std=0.5)
    return adapter


def _backward(adapter: MoEAdapter) -> MoEAdapter:
    """Fill the gradients of a squared distance to a random target."""
    adapter.zero_grad(set_to_none=False)
    (adapter(_randn(2, 9, 6)) - _randn(2, 9, 6, seed=1)).square().mean().backward()
    return adapter


def _parts_with_gradient(adapter: MoEAdapter) -> set[str]:
    named = _backward(adapter).named_parameters()
    return {name.split(".")[0] for name, p in named if p.grad is not None and p.grad.any()}


def _standardize(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centered = x - x.mean(dims, keepdim=True)
    return centered / x.std(dims, correction=0, keepdim=True)


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
