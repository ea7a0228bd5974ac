"""Questions about one attribute of an image, for training in addition to captions.

A caption mentions a dozen attributes, so contrastive learning can find it by the easy ones and
ignore glasses. Cross-entropy over short texts, one per answer, trains exactly the task of
zero-shot classification.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from data_prep.synthetic.captions.captions import (
    BEARD_WORDS,
    MEDIA,
    PLACE_WORDS,
    SHIRT_COLORS,
    SKIN_WORDS,
)
from data_prep.synthetic.people.identity import HAIR_NAMES

UNASKED = -100
"""Number of a missing answer (hair color of a bald person), which cross-entropy skips."""

NOBODY = "a person"
"""The text of a person without the attribute: no glasses, no beard, no smile."""


@dataclass(frozen=True)
class Question:
    """An attribute and a text for each of its values."""

    attribute: str
    texts: Mapping[str, str]

    @property
    def answers(self) -> list[str]:
        """The distinct texts, which are the classes of the question."""
        return list(dict.fromkeys(self.texts.values()))

    def number(self, attributes: Mapping[str, str]) -> int:
        """Return the number of the true answer, or ``UNASKED``."""
        text = self.texts.get(attributes[self.attribute])
        return UNASKED if text is None else self.answers.index(text)


def _say(attribute: str, *words: str, form: str = "a person with {}") -> Question:
    return Question(attribute, {word: form.format(word) if word else NOBODY for word in words})


def _hair(form: str) -> dict[str, str]:
    return {
        f"{length} {color} hair": form.format(length=length, color=color)
        for length in ("short", "long")
        for color in HAIR_NAMES
    }


QUESTIONS: dict[str, Question] = {
    "sex": _say("sex", "man", "woman", form="a {}"),
    "age": Question(
        "age",
        {"young": "a young person", "middle aged": "a middle aged person", "old": "an old person"},
    ),
    "hair": Question(
        "hair", _hair("a person with {length} {color} hair") | {"no hair": "a person with no hair"}
    ),
    "hair color": Question("hair", _hair("a person with {color} hair")),
    "curls": _say("curls", "", "curls"),
    "fringe": _say("fringe", "", "a fringe"),
    "beard": _say("beard", *BEARD_WORDS.values()),
    "glasses": _say("glasses", "", "glasses"),
    "skin": _say("skin", *SKIN_WORDS, form="a person with {} skin"),
    "smile": _say("smile", "", "smiling", form="a {} person"),
    "mouth": _say("mouth", "", "an open mouth"),
    "shirt": _say("shirt", *(f"a {color} shirt" for color in SHIRT_COLORS)),
    "place": _say("place", *PLACE_WORDS.values(), form="a person {}"),
    "looking": _say("looking", "", "left", "right", form="a person looking {}"),
}

_NOUNS = list(dict.fromkeys(text for question in QUESTIONS.values() for text in question.answers))
_COLUMNS = [[_NOUNS.index(text) for text in question.answers] for question in QUESTIONS.values()]
_COLUMNS.append([len(_NOUNS) + number for number in range(len(MEDIA))])

TEXTS = len(_NOUNS) + len(MEDIA)
"""Number of texts that ``draw_question_texts`` returns."""


def draw_question_texts(rng: random.Random) -> list[str]:
    """Return the answers to all questions, after a phrase for one medium, then each medium."""
    phrases = [rng.choice(words) for words in MEDIA.values()]
    before = rng.choice(phrases)
    return [f"{before} {noun}" for noun in _NOUNS] + [f"{phrase} {NOBODY}" for phrase in phrases]


def answer_numbers(attributes: Mapping[str, str], medium: str) -> list[int]:
    """Return the number of the true answer to every question; the medium comes last."""
    numbers = [question.number(attributes) for question in QUESTIONS.values()]
    return [*numbers, list(MEDIA).index(medium)]


def question_loss(logits: Tensor, answers: Tensor) -> Tensor:
    """Return the mean of the cross-entropies of all questions.

    Args:
        logits: (images, texts of ``draw_question_texts``).
        answers: (images, questions); see ``answer_numbers``.
    """
    losses = [
        F.cross_entropy(logits[:, columns], truth, reduction="sum", ignore_index=UNASKED)
        / (truth != UNASKED).sum().clamp(min=1)
        for columns, truth in zip(_COLUMNS, answers.T, strict=True)
    ]
    return torch.stack(losses).mean()
