"""The attentions that linear attention is set against."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lasoftmoe.moe import LaSoftMoE, LinearAttention, MoEConfig, SoftmaxAttention, build_moe
from lasoftmoe.moe.linear_attention import linear_attention
from lasoftmoe.moe.self_attention import SelfAttention
from lasoftmoe.moe.softmax_attention import (
    efficient_attention,
    linformer_attention,
    softmax_attention,
)


@pytest.fixture
def qkv():
    return torch.randn(3, 2, 4, 7, 5, generator=torch.Generator().manual_seed(0)).double()


def test_softmax_attention_is_that_of_torch(qkv):
    keep = torch.tensor([True] * 5 + [False] * 2)[:, None]
    torch.testing.assert_close(softmax_attention(*qkv), F.scaled_dot_product_attention(*qkv))
    wanted = F.scaled_dot_product_attention(*qkv, attn_mask=keep.T.expand(7, 7))
    torch.testing.assert_close(softmax_attention(*qkv, keep), wanted)


def test_efficient_attention_is_linear_attention_that_needs_no_denominator(qkv):
    queries, keys, values = qkv
    features = queries.softmax(dim=-1), keys.softmax(dim=-2)
    weights = features[0] @ features[1].mT
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))
    output = efficient_attention(*qkv)
    torch.testing.assert_close(output, weights @ values)
    for normalize in (True, False):
        torch.testing.assert_close(output, linear_attention(*features, values, normalize))


def test_linformer_reads_mixtures_of_tokens(qkv):
    whole = torch.eye(7).double()
    torch.testing.assert_close(
        linformer_attention(*qkv, whole, whole), F.scaled_dot_product_attention(*qkv)
    )
    one = torch.full((1, 7), 1 / 7).double()
    mean = qkv[2].mean(dim=-2, keepdim=True).expand_as(qkv[2])
    torch.testing.assert_close(linformer_attention(*qkv, one, one), mean)


def test_attentions_share_their_parameters():
    """So that an ablation between the two changes the attention and nothing else."""
    layers = []
    for attention in ("linear", "softmax"):
        torch.manual_seed(0)
        layers.append(LaSoftMoE(8, 2, 3, attention=attention).state_dict())
    assert layers[0].keys() == layers[1].keys()
    assert all(torch.equal(layers[0][name], layers[1][name]) for name in layers[0])


def test_build_follows_the_configuration():
    config = MoEConfig(
        kind="la", rank=8, slots_per_expert=3, heads=2, feature_map="relu", normalize=False
    )
    attention = build_moe(8, config).moe.attention
    assert isinstance(attention, LinearAttention)
    assert (attention.heads, attention.feature_map, attention.normalize) == (2, "relu", False)
    config = MoEConfig(kind="la", rank=8, slots_per_expert=3, heads=2, attention="softmax")
    attention = build_moe(8, config).moe.attention
    assert isinstance(attention, SoftmaxAttention) and attention.heads == 2


def test_an_attention_without_attend_says_so():
    with pytest.raises(NotImplementedError, match="SelfAttention must define attend"):
        SelfAttention(4)(torch.zeros(1, 2, 4))
