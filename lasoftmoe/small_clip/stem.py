"""The input of the small CLIP: a convolutional stem that sees fine texture.

A printed photo, a screen and adversarial noise differ from a live face in the finest detail,
which a single linear patch embedding on RGB averages away. The stem therefore looks at three
versions of the image (the colors, what a 3 x 3 blur removes, and what a second blur removes from
that) and reduces them to patch tokens by small convolutions (Xiao et al. 2021, "Early
convolutions help transformers see better", in spirit).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYOUT_SIDE = 8
"""Places along each side that the layout branch tells apart."""

PATCH_SIZE = 12
"""Pixels of the image per token, along each side: the product of the strides below."""

HIGH_PASS_GAIN = 30.0
SECOND_HIGH_PASS_GAIN = 40.0
CLIP_LIMIT = 3.0


def box_blur(images: Tensor) -> Tensor:
    """Mean of every 3 x 3 neighborhood, borders reflected; (batch, channels, h, w) in and out."""
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), kernel_size=3, stride=1)


def texture_channels(images: Tensor, pixel_std: Tensor) -> Tensor:
    """Colors, clipped high-pass and clipped second high-pass, side by side.

    Args:
        images: normalized RGB, (batch, 3, h, w).
        pixel_std: what the normalization divided by, (3, 1, 1); the two residuals are amplified
            in units of the original [0, 1] pixels, so that the gains do not depend on it.

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
    """A 3 x 3 convolution, batch norm and ReLU; ``stride`` divides the resolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def layout_branch(width: int, channels: int) -> nn.Sequential:
    """Tokens (batch, width, h, w) to one vector (batch, width) that knows what is where.

    A transformer that starts from random weights looks at all tokens alike and is slow to find
    that glasses are to be looked for at the eyes. A linear layer over all places has it at once,
    since faces are aligned. The last layer starts at zero: at first the branch adds nothing.
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
    """Normalized RGB (batch, 3, h, w) to patch embeddings (batch, width, h / 12, w / 12).

    Takes the place of ``visual.conv1`` in open_clip's VisionTransformer, which flattens the
    last two axes into tokens. Batch norm makes the training-mode output of one image depend on
    the others of its batch; in eval mode it does not.

    Args:
        width: channels of the output, the width of the transformer.
        pixel_std: the standard deviation that the preprocessing divides RGB by, three numbers.
        layout_channels: channels of the ``layout_branch`` that adds one vector to every token;
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
        # channels_last halves the time of these small convolutions on a CPU
        tokens = self.layers(channels.contiguous(memory_format=torch.channels_last))
        if self.layout is None:
            return tokens
        return tokens + self.layout(tokens)[:, :, None, None]
