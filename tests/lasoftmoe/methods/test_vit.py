"""ViT-B/16 has its published size and structure; the small one is CLIP's vision tower."""

import math

import pytest
import timm
import torch
from torch import nn

from lasoftmoe.clip import load_clip
from lasoftmoe.methods import METHODS, build_detector, build_shape, parameter_count
from lasoftmoe.methods.vit import ViTConfig

LOGIT = 768 + 1
"""Parameters of one more output."""


def tiny(depth=2, **options):
    torch.manual_seed(0)
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "num_heads": 3} | options
    return timm.create_model("vit_base_patch16_224", depth=depth, num_classes=1, **options).eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 32, 32, generator=generator)


def test_one_output_is_one_logit_less_than_the_published_two_classes():
    assert parameter_count("vit", "a100") == 85_799_425
    assert parameter_count("vit", "a100") + LOGIT == 85_800_194


def test_it_reads_197_tokens_of_width_768():
    network = build_shape(ViTConfig("vit_base_patch16_224", None)).network
    features = network.forward_features(torch.empty(2, 3, 224, 224, device="meta"))
    assert features.shape == (2, 197, 768) and len(network.blocks) == 12
    assert sum(p.numel() for p in network.blocks[0].parameters()) == 7_087_872
    assert sum(p.numel() for p in network.blocks[0].mlp.parameters()) == 4_722_432


def test_every_token_spreads_one_unit_of_attention(images):
    network, seen = tiny(), []
    network.blocks[0].attn.fused_attn = False
    network.blocks[0].attn.attn_drop.register_forward_hook(lambda *a: seen.append(a[2]))
    network(images)
    assert seen[0].shape == (3, 3, 17, 17)
    assert torch.allclose(seen[0].sum(-1), torch.ones(3, 3, 17))


def test_without_blocks_the_class_token_sees_no_image(images):
    network = tiny(depth=0)
    expected = network.norm(network.cls_token[0, 0] + network.pos_embed[0, 0])
    features = network.forward_head(network.forward_features(images), pre_logits=True)
    assert torch.allclose(features, expected.expand(3, -1), atol=1e-6)


def test_the_order_of_the_patches_is_in_their_positions_alone(images):
    network = tiny()
    for parameter in network.parameters():  # timm's are too small for the order to show
        nn.init.normal_(parameter, std=0.3)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    blocks = images.unflatten(2, (4, 8)).unflatten(4, (4, 8)).transpose(3, 4).flatten(2, 3)
    shuffled = blocks[:, :, order].unflatten(2, (4, 4)).transpose(3, 4).reshape(images.shape)
    with torch.no_grad():
        before = network(images)
        assert (network(shuffled) - before).abs().max() > 1e-3
        network.pos_embed[:, 1:] = network.pos_embed[:, 1:][:, order].clone()
        assert torch.allclose(network(shuffled), before, atol=1e-5)


@pytest.mark.parametrize("name", ["small", "vit_tiny_patch16_224"])
def test_a_head_of_zeros_costs_the_logarithm_of_two(name):
    detector = build_detector(ViTConfig(name, None), 0)
    nn.init.zeros_(detector.network.get_classifier().weight)
    nn.init.zeros_(detector.network.get_classifier().bias)
    side = 96 if name == "small" else 224
    batch = {"image": torch.rand(2, 3, side, side), "is_attack": torch.tensor([True, False])}
    assert detector.training_loss(batch).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("side", [96, 48])
def test_the_small_one_has_the_features_of_clip_before_its_projection(side):
    bundle, detector = load_clip(), build_detector(ViTConfig(), 0).eval()
    pixels = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    pixels = pixels // 2 + 60  # resizing stays inside [0, 1], where nothing is clamped
    with torch.no_grad():
        features = detector._features(pixels)
        embeddings = bundle.model.encode_image(bundle.preprocess(pixels))
    assert features.shape == (2, 96)
    assert torch.allclose(features @ bundle.visual.proj, embeddings, atol=1e-4)


def test_its_weights_are_named_where_they_are():
    weights = METHODS["vit"].weights
    assert all(file.is_file() for file in weights(ViTConfig()).files)
    assert "augreg" in weights(ViTConfig("vit_base_patch16_224", "augreg_in1k")).hub
    with pytest.raises(ValueError, match="no network named 'vit_huge_9000'"):
        build_detector(ViTConfig("vit_huge_9000", None), 0)
