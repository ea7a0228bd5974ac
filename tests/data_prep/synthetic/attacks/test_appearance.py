import pytest
import torch

from data_prep.synthetic.attacks.appearance import look_like, mean_hue, saturate
from data_prep.synthetic.camera import gaussian_blur, resize


@pytest.fixture(scope="module")
def scene():
    """Smooth colors, as of a face before a wall: (6, 3, 48, 48)."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(6, 3, 6, 6, generator=generator)
    return 0.05 + 0.7 * gaussian_blur(resize(coarse, 48), 2.0)


def faded(light):
    """What bad ink does: gray blacks, pale and bluish colors, less light."""
    return (
        0.6
        * saturate(0.15 + 0.6 * light, torch.tensor(0.75))
        * torch.tensor([0.9, 1.0, 1.3]).view(1, 3, 1, 1)
    )


def seen(light):
    return light.clamp(min=1e-4) ** (1 / 2.2)


def level(light):
    return seen(light).mean((1, 2, 3))


def contrast(light):
    return seen(light).mean(1).std((1, 2))


def colorfulness(light):
    values = seen(light)
    return (values - values.mean(1, keepdim=True)).square().mean((1, 2, 3)).sqrt()


@pytest.mark.parametrize("seed", range(4))
def test_bad_ink_comes_to_look_like_the_scene(scene, seed):
    print_ = faded(scene)
    result = look_like(print_, scene, torch.Generator().manual_seed(seed))
    assert result.shape == print_.shape
    assert (level(result) / level(scene) - 1).abs().max() < 0.09
    for measure in (contrast, colorfulness):
        missing = (measure(scene) - measure(print_)).abs()
        assert ((measure(scene) - measure(result)).abs() < 0.6 * missing).all()
    cast, before = ((mean_hue(light) - mean_hue(scene)).abs().mean() for light in (result, print_))
    assert cast < 0.75 * before  # saturation then strengthens what is left of it


def test_every_picture_is_matched_with_its_own_scene(scene):
    dark_and_bright = torch.cat([scene[:1] * 0.2, scene[:1]])
    result = look_like(faded(scene[:1]).repeat(2, 1, 1, 1), dark_and_bright, torch.Generator())
    assert level(result)[0] < 0.7 * level(result)[1]


def test_texture_stays(scene):
    """Dots of ink are finer than what is compared; they become neither weaker nor stronger."""
    print_ = faded(scene)
    dots = 1 + 0.3 * torch.rand(print_.shape, generator=torch.Generator().manual_seed(1))
    plain, dotted = (
        look_like(light, scene, torch.Generator().manual_seed(2))
        for light in (print_, print_ * dots)
    )

    def detail(light):
        return (light - gaussian_blur(light, 1.0)).square().mean()

    assert detail(dotted) > 5 * detail(plain)


def test_another_seed_leaves_another_rest(scene):
    one, same, other = (
        look_like(faded(scene), scene, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("value", [0.0, 0.5, 3.0])
def test_flat_light_stays_finite(scene, value):
    flat = torch.full_like(scene, value)
    for light, goal in ((flat, scene), (scene, flat), (flat, flat)):
        result = look_like(light, goal, torch.Generator().manual_seed(0))
        assert result.isfinite().all()
        assert result.min() >= 0


def test_saturation_of_nought_is_gray_and_of_one_is_nothing(scene):
    gray = saturate(scene, torch.tensor(0.0))
    assert torch.allclose(gray, scene.mean(1, keepdim=True).expand_as(scene))
    assert torch.equal(saturate(scene, torch.tensor(1.0)), scene)


def test_hue_is_color_without_brightness(scene):
    assert torch.allclose(mean_hue(scene), mean_hue(0.5 * scene), atol=1e-5)
    assert torch.allclose(mean_hue(scene).mean(1), torch.ones(6, 1, 1), atol=1e-6)
