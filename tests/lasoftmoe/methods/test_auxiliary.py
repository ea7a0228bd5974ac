"""Auxiliary's colors, loss, and score equal slow and obvious forms of them."""

import colorsys

import pytest
import torch
from torch.nn import functional as F

from data_prep.manifest import DatasetError
from lasoftmoe.methods import (
    build_detector,
    build_shape,
    method_config,
    parameter_count,
    preset_settings,
)
from lasoftmoe.methods.auxiliary import AuxiliaryConfig, map_score, rgb_to_hsv
from lasoftmoe.methods.depth_target import depth_target, known_pairs

SMALL = AuxiliaryConfig(
    stem_width=4, block_widths=(4, 6, 4), head_widths=(4, 3), join_size=8, map_size=4, target="ones"
)
TARGETS = ("depth", "ones")


def images(count=4, size=16):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64)


def batch_with_depth(size=16):
    """Attack, live with depth, attack, live without."""
    depth = torch.arange(4 * size**2).reshape(4, 1, size, size) % 256
    return {
        "image": images(4, size).float(),
        "is_attack": torch.tensor([True, False, True, False]),
        "depth": depth.to(torch.uint8),
        "has_depth": torch.tensor([False, True, False, False]),
    }


def test_colors_are_those_of_the_standard_library():
    pixels = images(1, 12)
    pixels[0, :, 0, :4] = torch.tensor([[0, 1, 0.5, 1], [0, 1, 0.5, 1], [0, 1, 0.5, 0.2]])
    result = rgb_to_hsv(pixels)[0].flatten(1).T
    expected = [colorsys.rgb_to_hsv(*pixel) for pixel in pixels[0].flatten(1).T.tolist()]
    assert torch.allclose(result, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_colors_have_the_right_gradients_and_finite_ones_at_gray():
    pixels = images(1, 3).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_hsv, pixels)
    for gray in (0.0, 0.5, 1.0):
        pixels = torch.full((1, 3, 2, 2), gray, requires_grad=True)
        rgb_to_hsv(pixels).sum().backward()
        assert pixels.grad.isfinite().all()


def test_the_published_size():
    """Of the depth branch: 2,692,228 and 2,623,074 are counts with the pulse branch's head."""
    assert parameter_count("auxiliary", "a100") == 2_177_091
    assert parameter_count("auxiliary", "laptop") < 40_000
    colors_only = method_config("auxiliary", preset_settings("auxiliary", "a100") | {"hsv": False})
    trunk = build_shape(colors_only)
    assert sum(p.numel() for p in (*trunk.stem.parameters(), *trunk.blocks.parameters())) == (
        1_729_380
    )
    wide = AuxiliaryConfig(head_widths=(128, 64))
    assert sum(p.numel() for p in build_shape(wide).head.parameters()) == 516_865


@pytest.mark.parametrize(("preset", "side", "size"), [("a100", 256, 32), ("laptop", 96, 12)])
def test_maps_have_their_size(preset, side, size):
    detector = build_shape(method_config("auxiliary", preset_settings("auxiliary", preset)))
    colors = torch.empty(2, 6, side, side, device="meta")
    assert detector.map_of(colors).shape == (2, 1, size, size)


def test_the_loss_is_the_mean_square_over_images_with_a_known_map():
    detector = build_detector(AuxiliaryConfig(**{**vars(SMALL), "target": "depth"}), 0).double()
    assert detector.needs == ("depth",)
    batch = batch_with_depth() | {"image": images()}
    predicted = detector.eval().depth(batch["image"])
    total, pixels = 0.0, 0
    for index in range(3):  # the fourth is live and has no depth
        live = not batch["is_attack"][index]
        for y in range(4):
            for x in range(4):
                area = batch["depth"][index, 0, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].double()
                truth = area.mean() / 255 if live else 0.0
                total, pixels = total + (predicted[index, 0, y, x] - truth) ** 2, pixels + 1
    loss = detector.training_loss(batch)["depth"]
    assert torch.allclose(loss, total / pixels, atol=1e-7)
    weight = detector.head[0].weight
    gradients = [torch.autograd.grad(v, weight, retain_graph=True)[0] for v in (loss, total / 48)]
    assert torch.allclose(*gradients, atol=1e-7)


def test_equal_maps_cost_nothing_and_a_flat_map_costs_the_square_of_the_depth(monkeypatch):
    detector = build_detector(AuxiliaryConfig(**{**vars(SMALL), "target": "depth"}), 0)
    batch = batch_with_depth()
    truth, _ = depth_target(batch, 4, "depth")
    monkeypatch.setattr(detector, "depth", lambda images: truth)
    assert detector.training_loss(batch)["depth"] == 0
    batch |= {"is_attack": torch.zeros(4, dtype=torch.bool)}  # only the second has depth
    monkeypatch.setattr(detector, "depth", lambda images: torch.zeros(4, 1, 4, 4))
    assert torch.allclose(detector.training_loss(batch)["depth"], truth[1].square().mean())


def test_the_score_falls_as_depth_grows():
    depth = images(3)[:, :1]
    larger = torch.where(depth > 0, 2 * depth, depth)
    assert (map_score(larger) < map_score(depth)).all()
    assert map_score(torch.zeros(2, 1, 4, 4)).tolist() == [0, 0]
    assert map_score(torch.full((1, 1, 4, 4), 0.5)).tolist() == [-0.25]
    detector = build_detector(SMALL, 0).eval()
    pixels = images().float()
    assert torch.equal(detector.attack_score(pixels), map_score(detector.depth(pixels)))


@pytest.mark.parametrize("target", TARGETS)
def test_attacks_are_taught_zero_and_live_faces_their_target(target):
    maps, known = depth_target(batch_with_depth(), 4, target)
    assert maps.shape == (4, 1, 4, 4) and maps[[0, 2]].abs().max() == 0
    assert known.tolist() == [True, True, True, target == "ones"]
    assert maps[1].min() >= 0 and maps[1].max() <= 1 and maps[1].max() > 0.4


def test_depth_is_averaged_over_areas_and_moves_with_the_image():
    batch = batch_with_depth()
    maps, _ = depth_target(batch, 4, "depth")
    assert torch.allclose(maps[1].mean(), batch["depth"][1].float().mean() / 255)
    flipped, _ = depth_target(batch | {"depth": batch["depth"].flip(3)}, 4, "depth")
    assert torch.allclose(flipped, maps.flip(3))
    predicted = F.adaptive_avg_pool2d(batch["image"][:, :1], 4)  # an equivariant network
    loss = F.mse_loss(*known_pairs(predicted, batch, "depth"))
    flipped = batch | {"depth": batch["depth"].flip(3)}
    assert torch.allclose(loss, F.mse_loss(*known_pairs(predicted.flip(3), flipped, "depth")))
    assert not torch.allclose(loss, F.mse_loss(*known_pairs(predicted.flip(3), batch, "depth")))


def test_the_mean_runs_over_known_images_only():
    batch = batch_with_depth()
    maps, known = depth_target(batch, 4, "depth")
    predicted = torch.rand(len(known), 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = F.mse_loss(predicted[known], maps[known])
    assert torch.allclose(F.mse_loss(*known_pairs(predicted, batch, "depth")), expected)
    unknown = {name: value[3:] for name, value in batch.items()}
    assert F.mse_loss(*known_pairs(predicted[3:], unknown, "depth")) == 0


def test_a_dataset_without_depth_is_refused(splits):
    detector = build_detector(AuxiliaryConfig(**{**vars(SMALL), "target": "depth"}), 0)
    with pytest.raises(DatasetError, match="train split has no depth for any image"):
        splits["train"].delivering(detector.needs)
