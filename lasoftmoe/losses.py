"""Three losses for CLIP with two captions: Eq. 1 to the letter, and two that know it has two.

All of them normalize the embeddings themselves, compute in at least float32 and take
``logit_scale`` as the factor of the cosine (``model.logit_scale.exp()``, not its logarithm).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.moe.checks import at_least_float32


def clip_contrastive(image_emb: Tensor, text_emb: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Eq. 1: image i belongs to text i and to no other, in both directions.

    With equal captions in a batch it cannot reach zero: n equal captions share the
    probability of an image, so its lower bound is the mean over the batch of ln n; that is
    ln(N/2) for two captions, N/2 images each.

    Args:
        image_emb: image embeddings (N, embed).
        text_emb: embeddings (N, embed) of the captions of the same N images.
        logit_scale: factor of the cosines in the matrix S.

    Raises:
        ValueError: embeddings of different shapes.
    """
    similarity = _pairwise_similarity(image_emb, text_emb, logit_scale)
    to_text = similarity.log_softmax(dim=1).diagonal()
    to_image = similarity.log_softmax(dim=0).diagonal()
    return -(to_text + to_image).mean() / 2


def class_prompt_cross_entropy(
    image_emb: Tensor, class_emb: Tensor, is_attack: Tensor, logit_scale: Tensor | float
) -> Tensor:
    """Cross-entropy of each image over the two class prompts.

    Args:
        image_emb: image embeddings (N, embed).
        class_emb: embeddings (2, embed) of the class prompts, in the order live, fake.
        is_attack: (N,), true for fake.
        logit_scale: factor of the cosines.

    Raises:
        ValueError: shapes other than these.
    """
    if class_emb.dim() != 2 or class_emb.shape[0] != 2:
        raise ValueError(
            f"expected class_emb of shape (2, embed), live then fake, got {tuple(class_emb.shape)}"
        )
    _require_labels("is_attack", is_attack, image_emb)
    return F.cross_entropy(_similarity(image_emb, class_emb, logit_scale), is_attack.long())


def multi_positive_contrastive(
    image_emb: Tensor, text_emb: Tensor, labels: Tensor, logit_scale: Tensor | float
) -> Tensor:
    """Eq. 1 with each target spread evenly over all captions of the same label.

    Where equal labels mean exactly equal text embeddings (one prompt per class, no dropout),
    this is the same number as :func:`clip_contrastive` and has the same gradients: what Eq. 1
    takes from the other copies of a caption, it gives back through them. It differs as soon
    as captions of one label differ.

    Args:
        image_emb: image embeddings (N, embed).
        text_emb: embeddings (N, embed) of the captions of the same N images.
        labels: (N,), equal where captions count as equal.
        logit_scale: factor of the cosines.

    Raises:
        ValueError: shapes other than these.
    """
    similarity = _pairwise_similarity(image_emb, text_emb, logit_scale)
    _require_labels("labels", labels, image_emb)
    targets = (labels[:, None] == labels[None, :]).to(similarity.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    return (F.cross_entropy(similarity, targets) + F.cross_entropy(similarity.T, targets)) / 2


def _pairwise_similarity(
    image_emb: Tensor, text_emb: Tensor, logit_scale: Tensor | float
) -> Tensor:
    if image_emb.dim() != 2 or image_emb.shape != text_emb.shape:
        raise ValueError(
            "expected image_emb and text_emb of one shape (N, embed), "
            f"got {tuple(image_emb.shape)} and {tuple(text_emb.shape)}"
        )
    return _similarity(image_emb, text_emb, logit_scale)


def _similarity(image_emb: Tensor, text_emb: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Scaled cosines (images, texts)."""
    # CLIP's scale grows to 100: a cosine rounded to bfloat16 would be off by 0.4 after it.
    with torch.autocast(image_emb.device.type, enabled=False):
        images = F.normalize(at_least_float32(image_emb), dim=-1)
        texts = F.normalize(at_least_float32(text_emb), dim=-1)
        return logit_scale * (images @ texts.T)


def _require_labels(name: str, labels: Tensor, image_emb: Tensor) -> None:
    if labels.shape != image_emb.shape[:1]:
        raise ValueError(
            f"expected {name} of shape ({image_emb.shape[0]},), got {tuple(labels.shape)}"
        )
