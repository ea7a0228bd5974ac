"""The exercise of chapter 8 in which students write La-SoftMoE as a module, from Algorithm 2.

The judge rebuilds the student's attention and experts from the parameters alone, so any way of
writing the layer is right that gives the output of Algorithm 2 and a gradient to every part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Exercise, Mistake
from lasoftmoe.exercises.values import same
from lasoftmoe.moe import Experts, LaSoftMoE, LinearAttention, naive

Slip = Callable[..., Tensor]
LAYER_PARTS = ("phi", "attention.", "experts.")


def _tokens(g: Draw) -> Case:
    batch, tokens, dim = 2, *g.sizes(2, 5, 9)
    experts, slots = g.sizes(2, 2, 4)
    return g.normal(batch, tokens, dim), experts, slots, g.size(0, 10_000)


def _layer_rules(value: Any, x: Tensor, experts: int, slots: int, _: int) -> str | None:
    classes = value[0]
    if len(value) == 1:
        return f"Write a class that inherits from torch.nn.Module; got {classes[0]}."
    if "LaSoftMoE" in classes[1:] or classes[0] == "LaSoftMoE":
        return "That is the package's own layer. Write yours from Algorithm 2, as a plain Module."
    if len(value) == 2:
        return (
            "`forward` must return a tensor of the shape of its input, (batch, tokens, dim), that "
            "depends on the parameters."
        )
    output, alone, names, tensors, silent = value[1:]
    parameters = dict(zip(names, tensors, strict=True))
    if missing := _missing_parts(parameters, x.shape[-1], experts, slots):
        return missing
    attention, run_experts = _submodules(parameters, experts, slots)
    phi, x = parameters["phi"], x.double()
    right = naive.la_soft_moe(x, phi, attention, run_experts)
    if same(output, right.detach(), 1e-3):
        return _silent_parts(silent)
    for slip, sentence in SLIPS.items():
        if same(output, slip(x, phi, attention, run_experts).detach(), 1e-3):
            return sentence
    if not same(alone, output[:1], 1e-3):
        return "An image's answer depends on the other images of the batch. Keep them apart."
    return (
        "The output is not that of Algorithm 2. Print the shape after each line, and compare lines "
        "4 to 12 one by one with `lasoftmoe.moe.naive.la_soft_moe`."
    )


def _missing_parts(parameters: dict[str, Tensor], dim: int, experts: int, slots: int) -> str | None:
    phi = parameters.get("phi")
    if phi is None:
        return "`self.phi` is missing among the parameters: wrap it in torch.nn.Parameter."
    if phi.shape != (experts, slots, dim):
        return "`self.phi` must have the shape (num_experts, slots_per_expert, dim)."
    others = [name for name in parameters if not name.startswith(LAYER_PARTS)]
    if others:
        return "There are parameters beside phi, attention, and experts. Algorithm 2 has no more."
    width, weight = experts * slots, parameters.get("attention.qkv.weight")
    if weight is None or weight.shape != (3 * width, width):
        return (
            "`self.attention` must be LinearAttention(num_experts * slots_per_expert): it works on "
            "the logits of a token for ALL slots."
        )
    first = parameters.get("experts.weight_in")
    if first is None or first.shape[:2] != (experts, dim):
        return "`self.experts` must be Experts(num_experts, dim, 4 * dim)."
    return None


def _submodules(
    parameters: dict[str, Tensor], experts: int, slots: int
) -> tuple[LinearAttention, Experts]:
    """The student's attention and experts, rebuilt from their parameters alone."""
    dim, hidden = parameters["experts.weight_in"].shape[1:]
    built = LinearAttention(experts * slots).double(), Experts(experts, dim, hidden).double()
    for module, prefix in zip(built, LAYER_PARTS[1:], strict=True):
        named = {
            name.removeprefix(prefix): tensor
            for name, tensor in parameters.items()
            if name.startswith(prefix)
        }
        module.load_state_dict(named)
    return built


def _silent_parts(silent: tuple[str, ...]) -> str | None:
    if not silent:
        return None
    return (
        "The values are right, but a part gets no gradient, so it would never learn. Do not "
        "detach, and do not copy values by `.data` or `.item()`."
    )


def _layer(
    dispatch: Slip = lambda logits: logits.softmax(1),
    combine: Slip = lambda c, attention: F.instance_norm(attention(c)),
    rows: Slip = lambda out: out.flatten(1, 2),
) -> Slip:
    """Algorithm 2 with one of its lines written in another way."""

    def forward(x: Tensor, phi: Tensor, attention: Slip, experts: Slip) -> Tensor:
        logits = torch.einsum("bnd,esd->bnes", x, phi)
        slots = torch.einsum("bnd,bnes->besd", x, dispatch(logits))
        weights = combine(logits.flatten(2), attention)
        return weights @ rows(experts(slots))

    return forward


def _over_slots(logits: Tensor) -> Tensor:
    return logits.flatten(2).softmax(-1).view_as(logits)


SLIPS: dict[Slip, str] = {
    _layer(dispatch=_over_slots): (
        "Your dispatch softmax runs over the slots. Line 5: for each slot, the weights of the "
        "TOKENS sum to 1, which is axis 1 here."
    ),
    _layer(dispatch=lambda logits: logits.softmax(-1)): (
        "Your dispatch softmax runs over the slots of one expert. Line 5: over the tokens, axis 1."
    ),
    _layer(combine=lambda c, attention: attention(c)): (
        "Line 8 is missing: Instance Norm of each token's row."
    ),
    _layer(combine=lambda c, attention: c.softmax(-1)): (
        "That is Soft MoE: its combine weights are a softmax. Lines 7 and 8 replace it by linear "
        "attention and Instance Norm."
    ),
    _layer(combine=lambda c, attention: attention(c).softmax(-1)): (
        "You took a softmax after the attention. Line 8 is Instance Norm."
    ),
    _layer(combine=lambda c, attention: attention(F.instance_norm(c))): (
        "Lines 7 and 8 are exchanged: attention comes first, Instance Norm after it."
    ),
    _layer(combine=lambda c, attention: F.instance_norm(attention(c.softmax(-1)))): (
        "You gave a softmax to the attention. Line 6 takes the logits as they are."
    ),
    _layer(combine=lambda c, attention: F.instance_norm(attention(c).mT).mT): (
        "Your Instance Norm runs over the tokens. Line 8: each token's row is one instance."
    ),
    _layer(rows=lambda out: out.transpose(1, 2).flatten(1, 2)): (
        "You merged the experts' outputs as (s e). Line 6 made the columns of C in the order "
        "(e s), so line 11 must, too."
    ),
}


def _module(
    forward: Slip, detach: bool = False, plain_phi: bool = False
) -> Callable[..., nn.Module]:
    """A module as a student writes it, around a forward function."""

    class Algorithm2(nn.Module):
        def __init__(self, dim: int, num_experts: int, slots_per_expert: int) -> None:
            super().__init__()
            phi = torch.randn(num_experts, slots_per_expert, dim)
            self.phi = phi if plain_phi else nn.Parameter(phi)
            self.attention = LinearAttention(num_experts * slots_per_expert)
            self.experts = Experts(num_experts, dim, 4 * dim)

        def forward(self, x: Tensor) -> Tensor:
            phi = self.phi.detach() if detach else self.phi
            return forward(x, phi, self.attention, self.experts)

    return Algorithm2


ALGORITHM_2 = Exercise(
    "Algorithm2",
    _tokens,
    _module(naive.la_soft_moe),
    points=4,
    difficulty=3,
    trial="module_built",
    rules=_layer_rules,
    compared=False,
    misconceptions=[
        *(Mistake(_module(slip), sentence) for slip, sentence in SLIPS.items()),
        Mistake(
            _module(naive.la_soft_moe, detach=True), "The values are right, but a part gets no"
        ),
        Mistake(_module(naive.la_soft_moe, plain_phi=True), "`self.phi` is missing"),
        Mistake(
            _module(lambda x, phi, attention, experts: _layer()(x, phi, attention, experts)[0]),
            "`forward` must return a tensor of the shape of its input",
        ),
        Mistake(
            _module(lambda x, *parts: naive.la_soft_moe(x - x.mean(0), *parts)),
            "An image's answer depends on the other images of the batch.",
        ),
        Mistake(LaSoftMoE, "That is the package's own layer."),
        Mistake(lambda dim, experts, slots: "a layer", "Write a class that inherits"),
    ],
    hints=[
        "Three parts in `__init__`: `phi` as a torch.nn.Parameter, LinearAttention over all "
        "num_experts * slots_per_expert logits of a token, and Experts.",
        "Lines 4 and 9 are sums over d and over the tokens: "
        '`torch.einsum("bnd,esd->bnes", ...)` and `"bnd,bnes->besd"`.',
        "Lines 6 to 8: merge (e s), attend, normalize each row. Lines 11 and 12: exercise 3.",
    ],
    praise="your module meets the tests that the package's own layer meets.",
)
