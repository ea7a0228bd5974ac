"""The small CLIP's stem: what it sees, what it returns, what it refuses."""

import pytest
import torch

from lasoftmoe.small_clip.stem import CLIP_LIMIT, ConvStem, box_blur, texture_channels

STD = (0.25, 0.25, 0.25)


@pytest.fixture
def stem() -> ConvStem:
    torch.manual_seed(0)
    return ConvStem(width=24, pixel_std=STD)


def test_tokens_of_a_96_pixel_image_form_an_8_by_8_grid(stem):
    assert stem(torch.rand(2, 3, 96, 96)).shape == (2, 24, 8, 8)


def test_a_flat_image_has_no_texture():
    flat = torch.full((1, 3, 24, 24), 0.7)
    channels = texture_channels(flat, torch.tensor(STD).view(3, 1, 1))
    assert channels.shape == (1, 9, 24, 24)
    assert torch.allclose(channels[:, 3:], torch.zeros(1, 6, 24, 24), atol=1e-5)


def test_residuals_do_not_depend_on_the_normalization():
    pixels = torch.rand(1, 3, 24, 24)
    std, mean = torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1), 0.45
    normalized = texture_channels((pixels - mean) / std, std)[:, 3:]
    raw = texture_channels(pixels, torch.ones(3, 1, 1))[:, 3:]
    assert torch.allclose(normalized, raw, atol=1e-4)


def test_noise_of_four_gray_levels_is_plain_in_the_high_pass_and_stays_clipped():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 48, 48, generator=generator).sign() * 4 / 255
    channels = texture_channels(0.5 + noise, torch.ones(3, 1, 1))
    assert channels[:, 3:].std() > 10 * noise.std()
    assert texture_channels(50 * noise, torch.ones(3, 1, 1))[:, 3:].abs().max() == CLIP_LIMIT


def test_box_blur_is_the_mean_of_nine_neighbors():
    image = torch.arange(25.0).view(1, 1, 5, 5)
    assert box_blur(image)[0, 0, 2, 2] == image[0, 0, 1:4, 1:4].mean()


def test_eval_output_of_an_image_ignores_the_rest_of_its_batch(stem):
    images = torch.rand(4, 3, 24, 24)
    stem.eval()
    assert torch.allclose(stem(images)[:1], stem(images[:1]), atol=1e-5)


def test_sides_that_are_not_multiples_of_twelve_are_refused(stem):
    with pytest.raises(ValueError, match=r"100 x 96 pixels.*multiples of 12"):
        stem(torch.rand(1, 3, 100, 96))


def test_the_layout_branch_adds_nothing_at_first_and_one_vector_to_all_tokens_later():
    torch.manual_seed(0)
    stem = ConvStem(24, (0.25, 0.25, 0.25), layout_channels=4).eval()
    images = torch.randn(2, 3, 96, 96)
    plain = stem(images)
    branch, stem.layout = stem.layout, None
    assert torch.equal(plain, stem(images))
    stem.layout = branch
    torch.nn.init.normal_(branch[-1].weight)
    added = stem(images) - plain
    assert added.abs().max() > 0.01
    assert torch.allclose(added, added[:, :, :1, :1].expand_as(added), atol=1e-4)
    assert not torch.allclose(added[0], added[1], atol=1e-3)


def test_the_layout_branch_tells_places_apart():
    """The same patches elsewhere: tokens move along, what the branch adds is another vector."""
    torch.manual_seed(0)
    stem = ConvStem(24, (0.25, 0.25, 0.25), layout_channels=4).eval()
    torch.nn.init.normal_(stem.layout[-1].weight)
    tokens = torch.zeros(2, 24, 8, 8)
    tokens[0, :, 2, 2] = tokens[1, :, 5, 5] = torch.randn(24)
    here, there = stem.layout(tokens)
    assert not torch.allclose(here, there, atol=1e-3)
    assert stem(torch.randn(1, 3, 120, 72)).shape == (1, 24, 10, 6)
