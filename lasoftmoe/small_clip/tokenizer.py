"""CLIP's tokenizer, reduced to the vocabulary of the small CLIP.

open_clip's byte-pair tokenizer knows 49,408 tokens; their embedding table alone would be five
times as large as the rest of the small CLIP. Captions of rendered faces use about two hundred, so
this tokenizer keeps only those and renumbers them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cache

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

PADDING_ID = 0


class UnknownWordError(ValueError):
    """A text has a word outside the small CLIP's vocabulary."""


@cache
def _byte_pair_tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()


def collect_vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the byte-pair tokens (``"photo</w>"``) that occur in ``texts``, sorted."""
    tokenizer = _byte_pair_tokenizer()
    ids = {token for text in texts for token in tokenizer.encode(text)}
    return sorted(tokenizer.decoder[token] for token in ids)


class SmallTokenizer:
    """Tokenizer with a small vocabulary and the interface of open_clip's tokenizers.

    Id 0 is padding, 1 to n are the tokens of ``vocabulary``, then come start and end of text. The
    end has the highest id because open_clip finds it by ``argmax``.

    A word outside the vocabulary is an error, not an "unknown" token: otherwise two prompts that
    differ only in such words would silently get the same embedding.

    Args:
        vocabulary: Byte-pair tokens without duplicates; see ``collect_vocabulary``.
        context_length: Tokens per text, including start and end.
    """

    def __init__(self, vocabulary: Sequence[str], context_length: int) -> None:
        known = _byte_pair_tokenizer().encoder
        strange = [token for token in vocabulary if token not in known]
        if strange or len(set(vocabulary)) != len(vocabulary):
            raise ValueError(
                f"The vocabulary must be distinct byte-pair tokens of CLIP; {strange[:5]} are not "
                "or some token occurs twice. Build it with collect_vocabulary(texts)."
            )
        self.vocabulary = list(vocabulary)
        self.context_length = context_length
        self._small_id = {known[token]: i for i, token in enumerate(self.vocabulary, start=1)}
        self.start_id = len(self.vocabulary) + 1
        self.end_id = len(self.vocabulary) + 2

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table: padding, the vocabulary, start, and end."""
        return len(self.vocabulary) + 3

    @property
    def words(self) -> list[str]:
        """The whole words in the vocabulary."""
        return [t.removesuffix("</w>") for t in self.vocabulary if t.endswith("</w>")]

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text, without start, end, and padding.

        Raises:
            UnknownWordError: If a word is outside the vocabulary; suggests similar words.
        """
        tokens = _byte_pair_tokenizer().encode(text)
        if any(token not in self._small_id for token in tokens):
            raise UnknownWordError(self._explain_unknown(text))
        return [self._small_id[token] for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of a row of ids, without start, end, and padding."""
        tokens = [self.vocabulary[i - 1] for i in map(int, ids) if 0 < i < self.start_id]
        return "".join(tokens).replace("</w>", " ").strip()

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """Return token ids, (texts, context_length), int64.

        Raises:
            UnknownWordError: If a word is outside the vocabulary.
            ValueError: If a text is longer than the context. (open_clip silently cuts it.)
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        ids = torch.full((len(texts), self.context_length), PADDING_ID, dtype=torch.long)
        for row, text in zip(ids, texts, strict=True):
            tokens = [self.start_id, *self.encode(text), self.end_id]
            if len(tokens) > self.context_length:
                raise ValueError(
                    f"{text!r} has {len(tokens)} tokens with start and end; the small CLIP reads "
                    f"at most {self.context_length}. Shorten the text."
                )
            row[: len(tokens)] = torch.tensor(tokens)
        return ids

    def _explain_unknown(self, text: str) -> str:
        tokenizer = _byte_pair_tokenizer()
        hints = []
        for word in dict.fromkeys(text.lower().split()):
            if all(token in self._small_id for token in tokenizer.encode(word)):
                continue
            near = difflib.get_close_matches(word, self.words, n=3)
            hints.append(f"{word!r}" + (f" (near: {', '.join(near)})" if near else ""))
        return (
            f"The small CLIP has never read {', '.join(hints)} in {text!r}. Use only its "
            f"{len(self.words)} words, which lasoftmoe/small_clip/weights/small_clip.json lists, "
            "or load a large CLIP."
        )
