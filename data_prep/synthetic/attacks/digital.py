"""Six edits of a capture, each with a mask of the changed pixels.

An edit works on a camera's image, as deepfake tools do. A decoder draws a face that is slightly
coarser than the capture and lacks its sensor noise, and the edit blends it in. The traces are those
of real tools: lost detail, a seam, a checkerboard, mismatched noise.

Every edit takes a ``Capture`` and returns ``(image, mask)``: sRGB in [0, 1], (batch, 3, h, w), and
the weight of the edit, (batch, 1, h, w). Where the mask is 0, the image equals the capture. Images
of other faces are from the same session as the capture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from data_prep.synthetic.attacks.draw import draw_strength, maybe, uniform
from data_prep.synthetic.camera import downsample_upsample, gaussian_blur
from data_prep.synthetic.noise import BLOTCHES, noise, smoothstep


@dataclass(frozen=True)
class Capture:
    """A camera's image with the renderer's maps.

    Args:
        image: sRGB in [0, 1], (batch, 3, h, w).
        canonical: Face coordinates (X right, Y up) of each pixel, (batch, 2, h, w).
        face_mask: 1 on the face, (batch, 1, h, w).
        noise: Noise level of the sensor, (batch, 1, 1, 1).
    """

    image: Tensor
    canonical: Tensor
    face_mask: Tensor
    noise: Tensor


# Landmarks of the expression in face coordinates, (x, y, radius); pairs are on both sides.
_PAIRED_LANDMARKS = ((0.27, -0.56, 0.14), (0.28, 0.08, 0.13), (0.27, 0.25, 0.12))
_MIDDLE_LANDMARKS = ((0.0, -0.30, 0.16), (0.0, -0.85, 0.20))
# Centers of patches to inpaint: eyes, nose, mouth, cheeks, forehead.
_PATCH_CENTERS = (
    (-0.28, 0.07),
    (0.28, 0.07),
    (0.0, -0.25),
    (0.0, -0.55),
    (-0.35, -0.35),
    (0.35, -0.35),
    (0.0, 0.40),
)


def face_swap(
    target: Capture, donor: Tensor, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Blend the inner face of ``donor``, an aligned image, into the capture."""
    batch = len(target.image)
    mask = _inner_face(target, generator)
    face = _coarsen(donor, draw_strength("face_swap", batch, generator, strength))
    # Like swapping tools, transfer most of the difference of the mean colors.
    share = uniform(batch, 0.4, 1.0, generator)
    face = face + share * (_mean_inside(target.image, mask) - _mean_inside(face, mask))
    return _blend(target, face, mask, 0.4, generator)


def reenactment(
    target: Capture, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Warp brows, eyes, mouth, and chin to another expression."""
    batch = len(target.image)
    mask = _inner_face(target, generator)
    amount = draw_strength("reenactment", batch, generator, strength)
    dx, dy = _expression_shift(target.canonical, amount, generator)
    face = _warp(target.image, dx * mask, dy * mask)
    face = _coarsen(face, uniform(batch, 1.15, 1.7, generator))
    return _blend(target, face, mask, 0.5, generator)


def attribute(
    target: Capture, edited: Tensor, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Blend in ``edited``, the same face in the same session with one changed attribute."""
    batch = len(target.image)
    coarseness = draw_strength("attribute", batch, generator, strength)
    face = _coarsen(edited, coarseness)
    checkered = maybe(batch, 0.5, generator)
    face = torch.lerp(face, _checkerboard(face, uniform(batch, 0, 0.012, generator)), checkered)
    changed = gaussian_blur((edited - target.image).abs().mean(1, keepdim=True), 2.0) > 0.06
    region = torch.maximum(target.face_mask, changed.float())
    mask = gaussian_blur(region, 2.0) * uniform(batch, 0.8, 1.0, generator)
    return _blend(target, face, mask, 0.35, generator)


def gan(
    target: Capture, clean: Tensor, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Re-synthesize the whole image from ``clean``, the same scene with little sensor noise."""
    batch = len(target.image)
    amplitude = draw_strength("gan", batch, generator, strength)
    picture = _coarsen(clean, uniform(batch, 1.15, 1.6, generator))
    picture = _checkerboard(picture, amplitude)
    mask = torch.ones_like(target.face_mask)
    return _blend(target, picture, mask, 0.6, generator)


def inpainting(
    target: Capture, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Cut two patches out of the face and fill them from their surroundings."""
    batch = len(target.image)
    mask = _patches(target, draw_strength("inpainting", batch, generator, strength), generator)
    fill = _fill_from_outside(target.image, mask)
    # Some in-painters copy texture from elsewhere; here it comes from the mirrored image.
    mirrored = target.image.flip(3)
    detail = mirrored - gaussian_blur(mirrored, 1.5)
    fill = fill + uniform(batch, 0, 0.8, generator) * detail
    return _blend(target, fill, mask, 0.3, generator)


def talking(
    target: Capture, other: Tensor, generator: torch.Generator, strength: float | None = None
) -> tuple[Tensor, Tensor]:
    """Blend in the mouth region of ``other``, the same face with another mouth."""
    batch = len(target.image)
    x, y = target.canonical[:, 0:1], target.canonical[:, 1:2]
    half_width = uniform(batch, 0.36, 0.50, generator)
    half_height = uniform(batch, 0.26, 0.36, generator)
    mask = _soft_ellipse(x / half_width, (y + 0.62) / half_height) * target.face_mask
    shift_x, shift_y = (uniform(batch, -0.02, 0.02, generator) for _ in range(2))
    mouth = _warp(other, shift_x, shift_y)
    mouth = _coarsen(mouth, draw_strength("talking", batch, generator, strength))
    mouth = mouth * uniform(batch, 0.94, 1.06, generator)
    return _blend(target, mouth, mask, 0.4, generator)


def _blend(
    target: Capture, face: Tensor, mask: Tensor, noise_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend ``face`` into the capture and restore a share of the sensor noise."""
    noise = torch.randn(face.shape, generator=generator) * target.noise / 2
    face = (face + noise_share * noise).clamp(0, 1)
    return torch.lerp(target.image, face, mask), mask


def _inner_face(target: Capture, generator: torch.Generator) -> Tensor:
    """Return a soft ellipse from the brows to the chin, inside the face."""
    batch = len(target.image)
    x, y = target.canonical[:, 0:1], target.canonical[:, 1:2]
    half_width = uniform(batch, 0.46, 0.58, generator)
    half_height = uniform(batch, 0.60, 0.72, generator)
    return _soft_ellipse(x / half_width, (y + 0.18) / half_height) * target.face_mask


def _soft_ellipse(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 inside the unit circle, 0 outside, with a soft seam."""
    return 1 - smoothstep(0.75, 1.15, x.square() + y.square())


def _mean_inside(images: Tensor, mask: Tensor) -> Tensor:
    return (images * mask).sum((2, 3), keepdim=True) / (mask.sum((2, 3), keepdim=True) + 1e-6)


def _coarsen(images: Tensor, coarseness: Tensor) -> Tensor:
    """Remove detail finer than a grid ``coarseness`` times as wide as the pixels."""
    size = images.shape[-1]
    grids = (size / coarseness).round().int().flatten().tolist()
    pairs = zip(images.split(1), grids, strict=True)
    return torch.cat([downsample_upsample(image, grid) for image, grid in pairs])


def _checkerboard(images: Tensor, amplitude: Tensor) -> Tensor:
    """Apply the unequal gains of a stride-2 transposed convolution to each 2 x 2 cell.

    The pattern is fixed, like the weights of one decoder; only its amplitude varies.
    """
    cell = torch.tensor([[1.0, -0.4], [-1.3, 0.7]])
    gain = cell.repeat(images.shape[-2] // 2, images.shape[-1] // 2)
    return (images * (1 + amplitude * gain)).clamp(0, 1)


def _expression_shift(
    canonical: Tensor, amount: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw an expression's shifts, (batch, 1, h, w), mostly symmetric as in real faces."""
    x, y = canonical[:, 0:1], canonical[:, 1:2]
    batch = len(canonical)

    def normal() -> Tensor:
        return torch.randn(batch, 1, 1, 1, generator=generator)

    dx, dy = torch.zeros_like(x), torch.zeros_like(x)
    for center_x, center_y, radius in _PAIRED_LANDMARKS:
        together_x, together_y = normal(), normal()
        for side in (-1, 1):
            weight = _bump(x - side * center_x, y - center_y, radius)
            dx = dx + weight * (0.9 * side * together_x + 0.4 * normal())
            dy = dy + weight * (0.9 * together_y + 0.4 * normal())
    for center_x, center_y, radius in _MIDDLE_LANDMARKS:
        weight = _bump(x - center_x, y - center_y, radius)
        dx, dy = dx + weight * normal() / 2, dy + weight * normal()
    return amount * dx, amount * dy


def _bump(dx: Tensor, dy: Tensor, radius: float) -> Tensor:
    return torch.exp(-(dx.square() + dy.square()) / (2 * radius**2))


def _warp(images: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Shift the image's content, in half image widths; each shift is a map or a number."""
    batch, _, height, width = images.shape
    v = ((torch.arange(height) + 0.5) / height * 2 - 1).view(1, 1, height, 1)
    u = ((torch.arange(width) + 0.5) / width * 2 - 1).view(1, 1, 1, width)
    where = [(axis - d).expand(batch, 1, height, width) for axis, d in ((u, dx), (v, dy))]
    grid = torch.cat(where, 1).permute(0, 2, 3, 1)
    warped = F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return warped.clamp(0, 1)


def _patches(target: Capture, half_axis: Tensor, generator: torch.Generator) -> Tensor:
    """Draw two ragged ellipses on the face, (batch, 1, h, w)."""
    x, y = target.canonical[:, 0:1], target.canonical[:, 1:2]
    batch = len(x)
    centers = torch.tensor(_PATCH_CENTERS)
    mask = torch.zeros_like(x)
    for index in range(2):
        chosen = centers[torch.randint(len(centers), (batch,), generator=generator)]
        center_x, center_y = chosen.T.reshape(2, batch, 1, 1, 1)
        flat = uniform(batch, 0.75, 1.0, generator)
        radius = torch.hypot((x - center_x) / half_axis, (y - center_y) / (half_axis * flat))
        ragged = radius.square() + 0.25 * noise(BLOTCHES, 1.5 * x + index, 1.5 * y)
        mask = torch.maximum(mask, 1 - smoothstep(0.85, 1.1, ragged))
    return mask * target.face_mask


def _fill_from_outside(images: Tensor, mask: Tensor) -> Tensor:
    """Fill the mask with averages from outside, fine ones near the edge and coarse ones inside."""
    outside = 1 - mask
    fill = torch.zeros_like(images)
    for sigma in (10.0, 5.0, 2.0):
        weight = gaussian_blur(outside, sigma)
        average = gaussian_blur(images * outside, sigma) / (weight + 1e-3)
        near = (1.75 * weight).clamp(0, 1) if sigma < 10 else torch.ones_like(weight)
        fill = torch.lerp(fill, average, near)
    return fill
