"""Losses for CLIP with two captions: Eq. 1 to the letter, and two that know of the classes.

All of them normalize the embeddings, compute in at least float32, and take ``logit_scale`` as the
factor of the cosines (``model.logit_scale.exp()``, not its logarithm).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from lasoftmoe.moe.numerics import at_least_float32

Scale = Float[Tensor, ""] | float


def clip_contrastive(
    image_emb: Float[Tensor, "images embed"],
    text_emb: Float[Tensor, "images embed"],
    logit_scale: Scale,
) -> Float[Tensor, ""]:
    """Compute Eq. 1: image i belongs to text i and to no other, in both directions.

    With equal captions in a batch, the loss cannot reach zero. n equal captions share an image's
    probability, so the lower bound is the batch mean of ln n. For N images and two captions, N/2
    images each, that is ln(N/2).

    Args:
        image_emb: Image embeddings.
        text_emb: Embeddings of the captions of the same images.
        logit_scale: Factor of the cosines in the matrix S.

    Raises:
        ValueError: If the embeddings differ in shape.
    """
    similarity = _pairwise_similarity(image_emb, text_emb, logit_scale)
    to_text = similarity.log_softmax(dim=1).diagonal()
    to_image = similarity.log_softmax(dim=0).diagonal()
    return -(to_text + to_image).mean() / 2


def class_prompt_cross_entropy(
    image_emb: Float[Tensor, "images embed"],
    class_emb: Float[Tensor, "2 embed"],
    is_attack: Shaped[Tensor, " images"],
    logit_scale: Scale,
) -> Float[Tensor, ""]:
    """Compute the cross-entropy of each image over the two class prompts.

    Args:
        image_emb: Image embeddings.
        class_emb: Embeddings of the class prompts, live and then fake.
        is_attack: True for fake.
        logit_scale: Factor of the cosines.

    Raises:
        ValueError: If a shape is wrong.
    """
    if class_emb.dim() != 2 or class_emb.shape[0] != 2:
        raise ValueError(
            f"expected class_emb of shape (2, embed), live then fake, got {tuple(class_emb.shape)}"
        )
    _require_labels("is_attack", is_attack, image_emb)
    return F.cross_entropy(_similarity(image_emb, class_emb, logit_scale), is_attack.long())


def multi_positive_contrastive(
    image_emb: Float[Tensor, "images embed"],
    text_emb: Float[Tensor, "images embed"],
    labels: Shaped[Tensor, " images"],
    logit_scale: Scale,
) -> Float[Tensor, ""]:
    """Compute Eq. 1 with each target spread evenly over all captions of the same label.

    If equal labels mean exactly equal text embeddings (one prompt per class, no dropout), value
    and gradients equal those of :func:`clip_contrastive`. What Eq. 1 takes from the other copies
    of a caption, it gives back through them. The two differ if captions of one label differ.

    Args:
        image_emb: Image embeddings.
        text_emb: Embeddings of the captions of the same images.
        labels: Equal for captions that count as equal.
        logit_scale: Factor of the cosines.

    Raises:
        ValueError: If a shape is wrong.
    """
    similarity = _pairwise_similarity(image_emb, text_emb, logit_scale)
    _require_labels("labels", labels, image_emb)
    targets = (labels[:, None] == labels[None, :]).to(similarity.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    return (F.cross_entropy(similarity, targets) + F.cross_entropy(similarity.T, targets)) / 2


def _pairwise_similarity(image_emb: Tensor, text_emb: Tensor, logit_scale: Scale) -> Tensor:
    if image_emb.dim() != 2 or image_emb.shape != text_emb.shape:
        raise ValueError(
            "expected image_emb and text_emb of one shape (N, embed), "
            f"got {tuple(image_emb.shape)} and {tuple(text_emb.shape)}"
        )
    return _similarity(image_emb, text_emb, logit_scale)


def _similarity(image_emb: Tensor, text_emb: Tensor, logit_scale: Scale) -> Tensor:
    """Return scaled cosines (images, texts)."""
    # CLIP's scale grows to 100, which would turn the rounding of bfloat16 into errors of 0.4.
    with torch.autocast(image_emb.device.type, enabled=False):
        images = F.normalize(at_least_float32(image_emb), dim=-1)
        texts = F.normalize(at_least_float32(text_emb), dim=-1)
        return logit_scale * (images @ texts.T)


def _require_labels(name: str, labels: Tensor, image_emb: Tensor) -> None:
    if labels.shape != image_emb.shape[:1]:
        raise ValueError(
            f"expected {name} of shape ({image_emb.shape[0]},), got {tuple(labels.shape)}"
        )
