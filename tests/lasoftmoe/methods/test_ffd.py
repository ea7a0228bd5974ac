"""FFD's map, its three losses, and its size."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from data_prep.manifest import DatasetError
from lasoftmoe.data import open_dataset
from lasoftmoe.methods import METHODS, build_detector, build_shape, parameter_count
from lasoftmoe.methods.ffd import (
    FFDConfig,
    MixedMap,
    RegressedMap,
    principal_components,
    regions,
    weak_map_loss,
)
from tests.lasoftmoe.tiny import write_tiny_dataset

XCEPTION = 20_809_001
"""Parameters of Xception with one output; with two it has 20,811,050."""


def batch(size=32):
    """Live, an edit with a mask of its left half, an attack without a mask, live."""
    mask = torch.zeros(4, 1, size, size, dtype=torch.uint8)
    mask[1, ..., : size // 2] = 255
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.rand(4, 3, size, size, generator=generator),
        "is_attack": torch.tensor([False, True, True, False]),
        "mask": mask,
        "has_mask": torch.tensor([False, True, False, False]),
    }


def of_size(detector):
    return sum(p.numel() for p in detector.parameters())


@pytest.mark.parametrize(("kind", "head"), [("regression", 7_280), ("template", 678_142)])
def test_the_published_sizes(kind, head):
    shape = build_shape(FFDConfig("legacy_xception", None, kind))
    assert of_size(shape.map_head) == head and of_size(shape) == XCEPTION + head
    assert XCEPTION + 2048 + 1 == 20_811_050
    assert parameter_count("ffd", "a100") == XCEPTION + 7_280


def test_maps_have_the_published_shapes():
    shape = build_shape(FFDConfig("legacy_xception", None))
    features = shape.before(torch.empty(2, 3, 299, 299, device="meta"))
    assert features.shape == (2, 728, 19, 19)
    assert shape.map_head(features).shape == (2, 1, 19, 19)
    assert shape.after(features).shape == (2, 2048)
    small = build_shape(FFDConfig(map="template"))
    features = small.before(torch.empty(2, 3, 96, 96, device="meta"))
    assert features.shape == (2, 96, 12, 12) and small.map_head(features).shape == (2, 1, 12, 12)


def test_a_map_of_ones_leaves_the_trunk(monkeypatch):
    detector = build_detector(FFDConfig(), 0)  # in training, where batch norm sets the scale
    pixels = batch(64)["image"]
    trunk = detector.head(detector.after(detector.before(2 * pixels - 1))).squeeze(1)
    assert not torch.allclose(detector.attack_score(pixels), trunk, atol=1e-4)
    monkeypatch.setattr(detector.map_head, "forward", lambda x: torch.ones_like(x[:, :1]))
    assert torch.allclose(detector.attack_score(pixels), trunk)


def test_a_map_of_zeros_hides_the_image(monkeypatch):
    detector = build_detector(FFDConfig(), 0).eval()
    monkeypatch.setattr(detector.map_head, "forward", lambda x: torch.zeros_like(x[:, :1]))
    scores = detector.attack_score(batch()["image"])
    assert torch.equal(scores, scores[:1].expand(4))


def test_a_regressed_map_is_a_sum_over_neighbors_and_channels():
    torch.manual_seed(0)
    head = RegressedMap(3).double()
    features = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    depthwise, pointwise = head[0].conv1.weight, head[0].pointwise.weight
    total = 0.0
    for channel in range(3):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                neighbor = features[0, channel, 2 + dy, 3 + dx]
                kernel = depthwise[channel, 0, 1 + dy, 1 + dx]
                total = total + pointwise[0, channel, 0, 0] * kernel * neighbor
    result = head(features)[0, 0, 2, 3]
    assert torch.allclose(result, torch.sigmoid(total))
    gradients = [torch.autograd.grad(v, depthwise)[0] for v in (result, torch.sigmoid(total))]
    assert torch.allclose(*gradients)


def test_one_coefficient_gives_its_template_and_mixing_is_linear():
    head = MixedMap(8, regions())
    for k in range(10):
        assert torch.equal(head.mix(torch.eye(10)[k : k + 1])[0, 0], head.templates[k])
    a, b = torch.randn(2, 1, 10)
    assert torch.allclose(head.mix(2 * a - b), 2 * head.mix(a) - head.mix(b), atol=1e-5)


def test_templates_are_ten_different_regions():
    templates = regions()
    assert templates.shape == (10, 19, 19) and templates.min() >= 0 and templates.max() <= 1
    cosines = F.normalize(templates.flatten(1), dim=1) @ F.normalize(templates.flatten(1), dim=1).T
    assert (cosines - torch.eye(10)).max() < 0.9
    top, left = templates[6, :10].sum(), templates[8, :, :10].sum()  # a mouth, and one side
    assert top < 0.2 * templates[6].sum() and left > 0.8 * templates[8].sum()


def test_principal_components_rebuild_what_they_come_from():
    torch.manual_seed(0)
    basis, weights = torch.randn(3, 4, 4).double(), torch.randn(20, 3).double()
    masks = 0.5 + torch.einsum("nk,khw->nhw", weights, basis)
    mean, components = principal_components(masks, 3)
    assert torch.allclose(mean, masks.mean(dim=0))
    flat = components.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(3).double(), atol=1e-9)
    centered = (masks - mean).flatten(1)
    assert torch.allclose(centered @ flat.T @ flat, centered, atol=1e-9)
    with pytest.raises(ValueError, match="10 principal components need more than 4 masks"):
        principal_components(masks[:4])


def test_masks_are_learned_before_training_and_zero_coefficients_give_their_mean(tmp_path, runs):
    folder = write_tiny_dataset(tmp_path / "tiny", size=32, maps=True)
    train_set = open_dataset(folder, splits=["train"])["train"]
    detector = build_detector(FFDConfig(map="pca", map_loss="none", pca_masks=12), 0)
    assert detector.needs == ("mask",)
    detector.prepare(train_set)
    mean = detector.map_head.mix(torch.zeros(1, 10))[0, 0]
    assert torch.allclose(mean[:, :9], torch.ones(19, 9)) and mean[:, 10:].abs().max() < 1e-6
    other = build_detector(FFDConfig(map="pca", map_loss="none"), 1)
    other.load_state_dict(detector.state_dict())
    assert torch.equal(other.map_head.constant, mean)


@pytest.mark.parametrize(("unmasked", "known"), [("ones", [1, 1, 1, 1]), ("unknown", [1, 1, 0, 1])])
def test_targets_are_zeros_the_mask_or_what_the_policy_says(unmasked, known):
    detector = build_detector(FFDConfig(unmasked=unmasked), 0)
    maps, has = detector.map_target(batch(), (4, 4))
    assert has.tolist() == [bool(k) for k in known]
    assert maps[[0, 3]].abs().max() == 0 and maps[2].min() == 1
    assert maps[1, 0, 0].tolist() == [1, 1, 0, 0]


def test_averaging_keeps_the_mass_of_a_mask_and_moves_with_it():
    detector = build_detector(FFDConfig(), 0)
    soft = batch()
    soft["mask"][1] = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8)
    maps, _ = detector.map_target(soft, (4, 4))
    assert torch.allclose(maps[1].mean(), soft["mask"][1].float().mean() / 255)
    flipped, _ = detector.map_target(soft | {"mask": soft["mask"].flip(3)}, (4, 4))
    assert torch.allclose(flipped, maps.flip(3))


@pytest.mark.parametrize("unmasked", ["ones", "unknown"])
def test_the_loss_of_the_map_is_the_mean_error_over_known_images(unmasked, monkeypatch):
    detector = build_detector(FFDConfig(unmasked=unmasked, map_weight=0.5), 0).double().eval()
    data = batch()
    loss = detector.training_loss(data)["map"]
    _, maps = detector.logits_and_maps(data["image"])
    target, _ = detector.map_target(data, (4, 4))
    rows = range(4) if unmasked == "ones" else (0, 1, 3)
    total = sum(
        (maps[i, 0, y, x] - target[i, 0, y, x]).abs()
        for i in rows
        for y in range(4)
        for x in range(4)
    )
    expected = 0.5 * total / (16 * len(rows))
    assert torch.allclose(loss, expected)
    weight = detector.before[0][0].weight
    gradients = [torch.autograd.grad(v, weight, retain_graph=True)[0] for v in (loss, expected)]
    assert torch.allclose(*gradients)
    logits = torch.zeros(4, dtype=torch.float64)
    monkeypatch.setattr(detector, "logits_and_maps", lambda images: (logits, target.double()))
    assert detector.training_loss(data)["map"] == 0
    assert detector.training_loss(data)["class"].item() == pytest.approx(math.log(2))


def test_a_batch_without_known_maps_teaches_none():
    detector = build_detector(FFDConfig(unmasked="unknown"), 0)
    alone = {name: value[2:3] for name, value in batch(64).items()}
    assert detector.eval().training_loss(alone)["map"] == 0


def test_the_weak_loss_looks_at_the_largest_value():
    maps = torch.zeros(3, 1, 4, 4)
    is_attack = torch.tensor([False, True, True])
    maps[1, 0, 2, 1] = 0.75
    assert weak_map_loss(maps[:2], is_attack[:2]) == 0
    maps[0, 0, 0, 0] = 0.3
    assert weak_map_loss(maps, is_attack).item() == pytest.approx((0.3 + 0 + 0.75) / 3)


@pytest.mark.parametrize("map_loss", ["mask", "weak"])
def test_the_loss_of_the_map_stops_at_the_map(map_loss):
    detector = build_detector(FFDConfig(map_loss=map_loss), 0)
    detector.training_loss(batch(64))["map"].backward()
    reached = {
        name.split(".")[0]
        for name, p in detector.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0
    }
    assert reached == {"before", "map_head"}


def test_without_a_loss_of_the_map_only_the_class_teaches():
    detector = build_detector(FFDConfig(map_loss="none"), 0)
    assert detector.needs == ()
    data = {name: value for name, value in batch(64).items() if "mask" not in name}
    loss = detector.training_loss(data)
    assert set(loss) == {"class"}
    loss["class"].backward()
    assert detector.map_head[0].pointwise.weight.grad.abs().max() > 0


def test_a_dataset_without_masks_is_refused(splits):
    detector = build_detector(FFDConfig(), 0)
    with pytest.raises(DatasetError, match="train split has no mask for any image"):
        splits["train"].delivering(detector.needs)


def test_a_small_backbone_has_no_weights():
    with pytest.raises(ValueError, match="no weights 'tf_in1k' for the small backbone"):
        FFDConfig("small", "tf_in1k")
    weights = METHODS["ffd"].weights
    assert weights(FFDConfig()) is None
    assert "xception.tf_in1k" in weights(FFDConfig("legacy_xception", "tf_in1k")).call
    assert isinstance(build_detector(FFDConfig(), 0).head, nn.Linear)
