"""Six adversarial attacks that dodge face recognition, with gradients of a surrogate.

They lower the cosine between the embeddings of the attacked and the clean image. Images are sRGB
in [0, 1], (batch, 3, height, width). ``surrogate`` maps images to unit embeddings, (batch, dim).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from data_prep.synthetic.attacks.draw import draw_strength
from data_prep.synthetic.camera import gaussian_blur
from data_prep.taxonomy import attack_type

Surrogate = Callable[[Tensor], Tensor]

# Size of a random start, because the gradient of a distance is zero at the clean image.
_START = 0.004
# Quantization steps of AdvDrop, as shares of the largest.
_QUANTUM_SHARES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


def adversarial_attack(
    name: str,
    images: Tensor,
    surrogate: Surrogate,
    generator: torch.Generator,
    strength: float | None = None,
) -> Tensor:
    """Attack images with a method; return images of the same shape in [0, 1].

    Raises:
        ValueError: If ``name`` is not an adversarial attack.
    """
    if name not in ADVERSARIAL:
        attack_type(name)
        raise ValueError(f"{name!r} is not adversarial; known: {', '.join(ADVERSARIAL)}")
    limit = draw_strength(name, len(images), generator, strength)
    return ADVERSARIAL[name](images, surrogate, limit, generator).detach()


def fgsm(images: Tensor, surrogate: Surrogate, limit: Tensor, generator: torch.Generator) -> Tensor:
    """Take one fast gradient sign step of ``limit`` / 255 (Goodfellow et al. 2015)."""
    similarity = _similarity_to(images, surrogate)
    start = images + _START * torch.randn(images.shape, generator=generator)
    return (images - limit / 255 * _gradient(similarity, start).sign()).clamp(0, 1)


def pgd(
    images: Tensor,
    surrogate: Surrogate,
    limit: Tensor,
    generator: torch.Generator,
    steps: int = 7,
) -> Tensor:
    """Run projected gradient descent inside a box of ``limit`` / 255 (Madry et al. 2018)."""
    similarity = _similarity_to(images, surrogate)
    bound = limit / 255
    change = bound * (2 * torch.rand(images.shape, generator=generator) - 1)
    for _ in range(steps):
        direction = _gradient(similarity, images + change).sign()
        change = (change - 0.3 * bound * direction).clamp(-bound, bound)
    return (images + change).clamp(0, 1)


def mifgsm(
    images: Tensor,
    surrogate: Surrogate,
    limit: Tensor,
    generator: torch.Generator,
    steps: int = 7,
) -> Tensor:
    """Run momentum iterative FGSM (Dong et al. 2018) with TI-FGSM's smoothed gradient (2019)."""
    similarity = _similarity_to(images, surrogate)
    bound = limit / 255
    change = _START * torch.randn(images.shape, generator=generator)
    momentum = torch.zeros_like(images)
    for _ in range(steps):
        gradient = gaussian_blur(_gradient(similarity, images + change), 1.2)
        size = gradient.abs().mean((1, 2, 3), keepdim=True)
        momentum = momentum + gradient / (size + 1e-12)
        change = (change - 0.25 * bound * momentum.sign()).clamp(-bound, bound)
    return (images + change).clamp(0, 1)


def cw(
    images: Tensor,
    surrogate: Surrogate,
    limit: Tensor,
    generator: torch.Generator,
    steps: int = 20,
    weight: float = 4.0,
    target: float = -0.2,
) -> Tensor:
    """Find the least squared change to a cosine of ``target`` (Carlini and Wagner 2017).

    The unit of distortion is its limit, ``limit`` / 255 root mean square. A change that still
    exceeds the limit at the end is scaled down.
    """
    similarity = _similarity_to(images, surrogate)
    allowed = limit / 255
    # The change of variables keeps every step inside [0, 1] without clipping.
    free = torch.atanh((2 * images - 1) * 0.999)
    free = (free + _START * torch.randn(images.shape, generator=generator)).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.01)
    for _ in range(steps):
        attacked = (torch.tanh(free) + 1) / 2
        distortion = ((attacked - images) / allowed).square().mean((1, 2, 3))
        loss = distortion + weight * (similarity(attacked) - target).clamp(min=0)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    change = (torch.tanh(free.detach()) + 1) / 2 - images
    size = change.square().mean((1, 2, 3), keepdim=True).sqrt()
    return (images + change * (allowed / (size + 1e-12)).clamp(max=1)).clamp(0, 1)


def advdrop(
    images: Tensor,
    surrogate: Surrogate,
    limit: Tensor,
    generator: torch.Generator,
    steps: int = 8,
) -> Tensor:
    """Choose what an 8 x 8 DCT quantization drops, after AdvDrop (Duan et al. 2021).

    Every coefficient has six quantization steps, ``limit`` / 255 and shares of it. It takes the
    step whose rounding lowers the cosine most to first order; a random half of the coefficients
    chooses again at each iteration. AdvDrop follows the gradient of a soft rounding instead, which
    hardly affects this surrogate. The mean of a block is kept, or blocks would show as tiles.
    Height and width are multiples of 8.
    """
    similarity = _similarity_to(images, surrogate)
    clean = _to_blocks(images)
    keep_mean = torch.zeros(8, 8, dtype=torch.bool)
    keep_mean[0, 0] = True
    quanta = [share * (limit / 255)[..., None, None] for share in _QUANTUM_SHARES]
    rounded = [torch.where(keep_mean, clean, (clean / q).round() * q) for q in quanta]
    choices = torch.stack(rounded)
    chosen = choices[-1]
    for _ in range(steps):
        gradient = _gradient(lambda blocks: similarity(_from_blocks(blocks)), chosen)
        best = (choices * gradient).argmin(0, keepdim=True)
        again = torch.rand(clean.shape, generator=generator) < 0.5
        chosen = torch.where(again, choices.gather(0, best)[0], chosen)
    return _from_blocks(chosen).clamp(0, 1)


def semantic(
    images: Tensor,
    surrogate: Surrogate,
    limit: Tensor,
    generator: torch.Generator,
    steps: int = 8,
) -> Tensor:
    """Change color and exposure smoothly, by 7 x 7 gains per channel within 1 ± ``limit``."""
    similarity = _similarity_to(images, surrogate)
    size = images.shape[-2:]

    def recolor(gain: Tensor) -> Tensor:
        smooth = F.interpolate(gain, size=size, mode="bilinear", align_corners=False)
        return (images * (1 + smooth)).clamp(0, 1)

    gain = 0.1 * limit * torch.randn(len(images), 3, 7, 7, generator=generator)
    for _ in range(steps):
        gradient = _gradient(lambda g: similarity(recolor(g)), gain)
        gain = (gain - 0.25 * limit * gradient.sign()).clamp(-limit, limit)
    return recolor(gain)


ADVERSARIAL: dict[str, Callable[[Tensor, Surrogate, Tensor, torch.Generator], Tensor]] = {
    "fgsm": fgsm,
    "pgd": pgd,
    "mifgsm": mifgsm,
    "cw": cw,
    "advdrop": advdrop,
    "semantic": semantic,
}


def _similarity_to(images: Tensor, surrogate: Surrogate) -> Callable[[Tensor], Tensor]:
    with torch.no_grad():
        clean = surrogate(images)
    return lambda attacked: (surrogate(attacked) * clean).sum(1)


def _gradient(similarity: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.detach().requires_grad_()
    return torch.autograd.grad(similarity(at).sum(), at)[0]


def _dct_matrix() -> Tensor:
    frequency = torch.arange(8.0)[:, None]
    position = torch.arange(8.0)[None, :]
    matrix = 0.5 * torch.cos((2 * position + 1) * frequency * math.pi / 16)
    matrix[0] /= math.sqrt(2)
    return matrix


def _to_blocks(images: Tensor) -> Tensor:
    """Compute the DCT of 8 x 8 blocks, (b, c, h, w) -> (b, c, h / 8, w / 8, 8, 8)."""
    batch, channels, height, width = images.shape
    blocks = images.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    dct = _dct_matrix()
    return dct @ blocks @ dct.T


def _from_blocks(coefficients: Tensor) -> Tensor:
    """Invert ``_to_blocks``."""
    batch, channels, rows, columns = coefficients.shape[:4]
    dct = _dct_matrix()
    blocks = dct.T @ coefficients @ dct
    return blocks.transpose(3, 4).reshape(batch, channels, 8 * rows, 8 * columns)
