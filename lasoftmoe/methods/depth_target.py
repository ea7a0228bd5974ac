"""What a depth map is compared with: the depth of a live face, and zeros for an attack."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lasoftmoe.detector import Batch
from lasoftmoe.training.processes import known_weights

DepthTarget = Literal["depth", "ones"]
"""What live faces should give: the depth in the dataset, or 1 everywhere for one without depth."""


def depth_target(batch: Batch, size: int, target: DepthTarget) -> tuple[Tensor, Tensor]:
    """Return the maps to be predicted, and for which images they are known.

    Attacks have zeros, even those that keep the shape of a face. That is the convention of Liu et
    al. and Yu et al., not a measurement. A live image without depth has no known map.

    Args:
        batch: With ``depth`` and ``has_depth`` if ``target`` is ``"depth"``.
        size: Pixels on each side of a map; depth is averaged over areas.
        target: See :data:`DepthTarget`.

    Returns:
        Maps (batch, 1, size, size) in [0, 1], and which are known, (batch,), bool.
    """
    live = ~batch["is_attack"]
    if target == "ones":
        maps = torch.ones(len(live), 1, size, size, device=live.device)
        known = torch.ones_like(live)
    else:
        maps = F.adaptive_avg_pool2d(batch["depth"].float() / 255, size)
        known = batch["is_attack"] | batch["has_depth"]
    return maps * live[:, None, None, None], known


def known_pairs(predicted: Tensor, batch: Batch, target: DepthTarget) -> tuple[Tensor, Tensor]:
    """Return predicted maps and their targets for a mean of squared differences.

    Both are scaled so that this mean runs over the images whose target is known, those of other
    processes included.

    Args:
        predicted: (batch, 1, size, size).
        batch, target: See :func:`depth_target`.
    """
    maps, known = depth_target(batch, predicted.shape[-1], target)
    scale = known_weights(known).sqrt().to(predicted.dtype)[:, None, None, None]
    return predicted * scale, maps.to(predicted.dtype) * scale
