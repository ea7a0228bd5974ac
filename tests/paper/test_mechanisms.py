"""What the paper says that its parts do, asked of layers at ViT-B/16's size and of the counts."""

import pytest
import torch
import torch.nn.functional as F

from lasoftmoe.moe import LaSoftMoE, MoEConfig, SoftMoE
from lasoftmoe.moe.cost import block_cost, cost_table
from lasoftmoe.moe.linear_attention import elu_plus_one, linear_attention
from lasoftmoe.moe.softmax_attention import softmax_attention

DIM, TOKENS, EXPERTS, SLOTS = 768, 197, 4, 49


def tokens(count: int = TOKENS, dim: int = DIM) -> torch.Tensor:
    """Tokens as a block's layer norm leaves them, (1, tokens, dim)."""
    drawn = torch.randn(1, count, dim, generator=torch.Generator().manual_seed(1))
    return F.layer_norm(drawn, (dim,))


def vit_b_16(kind: type, **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return kind(DIM, EXPERTS, SLOTS, hidden_dim=8, **options)


def shares(layer: SoftMoE) -> torch.Tensor:
    """How much of all slots together each token fills, (tokens,); they sum to e s."""
    with torch.no_grad():
        return layer.route(tokens()).dispatch[0].sum(dim=(1, 2))


def test_soft_moe_with_raw_logits_all_but_drops_tokens():
    """ "To avoid common problems": at this size some tokens get a thousandth of a slot in all."""
    raw = vit_b_16(SoftMoE)
    with torch.no_grad():
        dispatch = raw.route(tokens()).dispatch
    assert (dispatch == 0).float().mean() > 0.05, "zeros in float32, not only small numbers"
    assert 0.05 < (shares(raw) < 1e-3).float().mean() < 0.3


def test_normalized_routing_is_what_alleviates_it():
    share = shares(vit_b_16(SoftMoE, normalize_routing=True))
    assert share.min() > 0.01
    assert share.sum() == pytest.approx(EXPERTS * SLOTS, rel=1e-4)


def test_combining_is_attention_with_phi_as_keys():
    """The weights of Eq. 4 are those of attention: queries X, keys Phi, values the outputs."""
    torch.manual_seed(0)
    layer, x = SoftMoE(16, 2, 3), tokens(9, 16)
    outputs = torch.randn(1, 6, 16)
    attended = F.scaled_dot_product_attention(x, layer.phi.flatten(0, 1)[None], outputs, scale=1.0)
    torch.testing.assert_close(layer.route(x).combine.flatten(2) @ outputs, attended)


def row_cosine(combine: torch.Tensor) -> float:
    rows = F.normalize(combine.flatten(2)[0], dim=1)
    count = len(rows)
    return (((rows @ rows.T).sum() - count) / (count * (count - 1))).item()


def test_linear_attention_makes_the_rows_of_tokens_alike_instead_of_special():
    with torch.no_grad():
        soft, la = (vit_b_16(kind).route(tokens()).combine for kind in (SoftMoE, LaSoftMoE))
    assert row_cosine(soft) < 0.3
    assert row_cosine(la) > 0.95


def test_linear_attention_reads_nearly_all_tokens():
    """ "To focus the key area of each slot": a query spreads over almost all of the tokens."""
    layer = vit_b_16(LaSoftMoE)
    with torch.no_grad():
        logits = layer.route(tokens()).logits.flatten(2)
        q, k, _ = layer.attention.qkv(logits).chunk(3, dim=-1)
        everyone = torch.eye(TOKENS)[None]
        linear = linear_attention(elu_plus_one(q), elu_plus_one(k), everyone)
        softmax = softmax_attention(q, k, everyone)
    read = [torch.special.entr(w).sum(dim=-1).exp().mean() for w in (linear, softmax)]
    assert read[0] > 0.9 * TOKENS
    assert read[1] < 0.1 * TOKENS, "softmax on raw logits reads few"


def test_every_expert_works_on_every_image():
    """Nothing is activated or left out at test time: each slot is a mixture of all tokens."""
    layer = vit_b_16(SoftMoE, normalize_routing=True)
    with torch.no_grad():
        dispatch = layer.route(tokens()).dispatch
    assert (dispatch > 0).all()


def test_linear_attention_put_in_place_of_softmax_is_another_layer():
    torch.manual_seed(0)
    linear = LaSoftMoE(16, 2, 3)
    softmax = LaSoftMoE(16, 2, 3, attention="softmax")
    softmax.load_state_dict(linear.state_dict())
    x = tokens(9, 16)
    with torch.no_grad():
        gap = (linear(x) - softmax(x)).abs().max()
    assert gap > 0.1


def attention_work(count: int, slots: int) -> int:
    config = MoEConfig(kind="la", slots_per_expert=slots // EXPERTS, normalize=False)
    return int(cost_table(DIM, count, config).loc["linear attention", "multiply_adds"])


def test_linear_attention_is_linear_in_tokens_and_cubic_if_slots_follow():
    assert attention_work(4 * 196, 196) == 4 * attention_work(196, 196)
    assert attention_work(4 * 196, 4 * 196) == 4**3 * attention_work(196, 196)


def test_linear_saves_one_part_in_197_where_the_paper_uses_it():
    softmax = MoEConfig(kind="la", attention="softmax", normalize=False)
    pairs = int(cost_table(DIM, TOKENS, softmax).loc["softmax attention", "multiply_adds"])
    assert attention_work(TOKENS, 196) * 197 == pairs * 196


def branch(kind: str, experts: int, slots: int) -> int:
    config = MoEConfig(kind=kind, num_experts=experts, slots_per_expert=slots)
    return int(cost_table(DIM, TOKENS, config)["multiply_adds"].sum())


def test_thousands_of_experts_are_free_at_a_fixed_number_of_slots_only():
    assert branch("soft", 196, 1) == branch("soft", 4, 49)
    assert branch("soft", 4000, 1) > 10 * branch("soft", 4, 49)
    assert branch("la", 4000, 1) > 1.5 * branch("soft", 4000, 1), "attention over all slots"


def test_two_plain_detectors_cost_about_what_one_with_this_branch_costs():
    """Section 1 counts the second detector as the cost; at full width the branch is one, too."""
    block = block_cost(DIM, TOKENS).sum()
    one = 1 + cost_table(DIM, TOKENS, MoEConfig(kind="la")).sum() / block
    assert one["multiply_adds"] == pytest.approx(2, abs=0.15)
    assert one["parameters"] > 2
    narrow = 1 + cost_table(DIM, TOKENS, MoEConfig(kind="la", rank=128)).sum() / block
    assert narrow["multiply_adds"] < 1.2


def test_at_equal_places_a_sparse_layer_computes_no_more_than_soft_moe():
    """What is left of "extensive computing costs" once both have as many places."""
    sparse = MoEConfig(kind="topk", top_k=1, capacity_factor=1.0)
    sparse_work = cost_table(DIM, 196, sparse)["multiply_adds"]
    soft_work = cost_table(DIM, 196, MoEConfig(kind="soft"))["multiply_adds"]
    assert sparse_work["experts"] == soft_work["experts"]
    assert sparse_work.sum() <= soft_work.sum()
