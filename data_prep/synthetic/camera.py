"""The camera, which turns linear light into a JPEG-compressed sRGB image."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data_prep.synthetic.fields import in_chunks
from data_prep.synthetic.people.session import Sessions

CAPTURE_SIZE = 96
_NO_BLUR = 0.15
"""Sigma below which a kernel of three taps would only lose precision."""


def capture(
    radiance: Tensor, sessions: Sessions, size: int = CAPTURE_SIZE, jpeg: bool = True
) -> Tensor:
    """Photograph light: lens blur, pixels, white balance, sensor noise, tone curve, JPEG.

    The noise of image i depends only on ``sessions.seed[i]``, not on its neighbors. Two captures
    with the same seed share their noise.

    Args:
        radiance: Linear RGB, (b, 3, h, h).
        sessions: b rows.
        size: Side of the result in pixels.
        jpeg: Whether to compress with the session's quality.

    Returns:
        sRGB in [0, 1], (b, 3, size, size).

    Raises:
        ValueError: If the numbers of images and sessions differ.
    """
    if len(radiance) != len(sessions):
        raise ValueError(f"{len(radiance)} pictures and {len(sessions)} sessions: expected equal")
    sigmas = (sessions.lens_blur.double() * (radiance.shape[-1] / size)).tolist()
    pictures = [
        _expose(
            radiance[rows],
            sessions.for_drawing(rows, radiance.device),
            sigmas[rows],
            _grain(sessions.seed[rows], size),
        )
        for rows in in_chunks(len(radiance), radiance.device)
    ]
    result = torch.cat(pictures)
    return _compress(result, sessions.jpeg_quality) if jpeg else result


def _grain(seeds: Tensor, size: int) -> Tensor:
    """Draw sensor noise (b, 3, size, size) on the CPU, so that it is the same on every device."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
    shape = (3, size, size)
    return torch.stack([torch.randn(shape, generator=g, device="cpu") for g in generators])


def _expose(
    radiance: Tensor, session: SimpleNamespace, sigmas: list[float], grain: Tensor
) -> Tensor:
    """Develop light (b, 3, h, h), given b lens sigmas in pixels and grain (b, 3, size, size)."""
    light = _blur_each(radiance, sigmas)
    if light.shape[-1] != grain.shape[-1]:
        light = resize(light, grain.shape[-1])
    light = (light * session.white_balance).clamp(min=0)
    grain = grain.to(light.device)
    # Photon noise grows with the square root of the light; 0.02 models read-out noise.
    light = light + session.sensor_noise * grain * (light + 0.02).sqrt()
    return linear_to_srgb(tone_curve(light.clamp(min=0)))


def tone_curve(light: Tensor) -> Tensor:
    """Apply a soft shoulder that keeps highlights from clipping."""
    return 1.12 * light * (1 + 0.12 * light) / (1 + 0.35 * light)


def linear_to_srgb(light: Tensor) -> Tensor:
    """Encode linear light, clamped to [0, 1], as sRGB (IEC 61966-2-1)."""
    light = light.clamp(0, 1)
    curve = 1.055 * light.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curve)


def srgb_to_linear(color: Tensor) -> Tensor:
    """Decode sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    curve = ((color + 0.055) / 1.055).clamp(min=0) ** 2.4
    return torch.where(color <= 0.04045, color / 12.92, curve)


def gaussian_blur(images: Tensor, sigma: float | Tensor) -> Tensor:
    """Apply a Gaussian blur with mirrored borders, cut off at three sigmas.

    Args:
        images: (b, c, h, w).
        sigma: In pixels; a number, or one for each image (b,), preferably on the CPU. A sigma
            below 0.15 has no effect.

    Raises:
        ValueError: If the numbers of images and sigmas differ.
    """
    if not isinstance(sigma, Tensor) or sigma.dim() == 0:
        return _blur_alike(images, float(sigma))
    sigmas = sigma.flatten().tolist()
    if len(sigmas) != len(images):
        raise ValueError(f"{len(images)} images and {len(sigmas)} sigmas: expected equal numbers")
    return _blur_each(images, sigmas)


def _blur_alike(images: Tensor, sigma: float) -> Tensor:
    if sigma < _NO_BLUR:
        return images
    kernel = _blur_kernel(sigma, images.dtype).to(images.device)
    return _blur_channels(images, kernel.expand(images.shape[1], -1))


def _blur_each(images: Tensor, sigmas: list[float]) -> Tensor:
    """Blur each image by its own sigma."""
    if images.device.type != "cpu":
        return _blur_at_once(images, sigmas)
    # One by one on a CPU, so that not every kernel is as wide as the widest.
    pairs = zip(images.split(1), sigmas, strict=True)
    return torch.cat([_blur_alike(image, sigma) for image, sigma in pairs])


def _blur_at_once(images: Tensor, sigmas: list[float]) -> Tensor:
    """Blur all images as the channels of one; zeros widen the narrower kernels."""
    kernels = [_blur_kernel(sigma, images.dtype) for sigma in sigmas]
    widest = max(len(kernel) for kernel in kernels)
    sides = [(widest - len(kernel)) // 2 for kernel in kernels]
    table = torch.stack([F.pad(k, (s, s)) for k, s in zip(kernels, sides, strict=True)])
    table = table.to(images.device).repeat_interleave(images.shape[1], dim=0)
    return _blur_channels(images.reshape(1, -1, *images.shape[2:]), table).view(images.shape)


def _blur_kernel(sigma: float, dtype: torch.dtype) -> Tensor:
    """Return weights (2 * radius + 1,) on the CPU; one tap means no blur."""
    if sigma < _NO_BLUR:
        return torch.ones(1, dtype=dtype, device="cpu")
    radius = max(1, int(3 * sigma + 0.5))
    taps = torch.arange(-radius, radius + 1, dtype=dtype, device="cpu")
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    return kernel / kernel.sum()


def _blur_channels(images: Tensor, kernels: Tensor) -> Tensor:
    """Blur channel i of images (b, c, h, w) along rows and columns with row i of ``kernels``."""
    channels, taps = kernels.shape
    radius = taps // 2
    rows = F.pad(images, (radius, radius, 0, 0), mode="reflect")
    images = F.conv2d(rows, kernels.reshape(channels, 1, 1, taps), groups=channels)
    columns = F.pad(images, (0, 0, radius, radius), mode="reflect")
    return F.conv2d(columns, kernels.reshape(channels, 1, taps, 1), groups=channels)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize to ``size`` pixels per side; shrinking averages, as a sensor's pixels do."""
    return F.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def downsample_upsample(images: Tensor, size: int) -> Tensor:
    """Shrink to ``size`` pixels per side and enlarge again (bicubic); values stay in [0, 1]."""
    height, width = images.shape[-2:]
    small = resize(images, size)
    large = F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)
    return large.clamp(0, 1)


def jpeg(images: Tensor, quality: int | Tensor) -> Tensor:
    """Compress and decode with Pillow's JPEG (baseline, 4:2:0).

    Args:
        images: sRGB in [0, 1], (b, 3, h, w).
        quality: 1 to 100; a number, or one for each image (b,).
    """
    return _compress(images, quality)


def _compress(images: Tensor, quality: int | Tensor) -> Tensor:
    qualities = torch.as_tensor(quality).expand(len(images)).tolist()
    # Pillow works on the CPU, so all images are copied there and back at once.
    arrays = to_bytes(images).permute(0, 2, 3, 1).cpu().numpy()
    decoded = np.stack(
        [_jpeg_one(array, int(value)) for array, value in zip(arrays, qualities, strict=True)]
    )
    # Contiguous, because convolutions and sums round differently in other layouts.
    pictures = torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous()
    return pictures.to(images.device, images.dtype) / 255


def _jpeg_one(array: np.ndarray, quality: int) -> np.ndarray:
    """Encode and decode one image, (h, w, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def to_bytes(images: Tensor) -> Tensor:
    """Round images in [0, 1] to uint8, 0 to 255."""
    return (images.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
