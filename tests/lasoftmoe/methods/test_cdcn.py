"""CDCN's convolution, loss, and score equal slow and obvious forms of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lasoftmoe.methods import (
    build_detector,
    build_shape,
    method_config,
    parameter_count,
    preset_settings,
)
from lasoftmoe.methods.cdcn import (
    CDCNConfig,
    CentralDifferenceConv2d,
    SpatialAttention,
    contrastive_depth_loss,
)
from lasoftmoe.methods.depth_target import depth_target

SMALL = CDCNConfig(
    stem_width=4, block_widths=(4, 6, 4), head_widths=(4, 4), map_size=8, target="ones"
)


def images(count=3, channels=3, size=16):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, size, size, generator=generator, dtype=torch.float64)


def two_branches(layer, x):
    """The definition: a convolution minus theta times one with the kernel's sum."""
    sums = layer.weight.sum((2, 3), keepdim=True)
    plain = F.conv2d(x, layer.weight, None, layer.stride, layer.padding)
    return plain - layer.theta * F.conv2d(x, sums, None, layer.stride)


@given(st.sampled_from([1, 3, 5]), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.sampled_from([1, 2]))
def test_one_convolution_equals_the_two_branches_with_gradients(kernel, theta, stride):
    layer = CentralDifferenceConv2d(3, 5, kernel, theta, stride).double()
    x = images()
    result, expected = layer(x), two_branches(layer, x)
    assert torch.allclose(result, expected, atol=1e-12)
    gradients = [torch.autograd.grad(y.square().sum(), layer.weight)[0] for y in (result, expected)]
    assert torch.allclose(*gradients, atol=1e-9)


def test_without_differences_it_is_a_plain_convolution():
    layer = CentralDifferenceConv2d(3, 5, theta=0.0).double()
    assert torch.equal(layer(images()), F.conv2d(images(), layer.weight, padding=1))


def test_pure_differences_see_no_constant():
    layer = CentralDifferenceConv2d(3, 5, theta=1.0).double()
    constant = torch.full((1, 3, 8, 8), 0.4, dtype=torch.float64)
    assert layer(constant)[..., 1:-1, 1:-1].abs().max() < 1e-12
    assert layer(constant).abs().max() > 1e-3  # zeros beyond the border are a difference


@pytest.mark.parametrize("theta", [0.0, 0.7, 1.0])
def test_a_brighter_image_changes_the_inside_by_what_is_left_of_the_kernels_sum(theta):
    layer = CentralDifferenceConv2d(3, 5, theta=theta).double()
    change = (layer(images() + 0.2) - layer(images()))[..., 1:-1, 1:-1]
    expected = (1 - theta) * 0.2 * layer.weight.sum((1, 2, 3))
    assert torch.allclose(change, expected.view(1, 5, 1, 1).expand_as(change))


def test_what_is_no_convolution_is_refused():
    with pytest.raises(ValueError, match="kernel_size is 2; an even kernel has no center"):
        CentralDifferenceConv2d(3, 5, 2)
    with pytest.raises(ValueError, match=r"theta is 1\.5"):
        CentralDifferenceConv2d(3, 5, theta=1.5)


def by_slices(predicted, target):
    """Eight neighbors one by one."""
    error = predicted - target
    inside = error[..., 1:-1, 1:-1]
    size = error.shape[-1]
    terms = [
        (error[..., 1 + dy : size - 1 + dy, 1 + dx : size - 1 + dx] - inside).square().mean()
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dy, dx) != (0, 0)
    ]
    return sum(terms) / 8


def test_contrastive_depth_loss_equals_eight_differences():
    predicted, target = images(4, 1), images(4, 1).flip(0)
    assert torch.allclose(contrastive_depth_loss(predicted, target), by_slices(predicted, target))
    assert contrastive_depth_loss(predicted, target) > 0
    assert contrastive_depth_loss(predicted, predicted + 3) < 1e-20


def test_the_published_size():
    assert parameter_count("cdcn", "a100") == 2_245_016
    assert parameter_count("cdcn", "laptop") == 35_248
    assert sum(p.numel() for p in build_shape(CDCNConfig("cdcn++")).parameters()) == 2_257_352


@pytest.mark.parametrize("variant", ["cdcn", "cdcn++"])
def test_blocks_halve_the_image_and_the_map_has_32_pixels(variant):
    shape = build_shape(CDCNConfig(variant))
    x = shape.stem(torch.empty(1, 3, 256, 256, device="meta"))
    sizes = [(x := block(x)).shape[1:] for block in shape.blocks]
    assert sizes == [(128, 128, 128), (128, 64, 64), (128, 32, 32)]
    assert shape.head(torch.empty(1, 384, 32, 32, device="meta")).shape == (1, 1, 32, 32)


def test_attention_weights_each_pixel_by_the_mean_and_maximum_of_its_channels():
    torch.manual_seed(0)
    attention, x = SpatialAttention(3).double(), images(2, 5, 6)
    padded = F.pad(x, (1, 1, 1, 1))
    weights = torch.zeros(2, 6, 6, dtype=torch.float64)
    for row in range(6):
        for column in range(6):
            near = padded[:, :, row : row + 3, column : column + 3]
            mean = (near.mean(1) * attention.conv.weight[0, 0]).sum((1, 2))
            peak = (near.amax(1) * attention.conv.weight[0, 1]).sum((1, 2))
            weights[:, row, column] = torch.sigmoid(mean + peak)
    expected = x * weights[:, None]
    assert torch.allclose(attention(x), expected)
    kernel = attention.conv.weight
    gradients = [torch.autograd.grad(y.square().sum(), kernel)[0] for y in (attention(x), expected)]
    assert torch.allclose(*gradients)


def test_the_larger_variant_learns_a_map():
    detector = build_detector(CDCNConfig(**{**vars(SMALL), "variant": "cdcn++"}), 0)
    batch = {"image": images(4).float(), "is_attack": torch.tensor([True, False, True, False])}
    assert detector.depth(batch["image"]).shape == (4, 1, 8, 8)
    sum(detector.training_loss(batch).values()).backward()
    assert all(p.grad is not None for p in detector.parameters())


def test_maps_have_their_size_and_attacks_are_taught_zero():
    detector = build_detector(SMALL, 0)
    batch = {"image": images(4).float(), "is_attack": torch.tensor([True, False, True, False])}
    assert detector.depth(batch["image"]).shape == (4, 1, 8, 8)
    target, known = depth_target(batch, 8, detector.config.target)
    assert known.all() and target.amax((1, 2, 3)).tolist() == [0, 1, 0, 1]


def test_live_images_without_depth_teach_nothing():
    detector = build_detector(CDCNConfig(**{**vars(SMALL), "target": "depth"}), 0)
    assert detector.needs == ("depth",)
    depth = torch.full((4, 1, 16, 16), 255, dtype=torch.uint8)
    batch = {
        "image": images(4).float(),
        "is_attack": torch.tensor([True, False, True, False]),
        "depth": depth,
        "has_depth": torch.tensor([False, True, False, False]),
    }
    target, known = depth_target(batch, 8, detector.config.target)
    assert known.tolist() == [True, True, True, False]
    assert target.amax((1, 2, 3)).tolist() == [0, 1, 0, 1]
    first = detector.training_loss(batch)["depth"]
    batch["image"] = batch["image"].clone()
    detector.eval()
    before = detector.training_loss(batch)["depth"]
    batch["image"][3] = 0
    assert torch.equal(detector.training_loss(batch)["depth"], before) and first.isfinite()


def test_an_empty_map_is_a_score_of_zero():
    detector = build_detector(SMALL, 0).eval()
    with torch.no_grad():
        detector.head[2].weight.zero_()
        assert detector.attack_score(images().float()).tolist() == [0, 0, 0]


def test_a_setting_out_of_range_is_refused():
    with pytest.raises(ValueError, match="theta"):
        CDCNConfig(theta=2)
    with pytest.raises(ValueError, match="'depth' or 'ones'"):
        method_config("cdcn", preset_settings("cdcn", "laptop") | {"target": "one"})
