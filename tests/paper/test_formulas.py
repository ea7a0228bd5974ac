"""Section 3 and the algorithms, as printed."""

import ast

import einops
import pytest
import torch

from lasoftmoe.moe import LaSoftMoE, SoftMoE, naive

TOKENS, EXPERTS, SLOTS, DIM = 7, 2, 3, 5
X = torch.randn(TOKENS, DIM, generator=torch.Generator().manual_seed(0))
PHI = torch.randn(EXPERTS, SLOTS, DIM, generator=torch.Generator().manual_seed(1))


def test_the_first_index_of_dispatch_and_combine_is_a_row():
    """The text below Eq. 2 and Eq. 4 calls i the column and j the row.

    Its own shape, n x (e s), and the sum over i up to n in Eq. 2 make i the row.
    """
    layer = SoftMoE(DIM, EXPERTS, SLOTS)
    routing = layer.route(X[None])
    for weights in (routing.dispatch, routing.combine):
        table = weights[0].flatten(1)
        assert table.shape == (TOKENS, EXPERTS * SLOTS)
    dispatch, combine = routing.dispatch[0].flatten(1), routing.combine[0].flatten(1)
    torch.testing.assert_close(dispatch.sum(dim=0), torch.ones(EXPERTS * SLOTS))
    torch.testing.assert_close(combine.sum(dim=1), torch.ones(TOKENS))
    with pytest.raises(IndexError):  # the column of the last token, in a table of 6 columns
        dispatch[0, TOKENS - 1]


PRINTED = """
n, d = X.shape
Phi = randn(e, s, d)
logit = einsum("n d, e s d -> n e s", X, Phi)
D = logits.softmax(dim=0)
"""
GIVEN = {"X", "e", "s", "randn", "einsum"}


def test_algorithm_2_as_printed_does_not_run():
    """Line 5 reads a name that line 4 does not write; line 12 has an axis from nowhere."""
    names = [node for node in ast.walk(ast.parse(PRINTED)) if isinstance(node, ast.Name)]
    written = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    assert {name.id for name in names} - written - GIVEN == {"logits"}
    out, combine = torch.randn(EXPERTS * SLOTS, DIM), torch.randn(TOKENS, EXPERTS * SLOTS)
    with pytest.raises(einops.EinopsError, match="b"):
        einops.einsum(out, combine, "s d, n s -> b n d")
    assert einops.einsum(out, combine, "s d, n s -> n d").shape == (TOKENS, DIM)


def test_dim_0_of_line_5_is_the_batch_as_soon_as_there_is_one():
    logits = torch.randn(4, TOKENS, EXPERTS, SLOTS)
    shares = logits.softmax(dim=0)
    assert not torch.allclose(shares.sum(dim=1), torch.ones(4, EXPERTS, SLOTS))


def test_phi_drawn_inside_the_procedure_gives_other_outputs_each_time():
    torch.manual_seed(0)
    outputs = [
        naive.soft_moe(X[None], torch.randn(EXPERTS, SLOTS, DIM), lambda slots: slots)
        for _ in range(2)
    ]
    assert (outputs[0] - outputs[1]).abs().max() > 0.1
    assert isinstance(SoftMoE(DIM, EXPERTS, SLOTS).phi, torch.nn.Parameter)


def test_eq_7_and_algorithm_2_are_two_layers():
    """Eq. 7 has no Instance Norm, line 8 of Algorithm 2 has one."""
    torch.manual_seed(0)
    layer = LaSoftMoE(DIM, EXPERTS, SLOTS)
    routing = layer.route(X[None])
    eq_7 = layer.attention(routing.logits.flatten(2))
    assert (eq_7 - routing.combine.flatten(2)).abs().max() > 0.1


def test_only_the_class_token_of_the_last_block_reaches_the_embedding():
    """Algorithm 1 returns all tokens; CLIP's embedding reads one of them."""
    from lasoftmoe.clip import load_clip

    clip, kept = load_clip(pretrained=None), []
    last = clip.model.visual.transformer.resblocks[-1]
    hook = last.register_forward_hook(lambda module, inputs, output: kept.append(output))
    images = torch.rand(1, 3, clip.image_size, clip.image_size)
    embedding = clip.embed_images(images)
    hook.remove()
    (gradient,) = torch.autograd.grad(embedding.sum(), kept[0])
    per_token = gradient[0].abs().amax(dim=-1)
    assert per_token[0] > 0
    assert per_token[1:].max() == 0
