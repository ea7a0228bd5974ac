"""The camera: from linear light to a JPEG-compressed sRGB picture, and its tools for others."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data_prep.synthetic.session import Sessions

CAPTURE_SIZE = 96


def capture(
    radiance: Tensor, sessions: Sessions, size: int = CAPTURE_SIZE, jpeg: bool = True
) -> Tensor:
    """Photograph light: lens blur, pixels, white balance, sensor noise, tone curve, JPEG.

    The noise of picture i comes from ``sessions.seed[i]`` alone, so a picture does not depend
    on its neighbors; two captures with one seed share their noise.

    Args:
        radiance: linear RGB, (b, 3, h, h).
        sessions: b rows.
        size: pixels a side of the result.
        jpeg: whether to compress with the session's quality.

    Returns:
        sRGB in [0, 1], (b, 3, size, size).

    Raises:
        ValueError: if the numbers of pictures and sessions differ.
    """
    if len(radiance) != len(sessions):
        raise ValueError(f"{len(radiance)} pictures and {len(sessions)} sessions: expected equal")
    ratio = radiance.shape[-1] / size
    pictures = [
        _expose(radiance[i : i + 1], sessions.row(i, radiance.device), size, ratio)
        for i in range(len(radiance))
    ]
    result = torch.cat(pictures)
    return _compress(result, sessions.jpeg_quality) if jpeg else result


def _expose(radiance: Tensor, session: SimpleNamespace, size: int, ratio: float) -> Tensor:
    light = gaussian_blur(radiance, session.lens_blur * ratio)
    if light.shape[-1] != size:
        light = resize(light, size)
    light = (light * session.white_balance).clamp(min=0)
    generator = torch.Generator().manual_seed(int(session.seed))
    # Drawn on the CPU, so that a picture has the same noise on every device.
    grain = torch.randn(light.shape, generator=generator, device="cpu").to(light.device)
    # Photon noise grows with the root of the light; 0.02 stands for the noise of reading out.
    light = light + session.sensor_noise * grain * (light + 0.02).sqrt()
    return linear_to_srgb(tone_curve(light.clamp(min=0)))


def tone_curve(light: Tensor) -> Tensor:
    """Soft shoulder that keeps highlights from clipping."""
    return 1.12 * light * (1 + 0.12 * light) / (1 + 0.35 * light)


def linear_to_srgb(light: Tensor) -> Tensor:
    """IEC 61966-2-1 encoding of linear light, clamped to [0, 1]."""
    light = light.clamp(0, 1)
    curve = 1.055 * light.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curve)


def srgb_to_linear(color: Tensor) -> Tensor:
    """IEC 61966-2-1 decoding of sRGB in [0, 1]."""
    curve = ((color + 0.055) / 1.055).clamp(min=0) ** 2.4
    return torch.where(color <= 0.04045, color / 12.92, curve)


def gaussian_blur(images: Tensor, sigma: float | Tensor) -> Tensor:
    """Gaussian blur with mirrored borders, cut off at three sigmas.

    Args:
        images: (b, c, h, w).
        sigma: in pixels; a number, or one for each image (b,). Below 0.15 nothing happens.
    """
    if isinstance(sigma, Tensor) and sigma.dim() > 0:
        pairs = zip(images.split(1), sigma.flatten().tolist(), strict=True)
        return torch.cat([gaussian_blur(image, value) for image, value in pairs])
    sigma = float(sigma)
    if sigma < 0.15:
        return images
    radius = max(1, int(3 * sigma + 0.5))
    taps = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    rows = F.pad(images, (radius, radius, 0, 0), mode="reflect")
    images = F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    columns = F.pad(images, (0, 0, radius, radius), mode="reflect")
    return F.conv2d(columns, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize to ``size`` pixels a side; shrinking averages, as a sensor's pixels do."""
    return F.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def downsample_upsample(images: Tensor, size: int) -> Tensor:
    """Shrink to ``size`` pixels a side and enlarge back (bicubic); values stay in [0, 1]."""
    height, width = images.shape[-2:]
    small = resize(images, size)
    large = F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)
    return large.clamp(0, 1)


def jpeg(images: Tensor, quality: int | Tensor) -> Tensor:
    """Compress and decode with Pillow's JPEG (baseline, 4:2:0).

    Args:
        images: sRGB in [0, 1], (b, 3, h, w).
        quality: 1 to 95 and up to 100; a number, or one for each image (b,).
    """
    return _compress(images, quality)


def _compress(images: Tensor, quality: int | Tensor) -> Tensor:
    qualities = torch.as_tensor(quality).expand(len(images)).tolist()
    return torch.stack(
        [_jpeg_one(image, int(value)) for image, value in zip(images, qualities, strict=True)]
    )


def _jpeg_one(image: Tensor, quality: int) -> Tensor:
    buffer = io.BytesIO()
    values = to_bytes(image).permute(1, 2, 0).cpu().numpy()
    Image.fromarray(values).save(buffer, "JPEG", quality=quality)
    decoded = torch.from_numpy(np.array(Image.open(buffer)))
    return decoded.permute(2, 0, 1).to(image.device, image.dtype) / 255


def to_bytes(images: Tensor) -> Tensor:
    """Pictures in [0, 1] as uint8 0 to 255, rounded."""
    return (images.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
