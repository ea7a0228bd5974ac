"""Pretraining batches: captures with a random texture, and captions that name it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from data_prep.synthetic.captions.captions import caption
from data_prep.synthetic.nuisance import apply_texture
from lasoftmoe.data.moves import flip_and_shift
from lasoftmoe.pretraining.captures import Captures
from lasoftmoe.pretraining.questions import answer_numbers, draw_question_texts
from lasoftmoe.pretraining.textures import SCENES, draw_texture

MIRRORED = {"left": "right", "right": "left", "": ""}
SHIFT_PIXELS = 4


@dataclass(frozen=True)
class CaptionBatch:
    """Images with captions, scenes, and answers to questions.

    Attributes:
        images: uint8 (batch, 3, h, w).
        tokens: Token ids of the captions, (batch, context).
        scenes: Indices into ``SCENES``, (batch,).
        question_tokens: Token ids of all possible answers (``draw_question_texts``).
        answers: Numbers of the right answers (``answer_numbers``), (batch, questions).
    """

    images: Tensor
    tokens: Tensor
    scenes: Tensor
    question_tokens: Tensor
    answers: Tensor

    def to(self, device: torch.device) -> CaptionBatch:
        """Return the same batch on another device."""
        return CaptionBatch(*(getattr(self, part.name).to(device) for part in fields(self)))


class CaptionBatches:
    """Endless epochs of batches; an epoch depends only on the seed and its number.

    Raises:
        ValueError: If there are fewer captures than one batch.
    """

    def __init__(
        self,
        captures: Captures,
        tokenize: Callable[[Sequence[str]], Tensor],
        batch_size: int,
        seed: int,
    ) -> None:
        if len(captures) < batch_size:
            raise ValueError(f"{len(captures)} captures do not fill one batch of {batch_size}")
        self.captures = captures
        self.tokenize = tokenize
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of full batches in an epoch; a remainder is left out."""
        return len(self.captures) // self.batch_size

    def epoch(self, number: int) -> Iterator[CaptionBatch]:
        """Yield the batches of one epoch, with every capture at most once."""
        streams = np.random.SeedSequence([self.seed, number]).generate_state(2)
        rng = random.Random(int(streams[0]))
        generator = torch.Generator().manual_seed(int(streams[1]))
        order = torch.randperm(len(self.captures), generator=generator).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield self._batch(order[start : start + self.batch_size], rng, generator)

    def _batch(
        self, rows: list[int], rng: random.Random, generator: torch.Generator
    ) -> CaptionBatch:
        examples = [self._example(row, rng, generator) for row in rows]
        images, captions, scenes, answers = zip(*examples, strict=True)
        return CaptionBatch(
            flip_and_shift(torch.stack(images), generator, False, SHIFT_PIXELS),
            self.tokenize(captions),
            torch.tensor(scenes),
            self.tokenize(draw_question_texts(rng)),
            torch.tensor(answers),
        )

    def _example(
        self, row: int, rng: random.Random, generator: torch.Generator
    ) -> tuple[Tensor, str, int, list[int]]:
        image, attributes = self.captures.images[row], dict(self.captures.attributes[row])
        medium, texture = self.captures.media[row], draw_texture(rng)
        if rng.random() < 0.5:
            image = image.flip(-1)
            attributes["looking"] = MIRRORED[attributes["looking"]]
        image = apply_texture(image, texture.kind, texture.local, generator)
        text = caption(attributes, medium, rng, texture.kind, texture.local)
        return image, text, SCENES.index((medium, texture)), answer_numbers(attributes, medium)
