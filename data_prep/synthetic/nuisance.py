"""Harmless processing of live and fake images, and textures for captions.

Without it, no live image would be noisy, blurred, enlarged, or compressed twice. A detector would
learn "smooth means live" and reject everyone with a bad phone. If only live images had it, its
traces would mean "live". If both had it equally often, the noise of adversarial attacks would come
on top, and noise would still mean "fake". ``plan`` sets how often each image gets it and explains
the cost.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.camera import downsample_upsample, gaussian_blur, jpeg, to_bytes

MIN_NOISE, MAX_NOISE = 2 / 255, 6 / 255
"""Amplitudes of sign noise, up to the largest epsilon of FGSM and PGD."""

MAX_CAST = 0.04
"""Largest relative change by a color cast, equal to the variation of the white balance."""

NO_NUISANCE = "none"

LOCAL_TEXTURES = ("noisy", "blurry", "upscaled", "tinted")
"""Textures that may cover only a part of an image (JPEG blocks are everywhere)."""


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand(1, generator=generator).item()


def _integer(generator: torch.Generator, low: int, high: int) -> int:
    """Draw an integer from low to high - 1."""
    return int(torch.randint(low, high, (1,), generator=generator))


def _normal(image: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(image.shape, generator=generator)


def _sign_noise(image: Tensor, generator: torch.Generator) -> Tensor:
    amplitude = _uniform(generator, MIN_NOISE, MAX_NOISE)
    return image + amplitude * _normal(image, generator).sign()


def _smooth_sign_noise(image: Tensor, generator: torch.Generator) -> Tensor:
    amplitude = 0.8 * _uniform(generator, MIN_NOISE, MAX_NOISE)
    return image + amplitude * gaussian_blur(_normal(image, generator), 1.2).sign()


def _blur(image: Tensor, generator: torch.Generator) -> Tensor:
    return gaussian_blur(image, _uniform(generator, 0.3, 0.8))


def _rescale(image: Tensor, generator: torch.Generator) -> Tensor:
    size = image.shape[-1]
    return downsample_upsample(image, round(size * _uniform(generator, 72 / 96, 92 / 96)))


def _compress(image: Tensor, generator: torch.Generator) -> Tensor:
    return jpeg(image, _integer(generator, 60, 93))


def _color_cast(image: Tensor, generator: torch.Generator) -> Tensor:
    """Change the white balance with one gain per color."""
    gain = 1 + MAX_CAST * (2 * torch.rand(1, 3, 1, 1, generator=generator) - 1)
    return image * gain


NUISANCES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "sign_noise": _sign_noise,
    "smooth_sign_noise": _smooth_sign_noise,
    "blur": _blur,
    "rescale": _rescale,
    "jpeg": _compress,
    "color_cast": _color_cast,
}


def reprocess(images: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Apply harmless processing to every image, each with its own strength.

    Args:
        images: sRGB in [0, 1], (b, 3, h, w).
        name: A key of NUISANCES, or NO_NUISANCE to change nothing.
        generator: The source of the strengths.

    Returns:
        Processed images in [0, 1].

    Raises:
        ValueError: If the name is unknown.
    """
    if name == NO_NUISANCE:
        return images
    if name not in NUISANCES:
        known = ", ".join((NO_NUISANCE, *NUISANCES))
        raise ValueError(f"unknown nuisance {name!r}; expected one of {known}")
    processed = [NUISANCES[name](image, generator).clamp(0, 1) for image in images.split(1)]
    return torch.cat(processed)


def apply_texture(image: Tensor, kind: str, local: bool, generator: torch.Generator) -> Tensor:
    """Give one image a texture that captions can name.

    Args:
        image: (3, h, w), float in [0, 1] or uint8; the result has the same type.
        kind: A key of captions.TEXTURES.
        local: Whether the texture covers only a soft ellipse; only for LOCAL_TEXTURES.
        generator: The source of strength and place.

    Raises:
        ValueError: If the kind is unknown, or cannot be local.
    """
    if kind not in _TEXTURES:
        raise ValueError(f"unknown texture {kind!r}; expected one of {', '.join(_TEXTURES)}")
    if local and kind not in LOCAL_TEXTURES:
        raise ValueError(f"texture {kind!r} cannot be local; only {', '.join(LOCAL_TEXTURES)}")
    if image.dtype == torch.uint8:
        return to_bytes(apply_texture(image.float() / 255, kind, local, generator))
    before = image[None]
    after = _TEXTURES[kind](before, generator).clamp(0, 1)
    if local:
        after = torch.lerp(before, after, _soft_ellipse(image, generator))
    return after[0]


def _soft_ellipse(image: Tensor, generator: torch.Generator) -> Tensor:
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    center_x, center_y = _uniform(generator, -0.5, 0.5), _uniform(generator, -0.6, 0.6)
    radius_x, radius_y = _uniform(generator, 0.25, 0.6), _uniform(generator, 0.25, 0.6)
    distance = ((x - center_x) / radius_x) ** 2 + ((y - center_y) / radius_y) ** 2
    return ((1.2 - distance) / 0.4).clamp(0, 1)


def _clean(image: Tensor, generator: torch.Generator) -> Tensor:
    return image


def _noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    """Add noise of 2.5 to 9.5 gray levels, fine or smooth, random signs or Gaussian."""
    sigma = (0.0, 0.0, 0.0, 0.8, 1.2)[_integer(generator, 0, 5)]
    noise = gaussian_blur(_normal(image, generator), sigma)
    noise = noise.sign() if _uniform(generator, 0, 1) < 0.5 else noise / noise.std()
    return image + noise * _uniform(generator, 2.5, 9.5) / 255


def _blurry(image: Tensor, generator: torch.Generator) -> Tensor:
    return gaussian_blur(image, _uniform(generator, 0.45, 1.35))


def _compressed(image: Tensor, generator: torch.Generator) -> Tensor:
    return jpeg(image, _integer(generator, 15, 61))


def _upscaled(image: Tensor, generator: torch.Generator) -> Tensor:
    size = image.shape[-1]
    return downsample_upsample(image, round(size * _uniform(generator, 40 / 96, 80 / 96)))


def _tinted(image: Tensor, generator: torch.Generator) -> Tensor:
    """Add 7 x 7 blotches of color, each channel brighter or darker by up to 12%."""
    strength = _uniform(generator, 0.04, 0.12)
    direction = (torch.rand(1, 3, 7, 7, generator=generator) * 2 - 1).sign()
    amount = torch.rand(1, 3, 7, 7, generator=generator).sqrt()
    blotches = F.interpolate(
        direction * amount, size=image.shape[-2:], mode="bicubic", align_corners=False
    )
    return image * (1 + strength * blotches)


_TEXTURES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "clean": _clean,
    "noisy": _noisy,
    "blurry": _blurry,
    "compressed": _compressed,
    "upscaled": _upscaled,
    "tinted": _tinted,
}
