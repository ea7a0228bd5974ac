"""Vocabulary of the small CLIP."""

from __future__ import annotations

from data_prep.synthetic.captions.captions import VOCABULARY_TEXTS
from lasoftmoe.prompts import PROMPTS
from lasoftmoe.small_clip.tokenizer import collect_vocabulary

NEVER_SEEN_TEXTS = (
    "a spoofed presentation attack with a paper mask or a silicone mask",
    "a manipulated, synthetic, generated, altered, forged or deepfake image",
    "an authentic, natural, original, true and untouched picture of a living person",
)
"""Words for readers to try in prompts. No caption has them, so their embeddings stay random, like
those of "live" and "fake"."""


def vocabulary() -> list[str]:
    """Return the byte-pair tokens of all captions, the paper's prompts, and a few more words."""
    prompts = [text.format(label=label) for text in PROMPTS.values() for label in ("live", "fake")]
    return collect_vocabulary([*VOCABULARY_TEXTS, *prompts, *NEVER_SEEN_TEXTS])
