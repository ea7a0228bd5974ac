"""Convolutional stem of the small CLIP, which preserves fine texture.

A printed photo, a screen, and adversarial noise differ from a live face in the finest detail,
which a linear patch embedding of RGB averages away. The stem therefore reads three versions of the
image: the colors, what a 3 x 3 blur removes, and what a second blur removes from that. Small
convolutions reduce them to patch tokens, in the spirit of Xiao et al. 2021, "Early convolutions
help transformers see better".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYOUT_SIDE = 8
"""Positions along each side that the layout branch distinguishes."""

PATCH_SIZE = 12
"""Pixels of the image per token, along each side: the product of the strides below."""

HIGH_PASS_GAIN = 30.0
SECOND_HIGH_PASS_GAIN = 40.0
CLIP_LIMIT = 3.0


def box_blur(images: Tensor) -> Tensor:
    """Average each 3 x 3 neighborhood, borders reflected; (batch, channels, h, w) in and out."""
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), kernel_size=3, stride=1)


def texture_channels(images: Tensor, pixel_std: Tensor) -> Tensor:
    """Concatenate colors, clipped high-pass, and clipped second high-pass.

    Args:
        images: Normalized RGB, (batch, 3, h, w).
        pixel_std: Divisor of the normalization, (3, 1, 1). The two residuals are amplified in
            units of the original [0, 1] pixels, so the gains do not depend on it.

    Returns:
        (batch, 9, h, w).
    """
    pixels = images * pixel_std  # the mean that normalization subtracted cancels in a residual
    high_pass = pixels - box_blur(pixels)
    second = high_pass - box_blur(high_pass)
    return torch.cat(
        [
            images,
            (high_pass * HIGH_PASS_GAIN).clamp(-CLIP_LIMIT, CLIP_LIMIT),
            (second * SECOND_HIGH_PASS_GAIN).clamp(-CLIP_LIMIT, CLIP_LIMIT),
        ],
        dim=1,
    )


def conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution, batch norm, and ReLU; ``stride`` divides the resolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def layout_branch(width: int, channels: int) -> nn.Sequential:
    """Return a map from tokens (batch, width, h, w) to one vector (batch, width).

    A transformer with random weights treats all tokens alike and is slow to learn that glasses
    are at the eyes. A linear layer over all positions learns it fast, because faces are aligned.
    The last layer starts at zero, so at first the branch adds nothing.
    """
    last = nn.Linear(channels * LAYOUT_SIDE**2, width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Conv2d(width, channels, kernel_size=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(LAYOUT_SIDE),
        nn.Flatten(),
        last,
    )


class ConvStem(nn.Module):
    """Patch embedding from normalized RGB (batch, 3, h, w) to (batch, width, h / 12, w / 12).

    Replaces ``visual.conv1`` in open_clip's VisionTransformer, which flattens the last two axes
    into tokens. In training mode, batch norm makes an image's output depend on its batch.

    Args:
        width: Channels of the output, the width of the transformer.
        pixel_std: The preprocessing's divisor for each color.
        layout_channels: Channels of the ``layout_branch``, which adds one vector to every token;
            0 leaves it out.
    """

    def __init__(self, width: int, pixel_std: Sequence[float], layout_channels: int = 0) -> None:
        super().__init__()
        std = torch.tensor(pixel_std, dtype=torch.float32).view(3, 1, 1)
        self.register_buffer("pixel_std", std, persistent=False)
        self.layers = nn.Sequential(
            conv_norm_relu(9, 16),
            conv_norm_relu(16, 32, stride=2),
            conv_norm_relu(32, 32),
            conv_norm_relu(32, 64, stride=2),
            conv_norm_relu(64, 64),
            nn.Conv2d(64, width, kernel_size=3, stride=3),
        )
        self.layout = layout_branch(width, layout_channels) if layout_channels else None

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height % PATCH_SIZE or width % PATCH_SIZE:
            raise ValueError(
                f"ConvStem got images of {height} x {width} pixels; both sides must be multiples "
                f"of {PATCH_SIZE}. Call bundle.preprocess(images) first."
            )
        channels = texture_channels(images, self.pixel_std)
        # channels_last halves the time of these small convolutions on a CPU.
        tokens = self.layers(channels.contiguous(memory_format=torch.channels_last))
        if self.layout is None:
            return tokens
        return tokens + self.layout(tokens)[:, :, None, None]
