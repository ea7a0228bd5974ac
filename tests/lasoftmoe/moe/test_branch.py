"""The branch in the blocks of a tower; it must not change step 0."""

from __future__ import annotations

import warnings

import open_clip
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lasoftmoe.clip import load_clip
from lasoftmoe.moe import MoEConfig, add_moe, moe_parameters
from lasoftmoe.moe.branch import MLPWithMoE

SMALL_BRANCH = {"num_experts": 2, "slots_per_expert": 4, "hidden_ratio": 2.0}
LA = MoEConfig(kind="la", **SMALL_BRANCH)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return load_clip("small", None)


@pytest.fixture(scope="module")
def paper_clip():
    """The paper's architecture, randomly initialized and cut down to two blocks."""
    torch.manual_seed(0)
    bundle = load_clip("ViT-B-16-quickgelu", None)
    del bundle.model.visual.transformer.resblocks[2:]
    del bundle.model.transformer.resblocks[2:]
    return bundle


@pytest.fixture
def faces():
    return torch.randint(0, 256, (3, 3, 96, 96), generator=torch.Generator().manual_seed(1)).byte()


def test_algorithm_1_adds_mlp_and_branch_of_the_same_input():
    mlp = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
    x = torch.randn(2, 3, 4)
    assert torch.equal(MLPWithMoE(mlp, nn.Identity())(x), mlp(x) + x)


@pytest.mark.parametrize("kind", ["soft", "la"])
@pytest.mark.parametrize("variant", ["paper", "stable"])
def test_a_new_branch_leaves_the_small_clip_bit_for_bit_as_it_was(small, faces, kind, variant):
    with torch.no_grad():
        before = small.embed_images(faces)
        add_moe(small.model.visual, MoEConfig(kind=kind, variant=variant, **SMALL_BRANCH))
        assert torch.equal(small.embed_images(faces), before)


def test_a_new_branch_leaves_vit_b_16_bit_for_bit_as_it_was(paper_clip):
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        before = paper_clip.embed_images(images)
        add_moe(paper_clip.model.visual, MoEConfig(kind="la", rank=32))
        assert torch.equal(paper_clip.embed_images(images), before)
    assert isinstance(
        paper_clip.model.visual.transformer.resblocks[0].mlp.gelu, open_clip.transformer.QuickGELU
    )


def test_the_state_dict_of_plain_clip_lacks_only_the_branch(small):
    plain = {k: v.clone() for k, v in small.model.state_dict().items()}
    add_moe(small.model.visual, LA)
    missing, unexpected = small.model.load_state_dict(plain, strict=False)
    assert not unexpected
    assert missing and all(".moe." in name for name in missing)


def test_only_the_chosen_blocks_get_a_branch(small):
    add_moe(small.model.visual, MoEConfig(kind="soft", blocks=[1, 3], **SMALL_BRANCH))
    with_branch = [hasattr(b.mlp, "moe") for b in small.model.visual.transformer.resblocks]
    assert with_branch == [False, True, False, True]


def test_kind_none_changes_nothing(small):
    names = list(small.model.state_dict())
    add_moe(small.model.visual, MoEConfig(kind="none"))
    assert list(small.model.state_dict()) == names
    assert moe_parameters(small.model) == []


def test_every_branch_parameter_gets_a_gradient_after_one_step(small, faces):
    add_moe(small.model.visual, LA, torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(moe_parameters(small.model), lr=0.1)
    target = F.normalize(torch.randn(3, 128, generator=torch.Generator().manual_seed(2)), dim=-1)
    for _ in range(2):
        optimizer.zero_grad()
        (small.embed_images(faces) * target).sum().neg().backward()
        optimizer.step()
    without = [p for p in moe_parameters(small.model) if p.grad is None or not p.grad.any()]
    assert moe_parameters(small.model) and not without


def test_a_trained_branch_treats_each_image_on_its_own(small, faces):
    add_moe(small.model.visual, LA)
    with torch.no_grad():
        for parameter in moe_parameters(small.model):
            parameter.add_(0.05 * torch.randn_like(parameter))
        together, alone = small.embed_images(faces), small.embed_images(faces[:1])
    assert torch.allclose(together[:1], alone, atol=1e-4)


def test_the_generator_fixes_the_branch_and_spares_the_global_one(small):
    weights = []
    for _ in range(2):
        state = torch.random.get_rng_state()
        visual = load_clip("small", None).model.visual
        torch.random.set_rng_state(state)
        add_moe(visual, LA, torch.Generator().manual_seed(7))
        assert torch.equal(torch.random.get_rng_state(), state)
        weights.append(moe_parameters(visual))
        torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("blocks", [[4], [-1], [0, 0]])
def test_wrong_block_numbers_are_named(small, blocks):
    with pytest.raises(ValueError, match="from 0 to 3"):
        add_moe(small.model.visual, MoEConfig(kind="la", blocks=blocks))


def test_a_second_branch_in_the_same_block_is_refused(small):
    add_moe(small.model.visual, LA)
    with pytest.raises(ValueError, match="already"):
        add_moe(small.model.visual, LA)


def test_a_resnet_tower_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tower = open_clip.model._build_vision_tower(
            64, {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
        )
    with pytest.raises(ValueError, match="ModifiedResNet has no transformer blocks"):
        add_moe(tower, LA)
