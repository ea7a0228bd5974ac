"""ConvNeXt has its published size, and its augmentation changes what it says and nothing else."""

import pytest
import torch

from lasoftmoe.methods import build_detector, parameter_count
from lasoftmoe.methods.convnext import ERASED_SIDE, ConvNeXtConfig, erased, jittered


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=6, size=20):
    return torch.rand(count, 3, size, size, generator=generator(1))


def test_the_published_size():
    """28,589,128 with 1,000 classes: 27,820,128 parameters before the last layer."""
    assert parameter_count("convnext", "a100") == 27_820_128 + 768 + 1


def test_jitter_multiplies_brightness_then_contrast_of_each_image():
    pixels = 0.4 + 0.2 * images()
    result = jittered(pixels, 0.2, generator())
    draws = torch.rand(2, 6, generator=generator())
    for image, changed, b, c in zip(pixels, result, *(0.8 + 0.4 * draws), strict=True):
        bright = image * b
        assert torch.allclose(changed, bright.mean() + c * (bright - bright.mean()), atol=1e-6)


def test_no_jitter_changes_nothing_and_much_stays_in_range():
    pixels = images()
    assert torch.allclose(jittered(pixels, 0.0, generator()), pixels, atol=1e-6)
    strong = jittered(pixels, 1.0, generator())
    assert strong.min() >= 0 and strong.max() <= 1 and not torch.allclose(strong, pixels)


def test_erasing_grays_one_square_of_some_images():
    pixels = images(200)
    changed = (erased(pixels, 0.25, generator()) != pixels).any(dim=1)
    hit = changed.flatten(1).any(dim=1)
    assert 30 < hit.sum() < 70
    side = round(ERASED_SIDE * 20)
    for place in changed[hit]:
        rows, columns = place.any(dim=1).nonzero(), place.any(dim=0).nonzero()
        assert place.sum() == side**2
        assert len(rows) == len(columns) == side == rows.max() - rows.min() + 1
    assert torch.equal(erased(pixels, 0.0, generator()), pixels)
    assert (erased(pixels, 1.0, generator()) == 0.5).flatten(1).any(dim=1).all()


def test_augmentation_keeps_labels_and_follows_its_generator():
    detector = build_detector(ConvNeXtConfig(), 0)
    batch = {"image": (255 * images(6, 32)).to(torch.uint8), "is_attack": torch.arange(6) > 2}
    first, again, other = (detector.augment(batch, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])
    assert first["is_attack"] is batch["is_attack"] and batch["image"].dtype == torch.uint8
    assert torch.isfinite(detector.training_loss(first))


def test_another_network_is_refused():
    with pytest.raises(ValueError, match=r"'resnet50' is no ConvNeXt of timm; known: .*convnext"):
        ConvNeXtConfig("resnet50")
