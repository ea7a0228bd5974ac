"""Chapter 8's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import torch
import torch.nn.functional as F
from torch import nn

from lasoftmoe.exercises import ch08
from lasoftmoe.moe import Experts, LaSoftMoE, LinearAttention
from lasoftmoe.moe.la_soft_moe import instance_norm
from lasoftmoe.moe.linear_attention import elu_plus_one, linear_attention
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("08_la_soft_moe", ch08)


def scaled_down(adapter):
    """Silent by multiplying instead of filling."""
    with torch.no_grad():
        for parameter in adapter.up.parameters():
            parameter.mul_(0)
    return adapter


def replaced(adapter):
    """Silent by a new last layer."""
    adapter.up = nn.Linear(adapter.rank, adapter.dim)
    return scaled_down(adapter)


# Correct programs that look different from the book's; the package's own come first.
class WithLoops(nn.Module):
    """Algorithm 2 image by image, slot by slot."""

    def __init__(self, dim, num_experts, slots_per_expert):
        super().__init__()
        self.experts = Experts(num_experts, dim, 4 * dim)
        self.attention = LinearAttention(num_experts * slots_per_expert)
        self.phi = nn.Parameter(torch.empty(num_experts, slots_per_expert, dim).normal_())

    def one(self, x):
        logits = (x @ self.phi.flatten(0, 1).T)[None]
        c = nn.InstanceNorm1d(len(x))(self.attention(logits))[0]
        slots = logits[0].softmax(0).T @ x
        out = self.experts(slots.view(1, *self.phi.shape))[0].flatten(0, 1)
        return torch.stack([sum(w * o for w, o in zip(row, out, strict=True)) for row in c])

    def forward(self, x):
        return torch.stack([self.one(image) for image in x])


class InheritsOurs(LaSoftMoE):
    """The package's own layer."""


class OtherWidth(WithLoops):
    """Attention over the slots of one expert."""

    def __init__(self, dim, num_experts, slots_per_expert):
        super().__init__(dim, num_experts, slots_per_expert)
        self.attention = LinearAttention(slots_per_expert)

    def forward(self, x):
        return x * self.phi.sum()


OTHER_WAYS = [
    (ch08.check_algorithm_2, WithLoops),
    (
        ch08.check_linear_attention,
        lambda q, k, v: linear_attention(elu_plus_one(q), elu_plus_one(k), v),
    ),
    (ch08.check_instance_norm, instance_norm),
    (ch08.check_instance_norm, nn.InstanceNorm1d(9)),
    (ch08.check_combine_slots, lambda out, c: c @ out.reshape(len(out), -1, out.shape[-1])),
    (ch08.check_first_to_learn, lambda: ["up"]),
    (ch08.check_first_to_learn, lambda: "up"),
    (ch08.check_start_silent, scaled_down),
    (ch08.check_start_silent, replaced),
]


def phi(x):
    return F.elu(x) + 1


def over_queries(q, k, v):
    weights = phi(q) @ phi(k).mT
    return weights @ v / weights.sum(1)[..., None]


def without_feature_map(q, k, v):
    return q @ (k.mT @ v) / (q @ k.sum(1)[..., None])


def elu_only(q, k, v):
    return without_feature_map(F.elu(q), F.elu(k), v)


def slots_first(out, c):
    return c @ out.transpose(1, 2).flatten(1, 2)


def silence(*parts):
    def start_silent(adapter):
        for name in parts:
            nn.init.zeros_(adapter.get_parameter(name))
        return adapter

    return start_silent


def silence_all(adapter):
    return silence(*dict(adapter.named_parameters()))(adapter)


def silence_up_and_experts(adapter):
    return silence("up.weight", "up.bias", "moe.experts.bias_in")(adapter)


def frozen(adapter):
    return silence("up.weight", "up.bias")(adapter).requires_grad_(False)


MISTAKES = [
    (ch08.check_algorithm_2, InheritsOurs, "package's own layer"),
    (ch08.check_algorithm_2, OtherWidth, "the logits of a token for ALL slots"),
    (
        ch08.check_instance_norm,
        lambda c: (c - c.amin(-1, True)) / (c.amax(-1, True) - c.amin(-1, True)),
        "squeezed each row into 0 to 1",
    ),
    (
        ch08.check_linear_attention,
        lambda q, k, v: without_feature_map(F.relu(q), F.relu(k), v),
        "another feature map",
    ),
    (
        ch08.check_linear_attention,
        lambda q, k, v: phi(q) @ (phi(k).mT @ v),
        "normalizer is missing",
    ),
    (
        ch08.check_linear_attention,
        lambda q, k, v: phi(q) @ (phi(k).mT @ v) / q.shape[1],
        "number of tokens",
    ),
    (ch08.check_linear_attention, over_queries, "over the queries"),
    (
        ch08.check_linear_attention,
        F.scaled_dot_product_attention,
        "softmax attention",
    ),
    (ch08.check_linear_attention, without_feature_map, "feature map is missing"),
    (ch08.check_linear_attention, elu_only, "elu alone"),
    (ch08.check_instance_norm, lambda c: F.instance_norm(c.mT).mT, "over the tokens, so"),
    (ch08.check_instance_norm, lambda c: F.layer_norm(c, c.shape[1:]), "whole image"),
    (
        ch08.check_instance_norm,
        lambda c: (c - c.mean(0)) / c.std(0, correction=0),
        "over the batch",
    ),
    (
        ch08.check_instance_norm,
        lambda c: (c - c.mean(-1, keepdim=True)) / c.var(-1, correction=0, keepdim=True),
        "square root",
    ),
    (
        ch08.check_instance_norm,
        lambda c: c / c.std(-1, correction=0, keepdim=True),
        "mean is still in it",
    ),
    (
        ch08.check_instance_norm,
        lambda c: (c - c.mean(-1, keepdim=True)) / c.std(-1, keepdim=True),
        "m - 1",
    ),
    (ch08.check_instance_norm, lambda c: c.softmax(-1), "softmax"),
    (ch08.check_combine_slots, slots_first, r"\(s e\)"),
    (ch08.check_combine_slots, lambda out, c: c.mT @ out.flatten(1, 2), "over the tokens"),
    (ch08.check_combine_slots, lambda out, c: c @ out.flatten(1, 2) / c.shape[-1], "averaged"),
    (ch08.check_first_to_learn, lambda: {"down", "moe", "up"}, "backward through `up`"),
    (ch08.check_first_to_learn, lambda: set(), "not a dead layer"),
    (ch08.check_first_to_learn, lambda: {"down"}, "passes on downward"),
    (ch08.check_first_to_learn, lambda: {"experts"}, "Unknown part"),
    (ch08.check_start_silent, silence("up.weight"), "`up.bias` is not"),
    (ch08.check_start_silent, silence("down.weight", "down.bias"), "way in"),
    (ch08.check_start_silent, silence(), "wanted exactly 0"),
    (ch08.check_start_silent, silence_all, "silent and dead"),
    (ch08.check_start_silent, silence_up_and_experts, "experts too"),
    (ch08.check_start_silent, frozen, "no longer asks for a gradient"),
    (ch08.check_start_silent, lambda adapter: adapter.up, "Return the adapter"),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES
