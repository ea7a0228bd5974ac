"""The words that the small CLIP knows."""

from __future__ import annotations

from data_prep.synthetic.captions.captions import VOCABULARY_TEXTS
from lasoftmoe.prompts import PROMPTS
from lasoftmoe.small_clip.tokenizer import collect_vocabulary

NEVER_SEEN_TEXTS = (
    "a spoofed presentation attack with a paper mask or a silicone mask",
    "a manipulated, synthetic, generated, altered, forged or deepfake image",
    "an authentic, natural, original, true and untouched picture of a living person",
)
"""Words that no caption holds, so that readers may try them in prompts: their embeddings stay
as random as those of "live" and "fake", which no caption holds either."""


def vocabulary() -> list[str]:
    """Byte-pair tokens of every caption, of the paper's prompts and of some words beside."""
    prompts = [text.format(label=label) for text in PROMPTS.values() for label in ("live", "fake")]
    return collect_vocabulary([*VOCABULARY_TEXTS, *prompts, *NEVER_SEEN_TEXTS])
