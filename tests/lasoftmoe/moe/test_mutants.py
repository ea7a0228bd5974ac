"""Planted mistakes: the comparison with the loops has to catch every one of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lasoftmoe.moe import LaSoftMoE, LinearAttention, SoftmaxAttention, SoftMoE, TopKMoE
from lasoftmoe.moe.la_soft_moe import instance_norm, positive_rows
from lasoftmoe.moe.sparse_moe import expert_capacity
from tests.lasoftmoe.moe.reference import assert_matches, randomize


class DispatchOverSlots(SoftMoE):
    def dispatch_weights(self, logits, mask=None):
        return logits.flatten(2).softmax(dim=-1).view_as(logits)


class DispatchOverSlotsOfOneExpert(SoftMoE):
    def dispatch_weights(self, logits, mask=None):
        return logits.softmax(dim=-1)


class DispatchOverImages(SoftMoE):
    """A public implementation does this."""

    def dispatch_weights(self, logits, mask=None):
        return logits.softmax(dim=0)


class CombineOverTokens(SoftMoE):
    def combine_weights(self, logits, mask=None):
        return logits.softmax(dim=1)


class CombineOverSlotsOfOneExpert(SoftMoE):
    def combine_weights(self, logits, mask=None):
        return logits.softmax(dim=-1)


class ExpertsAndSlotsSwapped(SoftMoE):
    def forward(self, x):
        routing = self.route(x)
        slots = routing.dispatch.transpose(2, 3).flatten(2).transpose(1, 2) @ x
        outputs = self.experts(slots.unflatten(1, (self.num_experts, -1)))
        return routing.combine.flatten(2) @ outputs.flatten(1, 2)


class CombineTransposed(SoftMoE):
    def forward(self, x):
        routing = self.route(x)
        slots = routing.dispatch.flatten(2).transpose(1, 2) @ x
        outputs = self.experts(slots.unflatten(1, (self.num_experts, -1)))
        return routing.combine.flatten(2).transpose(1, 2) @ outputs.flatten(1, 2)


class DispatchesNormalizedTokens(SoftMoE):
    def forward(self, x):
        routing = self.route(x)
        slots = routing.dispatch.flatten(2).transpose(1, 2) @ F.normalize(x, dim=-1)
        outputs = self.experts(slots.unflatten(1, (self.num_experts, -1)))
        return routing.combine.flatten(2) @ outputs.flatten(1, 2)


class NoGradientThroughDispatch(SoftMoE):
    def dispatch_weights(self, logits, mask=None):
        return super().dispatch_weights(logits).detach()


class InstanceNormOverTokens(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        attended = self.attention(logits.flatten(2)).transpose(1, 2)
        return instance_norm(attended).transpose(1, 2).reshape(logits.shape)


class InstanceNormPerExpert(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        return instance_norm(self.attention(logits.flatten(2)).view_as(logits))


class NoInstanceNorm(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        return self.attention(logits.flatten(2)).view_as(logits)


class AttentionOverNormalizedLogits(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        return self.attention(instance_norm(logits.flatten(2))).view_as(logits)


class NoLogitResidual(LaSoftMoE):
    def combine_weights(self, logits, mask=None):
        return positive_rows(instance_norm(self.attention(logits.flatten(2))).view_as(logits))


class MissingNormalizer(LinearAttention):
    def attend(self, *args):
        self.normalize = False
        output = super().attend(*args)
        self.normalize = True
        return output


class KeysAndValuesSwapped(LinearAttention):
    def heads_of(self, x):
        queries, keys, values = super().heads_of(x)
        return queries, values, keys


class MissingTemperature(SoftmaxAttention):
    def attend(self, queries, *others):
        return super().attend(queries * queries.shape[-1] ** 0.5, *others)


class LastTokensFirst(TopKMoE):
    def assign(self, probabilities, mask=None):
        dispatch, combine = super().assign(probabilities.flip(1))
        return dispatch.flip(1), combine.flip(1)


class SecondChoicesAmongFirstOnes(TopKMoE):
    """Queues token by token instead of round by round."""

    def assign(self, probabilities, mask=None):
        capacity = expert_capacity(probabilities.shape[1], self.num_experts, self.k, 0.5)
        gates, chosen = probabilities.topk(self.k, dim=-1)
        gates = gates / gates.sum(dim=-1, keepdim=True)
        choices = F.one_hot(chosen, self.num_experts)
        taken = choices.sum(dim=2)
        place = (taken.cumsum(dim=1) - 1)[..., None] == torch.arange(capacity)
        dispatch = place & taken.bool()[..., None]
        return dispatch, (gates[..., None] * choices).sum(dim=2)[..., None] * dispatch


class GatesOfWhatIsLeft(TopKMoE):
    """Makes the gates sum to one after dropping."""

    def assign(self, probabilities, mask=None):
        dispatch, combine = super().assign(probabilities)
        total = combine.sum(dim=(2, 3), keepdim=True)
        return dispatch, combine / total.clamp(min=1e-9)


class ForgetsTheGates(TopKMoE):
    def assign(self, probabilities, mask=None):
        dispatch, _ = super().assign(probabilities)
        return dispatch, dispatch.to(probabilities.dtype)


SOFT = dict(dim=3, num_experts=2, slots_per_expert=3, hidden_dim=4)
SPARSE = dict(dim=3, num_experts=3, k=2, capacity_factor=0.5, hidden_dim=4)
MUTANTS = {
    DispatchOverSlots: SOFT,
    DispatchOverSlotsOfOneExpert: SOFT,
    DispatchOverImages: SOFT,
    CombineOverTokens: SOFT,
    CombineOverSlotsOfOneExpert: SOFT,
    ExpertsAndSlotsSwapped: SOFT,
    CombineTransposed: SOFT,
    DispatchesNormalizedTokens: SOFT,
    NoGradientThroughDispatch: SOFT,
    InstanceNormOverTokens: SOFT,
    InstanceNormPerExpert: SOFT,
    NoInstanceNorm: SOFT,
    AttentionOverNormalizedLogits: SOFT,
    NoLogitResidual: SOFT | {"variant": "stable"},
    MissingNormalizer: {"dim": 6},
    KeysAndValuesSwapped: {"dim": 6},
    MissingTemperature: {"dim": 6},
    LastTokensFirst: SPARSE,
    SecondChoicesAmongFirstOnes: SPARSE,
    GatesOfWhatIsLeft: SPARSE,
    ForgetsTheGates: SPARSE,
}


def tokens_for(layer: torch.nn.Module) -> torch.Tensor:
    # As many tokens as slots in all, so that a transposed matrix still fits.
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 6, layer.dim, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_reference_catches(mutant):
    layer = randomize(mutant(**MUTANTS[mutant]))
    with pytest.raises(AssertionError, match="not close"):
        assert_matches(layer, tokens_for(layer))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_parent_of_mutant_passes(mutant):
    (parent,) = mutant.__bases__
    layer = randomize(parent(**MUTANTS[mutant]))
    assert_matches(layer, tokens_for(layer))
