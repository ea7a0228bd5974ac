import pytest
import torch
from torch import Tensor

from data_prep.synthetic.camera import gaussian_blur
from data_prep.synthetic.captions.captions import TEXTURES
from data_prep.synthetic.nuisance import (
    LOCAL_TEXTURES,
    MAX_CAST,
    MAX_NOISE,
    MIN_NOISE,
    NO_NUISANCE,
    NUISANCES,
    apply_texture,
    reprocess,
)
from data_prep.taxonomy import ATTACK_TYPES


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 1) -> Tensor:
    """Smooth pictures away from black and white, with some grain."""
    noise = torch.rand(n, 3, 96, 96, generator=generator(9))
    return (0.5 + 1.5 * (gaussian_blur(noise, 3.0) - 0.5) + 0.05 * (noise - 0.5)).clamp(0.1, 0.9)


@pytest.mark.parametrize("name", ["sign_noise", "smooth_sign_noise"])
def test_noise_keeps_within_the_stated_amplitude(name: str) -> None:
    image = pictures()
    amplitudes = []
    for seed in range(30):
        change = (NUISANCES[name](image, generator(seed)) - image).abs()
        assert change.std() < 1e-6, "sign noise has one amplitude everywhere"
        amplitudes.append(change.mean().item())
    scale = 0.8 if name == "smooth_sign_noise" else 1.0
    assert min(amplitudes) >= scale * MIN_NOISE - 1e-6
    assert max(amplitudes) <= scale * MAX_NOISE + 1e-6
    assert max(amplitudes) > 2 * min(amplitudes)


def test_smooth_noise_is_smoother() -> None:
    image = pictures()
    rough = NUISANCES["sign_noise"](image, generator()) - image
    smooth = NUISANCES["smooth_sign_noise"](image, generator()) - image

    def flips(noise: Tensor) -> float:
        return (noise.sign().diff(dim=-1) != 0).float().mean().item()

    assert flips(rough) == pytest.approx(0.5, abs=0.03)
    assert flips(smooth) < 0.3


@pytest.mark.parametrize("name", ["blur", "rescale"])
def test_blur_and_rescaling_take_detail_away(name: str) -> None:
    image = pictures()
    result = NUISANCES[name](image, generator())
    assert result.diff(dim=-1).abs().mean() < image.diff(dim=-1).abs().mean()


@pytest.mark.parametrize("name", NUISANCES)
def test_each_nuisance_changes_a_picture_but_not_beyond_recognition(name: str) -> None:
    image = pictures()
    change = (NUISANCES[name](image, generator(1)) - image).abs()
    assert 0.001 < change.mean() < 0.04


@pytest.mark.parametrize("name", NUISANCES)
def test_reprocess_keeps_the_range_and_depends_on_the_seed_only(name: str) -> None:
    images = pictures(3)
    result = reprocess(images, name, generator())
    assert result.shape == images.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert ((result - images).abs().mean(dim=(1, 2, 3)) > 3e-4).all()
    assert torch.equal(result, reprocess(images, name, generator()))


def test_a_color_cast_is_one_gain_for_each_color() -> None:
    image = pictures()
    for seed in range(10):
        gain = NUISANCES["color_cast"](image, generator(seed)) / image
        assert gain.amin((2, 3)) == pytest.approx(gain.amax((2, 3)), abs=1e-4)
        assert (gain - 1).abs().max() <= MAX_CAST + 1e-5


def test_no_nuisance_changes_nothing_and_unknown_ones_are_refused() -> None:
    images = pictures()
    assert torch.equal(reprocess(images, NO_NUISANCE, generator()), images)
    with pytest.raises(ValueError, match="unknown nuisance 'fog'; expected one of none, sign"):
        reprocess(images, "fog", generator())


@pytest.mark.parametrize("kind", TEXTURES)
def test_textures_keep_type_and_range(kind: str) -> None:
    image = pictures()[0]
    result = apply_texture(image, kind, False, generator())
    assert result.shape == image.shape
    assert result.min() >= 0
    assert result.max() <= 1
    as_bytes = (image * 255).to(torch.uint8)
    byte_result = apply_texture(as_bytes, kind, False, generator())
    assert byte_result.dtype == torch.uint8
    changed = (byte_result != as_bytes).float().mean().item()
    assert changed == 0 if kind == "clean" else changed > 0.2
    assert torch.equal(result, apply_texture(image, kind, False, generator()))


@pytest.mark.parametrize("kind", LOCAL_TEXTURES)
def test_local_textures_leave_the_rest_alone(kind: str) -> None:
    image = pictures()[0]
    for seed in range(6):
        change = (apply_texture(image, kind, True, generator(seed)) - image).abs().amax(dim=0)
        untouched = (change == 0).float().mean().item()
        assert 0.4 < untouched < 0.99
        assert change.max() > 0.001


def test_noise_strength_of_the_texture() -> None:
    image = torch.full((3, 96, 96), 0.5)
    spreads = [
        (apply_texture(image, "noisy", False, generator(seed)) - image).std().item() * 255
        for seed in range(30)
    ]
    assert min(spreads) > 2.4
    assert max(spreads) < 9.7


def test_tint_stays_within_its_strength() -> None:
    image = torch.full((3, 96, 96), 0.5)
    for seed in range(10):
        change = (apply_texture(image, "tinted", False, generator(seed)) / image - 1).abs()
        assert 0.01 < change.max() < 0.17, "12 %, and some overshoot of the bicubic"


def test_unknown_and_impossible_textures_are_refused() -> None:
    image = pictures()[0]
    with pytest.raises(ValueError, match=r"'shiny'; expected one of clean"):
        apply_texture(image, "shiny", False, generator())
    with pytest.raises(ValueError, match="'compressed' cannot be local"):
        apply_texture(image, "compressed", True, generator())


def test_harmless_noise_is_as_strong_as_that_of_fgsm_and_pgd():
    assert 255 * MAX_NOISE == ATTACK_TYPES["fgsm"].strength == ATTACK_TYPES["pgd"].strength
