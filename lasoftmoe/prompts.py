"""Prompts of the paper's Table 4 and their text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from lasoftmoe.clip import ClipBundle

CLASSES = ("live", "fake")
"""The order of the classes wherever embeddings or logits of both stand side by side."""

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
"""Table 4 of the paper, T-1 to T-8, with ``{label}`` where it prints <fake/live>."""

EnsembleOrder = Literal["normalize_then_mean", "mean_then_normalize"]


def class_prompts(template: str) -> dict[str, str]:
    """The two sentences of a template: ``{"live": ..., "fake": ...}``.

    Args:
        template: a name of :data:`PROMPTS`, or a text of your own that contains ``{label}``.

    Raises:
        ValueError: neither of the two.
    """
    text = PROMPTS.get(template, template)
    if "{label}" not in text:
        raise ValueError(
            f"unknown prompt template {template!r}; use one of {', '.join(PROMPTS)} "
            "or a text that contains {label}"
        )
    return {label: text.replace("{label}", label) for label in CLASSES}


def text_embeddings(bundle: ClipBundle, texts: Sequence[str]) -> Tensor:
    """L2-normalized embeddings (texts, embed) of ``texts`` under the bundle's text tower.

    Gradients flow unless the caller switches them off.
    """
    return F.normalize(_encode(bundle, texts), dim=-1)


def class_embeddings(
    bundle: ClipBundle,
    templates: str | Sequence[str],
    order: EnsembleOrder = "normalize_then_mean",
) -> Tensor:
    """L2-normalized embeddings (2, embed) of live and fake, averaged over ``templates``.

    Args:
        bundle: CLIP model and tokenizer.
        templates: one template or several, as :func:`class_prompts` takes them.
        order: see :func:`ensemble`.

    Raises:
        ValueError: an unknown template, an unknown order, no template at all.
    """
    names = [templates] if isinstance(templates, str) else list(templates)
    if not names:
        raise ValueError(f"an ensemble needs at least one template, e.g. {next(iter(PROMPTS))!r}")
    texts = [text for name in names for text in class_prompts(name).values()]
    embeddings = _encode(bundle, texts).unflatten(0, (len(names), len(CLASSES)))
    return ensemble(embeddings, order)


def ensemble(embeddings: Tensor, order: EnsembleOrder = "normalize_then_mean") -> Tensor:
    """Average raw text embeddings (templates, classes, embed) over the templates.

    ``"normalize_then_mean"`` is the recipe of CLIP: normalize each embedding, average,
    normalize. ``"mean_then_normalize"`` averages the raw embeddings, so that a template with
    a longer embedding counts for more. Returns (classes, embed), L2-normalized.

    Raises:
        ValueError: an unknown order.
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
