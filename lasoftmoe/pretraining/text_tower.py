"""The text tower without computation on padding."""

from __future__ import annotations

import torch
from open_clip.model import CLIP
from torch import Tensor

from lasoftmoe.small_clip.tokenizer import PADDING_ID


def encode_texts(model: CLIP, tokens: Tensor) -> Tensor:
    """Return ``model.encode_text(tokens)``, faster for short texts.

    No token attends to a later one, and the embedding is read at the end of a text. So padding
    after the longest text has no effect.

    Args:
        model: open_clip's CLIP with a causal text tower.
        tokens: (texts, context); the end of a text has the highest id.

    Returns:
        (texts, embed), not normalized.
    """
    length = int((tokens != PADDING_ID).sum(dim=1).max())
    tokens = tokens[:, :length]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    ends = tokens.argmax(dim=1)
    return model.ln_final(x)[torch.arange(len(x)), ends] @ model.text_projection
