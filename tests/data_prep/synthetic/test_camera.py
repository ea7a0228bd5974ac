import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from data_prep.synthetic import camera
from data_prep.synthetic.camera import (
    _blur_at_once,
    capture,
    downsample_upsample,
    gaussian_blur,
    jpeg,
    linear_to_srgb,
    resize,
    srgb_to_linear,
    to_bytes,
    tone_curve,
)
from data_prep.synthetic.people.session import sample_sessions


def random_images(n: int = 2, size: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_srgb_curve_at_known_values_and_back() -> None:
    linear = torch.tensor([0.0, 0.002, 0.0031308, 0.2140, 0.5, 1.0])
    srgb = linear_to_srgb(linear)
    assert srgb.tolist() == pytest.approx([0, 0.02584, 0.04045, 0.5, 0.73536, 1], abs=1e-4)
    assert torch.allclose(srgb_to_linear(srgb), linear, atol=1e-5)
    assert linear_to_srgb(torch.tensor([-1.0, 7.0])).tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_blur_matches_scipy(sigma: float) -> None:
    images = random_images()
    expected = ndimage.gaussian_filter(
        images.numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=3.0
    )
    assert np.abs(gaussian_blur(images, sigma).numpy() - expected).max() < 1e-5


def test_blur_takes_one_sigma_for_each_image() -> None:
    images = random_images()
    result = gaussian_blur(images, torch.tensor([0.0, 1.5]))
    assert torch.equal(result[0], images[0])
    assert torch.equal(result[1], gaussian_blur(images[1:], 1.5)[0])


def test_blurring_at_once_is_blurring_one_by_one() -> None:
    """What other devices do: the narrower kernels are widened with zeros."""
    images = random_images(4, 48)
    sigmas = [0.1, 2.2, 0.4, 1.1]
    one_by_one = gaussian_blur(images, torch.tensor(sigmas))
    assert torch.allclose(_blur_at_once(images, sigmas), one_by_one, rtol=0, atol=1e-6)


def test_every_image_needs_its_sigma() -> None:
    with pytest.raises(ValueError, match="2 images and 3 sigmas"):
        gaussian_blur(random_images(), torch.ones(3))


def test_developing_at_once_is_developing_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    light, sessions = random_images(5, 72), sample_sessions(5, seed=0)
    one_by_one = capture(light, sessions, size=48, jpeg=False)
    monkeypatch.setattr(camera, "in_chunks", lambda rows, _: [slice(0, 3), slice(3, rows)])
    at_once = capture(light, sessions, size=48, jpeg=False)
    assert torch.allclose(at_once, one_by_one, rtol=0, atol=1e-6)


def test_jpeg_keeps_the_layout_in_memory() -> None:
    """In another, later convolutions round differently, and pictures change with the code."""
    assert jpeg(random_images(), 80).is_contiguous()


def test_jpeg_matches_pillow() -> None:
    images = random_images()
    result = jpeg(images, torch.tensor([40, 95]))
    for image, quality, decoded in zip(images, (40, 95), result, strict=True):
        buffer = io.BytesIO()
        array = np.round(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(array).save(buffer, "JPEG", quality=quality)
        expected = np.asarray(Image.open(buffer)).astype(np.float32) / 255
        assert np.abs(decoded.permute(1, 2, 0).numpy() - expected).max() < 1e-6


def test_lower_quality_loses_more() -> None:
    images = gaussian_blur(random_images(size=64), 1.0)
    losses = [(jpeg(images, q) - images).abs().mean().item() for q in (20, 50, 80, 95)]
    assert losses == sorted(losses, reverse=True)


def test_shrinking_averages_as_pillow_does() -> None:
    image = random_images(1, 60)
    expected = np.stack(
        [
            np.asarray(Image.fromarray(c).resize((40, 40), Image.Resampling.BILINEAR))
            for c in image[0].numpy()
        ]
    )
    assert np.abs(resize(image, 40)[0].numpy() - expected).max() < 1e-5


def test_down_and_up_removes_fine_detail_and_keeps_the_size() -> None:
    images = random_images(size=96)
    result = downsample_upsample(images, 48)
    assert result.shape == images.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert result.diff(dim=-1).abs().mean() < 0.5 * images.diff(dim=-1).abs().mean()
    flat = torch.full((1, 3, 96, 96), 0.3)
    assert torch.allclose(downsample_upsample(flat, 50), flat, atol=1e-5)


def test_bytes_round_and_clamp() -> None:
    values = torch.tensor([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.3])
    assert to_bytes(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_tone_curve_rises_and_bends() -> None:
    light = torch.linspace(0, 2, 50)
    toned = tone_curve(light)
    assert (toned.diff() > 0).all()
    assert toned.diff()[0] > toned.diff()[-1]


def test_capture_gives_srgb_of_the_asked_size() -> None:
    sessions = sample_sessions(2, seed=0)
    picture = capture(random_images(2, 144), sessions, size=96)
    assert picture.shape == (2, 3, 96, 96)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert torch.equal(to_bytes(picture).float() / 255, picture), "JPEG gives whole gray levels"


def test_noise_belongs_to_the_session_not_to_the_batch() -> None:
    sessions = sample_sessions(3, seed=0)
    light = torch.full((3, 3, 48, 48), 0.4)
    together = capture(light, sessions, size=48, jpeg=False)
    for i in (2, 0):
        alone = capture(light[:1], sessions[i], size=48, jpeg=False)
        assert torch.equal(alone[0], together[i])
    reseeded = sessions.replace(seed=sessions.seed + 1)
    assert not torch.equal(capture(light, reseeded, size=48, jpeg=False), together)
    twins = capture(light[:2], sessions[[1, 1]], size=48, jpeg=False)
    assert torch.equal(twins[0], twins[1])


def test_noise_grows_with_light_and_with_the_sensor() -> None:
    session = sample_sessions(1, seed=0).replace(
        white_balance=torch.ones(1, 3), lens_blur=torch.zeros(1)
    )

    def noise_of(level: float, strength: float) -> float:
        picture = capture(
            torch.full((1, 3, 96, 96), level),
            session.replace(sensor_noise=torch.tensor([strength])),
            jpeg=False,
        )
        return srgb_to_linear(picture).std().item()

    assert noise_of(0.4, 0.02) > 1.5 * noise_of(0.05, 0.02)
    assert noise_of(0.4, 0.02) == pytest.approx(4 * noise_of(0.4, 0.005), rel=0.1)
    assert noise_of(0.4, 0.0) < 1e-4


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 pictures and 1 sessions"):
        capture(random_images(2, 96), sample_sessions(1, seed=0))
