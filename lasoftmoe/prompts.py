"""Prompts of the paper's Table 4 and their text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from lasoftmoe.clip import ClipBundle

CLASSES = ("live", "fake")
"""Order of the classes in embeddings and logits."""

PROMPTS = {
    "T-1": "There is a {label} face in this photo.",
    "T-2": "{label} face is in this photo.",
    "T-3": "A photo of a {label} face.",
    "T-4": "This is an example of a {label} face.",
    "T-5": "This is how a {label} face looks like.",
    "T-6": "This photo contains {label} face.",
    "T-7": "The picture is a {label} face.",
    "T-8": "This is an image of a {label} face.",
}
"""Table 4 of the paper, with ``{label}`` in place of <fake/live>."""

EnsembleOrder = Literal["normalize_then_mean", "mean_then_normalize"]


def class_prompts(template: str) -> dict[str, str]:
    """Return the two sentences of a template, ``{"live": ..., "fake": ...}``.

    Args:
        template: A name of :data:`PROMPTS`, or your own text that contains ``{label}``.

    Raises:
        ValueError: If the template is neither.
    """
    text = PROMPTS.get(template, template)
    if "{label}" not in text:
        raise ValueError(
            f"unknown prompt template {template!r}; use one of {', '.join(PROMPTS)} "
            "or a text that contains {label}"
        )
    return {label: text.replace("{label}", label) for label in CLASSES}


def text_embeddings(bundle: ClipBundle, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
    """Embed ``texts`` with the text tower, with gradients; (texts, embed), L2-normalized."""
    return F.normalize(_encode(bundle, texts), dim=-1)


def class_embeddings(
    bundle: ClipBundle,
    templates: str | Sequence[str],
    order: EnsembleOrder = "normalize_then_mean",
) -> Float[Tensor, "2 embed"]:
    """Embed live and fake, averaged over ``templates``; (2, embed), L2-normalized.

    Args:
        bundle: CLIP model and tokenizer.
        templates: One template or several; see :func:`class_prompts`.
        order: See :func:`ensemble`.

    Raises:
        ValueError: If there is no template, or a template or the order is unknown.
    """
    names = [templates] if isinstance(templates, str) else list(templates)
    if not names:
        raise ValueError(f"an ensemble needs at least one template, e.g. {next(iter(PROMPTS))!r}")
    texts = [text for name in names for text in class_prompts(name).values()]
    embeddings = _encode(bundle, texts).unflatten(0, (len(names), len(CLASSES)))
    return ensemble(embeddings, order)


def ensemble(
    embeddings: Float[Tensor, "templates classes embed"],
    order: EnsembleOrder = "normalize_then_mean",
) -> Float[Tensor, "classes embed"]:
    """Average raw text embeddings over the templates, and normalize the average.

    ``"normalize_then_mean"`` is CLIP's recipe: normalize each embedding, average, normalize.
    ``"mean_then_normalize"`` averages raw embeddings, so templates with longer embeddings count
    more.

    Raises:
        ValueError: If the order is unknown.
    """
    if order == "normalize_then_mean":
        embeddings = F.normalize(embeddings, dim=-1)
    elif order != "mean_then_normalize":
        raise ValueError(
            f"unknown order {order!r}; use 'normalize_then_mean' or 'mean_then_normalize'"
        )
    return F.normalize(embeddings.mean(dim=0), dim=-1)


def _encode(bundle: ClipBundle, texts: Sequence[str]) -> Tensor:
    device = next(bundle.model.parameters()).device
    return bundle.model.encode_text(bundle.tokenize(list(texts)).to(device))
