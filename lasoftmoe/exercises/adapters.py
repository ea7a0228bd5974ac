"""Bring your own implementation: the functions that the course's tests call.

Copy this file to ``my_moe.py``, write as many of the functions as you like, or let them call code
of your own, and run ``make course-tests IMPL=my_moe``. The tests say what holds of each function
and what does not. A function that still raises ``NotImplementedError`` is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn


def linear_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Compute Eq. 6 with its normalizer and phi = elu + 1.

    Args:
        queries: (batch, tokens, width).
        keys: (batch, tokens, width).
        values: (batch, tokens, width).

    Returns:
        Averages of the values, (batch, tokens, width), without a tokens x tokens table.
    """
    raise NotImplementedError


def soft_moe(x: Tensor, phi: Tensor, experts: Callable[[Tensor], Tensor]) -> Tensor:
    """Compute Soft MoE, Eq. 2 to 4, with raw logits.

    Args:
        x: Tokens (batch, tokens, dim).
        phi: Vectors of the slots (experts, slots, dim).
        experts: Maps (batch, experts, slots, dim) to the same shape.

    Returns:
        New tokens (batch, tokens, dim).
    """
    raise NotImplementedError


def la_soft_moe(
    x: Tensor,
    phi: Tensor,
    attention: Callable[[Tensor], Tensor],
    experts: Callable[[Tensor], Tensor],
) -> Tensor:
    """Compute La-SoftMoE, Algorithm 2.

    Args:
        x: Tokens (batch, tokens, dim).
        phi: Vectors of the slots (experts, slots, dim).
        attention: Maps logits (batch, tokens, experts * slots) to the same shape.
        experts: Maps (batch, experts, slots, dim) to the same shape.

    Returns:
        New tokens (batch, tokens, dim).
    """
    raise NotImplementedError


def build_la_soft_moe(dim: int, num_experts: int, slots_per_expert: int) -> nn.Module:
    """Build La-SoftMoE (Algorithm 2) as a module that maps (batch, tokens, dim) to the same shape.

    Its parameters are phi (num_experts, slots_per_expert, dim); for each expert a two-layer MLP
    with biases, GELU, and 4 * dim hidden units; and three linear projections without bias, from
    num_experts * slots_per_expert to the same width, for queries, keys, and values. One head, no
    output projection.

    Args:
        dim: Width of a token.
        num_experts: Number of experts.
        slots_per_expert: Slots of each.
    """
    raise NotImplementedError


def clip_contrastive(image_emb: Tensor, text_emb: Tensor, logit_scale: float) -> Tensor:
    """Compute Eq. 1 from embeddings that are not normalized.

    Args:
        image_emb: (images, embed).
        text_emb: Captions of the same images, (images, embed).
        logit_scale: Factor of the cosines.

    Returns:
        A scalar.
    """
    raise NotImplementedError


def eer(attack_score: np.ndarray, is_attack: np.ndarray) -> float:
    """Compute the equal error rate, a fraction; higher scores mean attacks.

    It is the height at which APCER and BPCER cross over the threshold, with neighboring steps
    joined by straight lines (Chapter 2).

    Args:
        attack_score: NumPy array (images,).
        is_attack: NumPy array of Booleans (images,).
    """
    raise NotImplementedError
