"""Exercises of chapter 3: cosine, attack score, prompt ensembles, probabilities, error rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake


def _rows(g: Draw, rows: int, width: int) -> Tensor:
    """Rows of clearly different lengths, so that a forgotten normalization shows."""
    lengths = torch.linspace(0.5, 4.0, rows)[torch.randperm(rows, generator=g.torch)]
    return g.normal(rows, width) * lengths[:, None]


def _embeddings(g: Draw) -> Case:
    images, texts, width = g.sizes(3, 3, 8)
    return _rows(g, images, width), _rows(g, texts, width)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


COSINE = Exercise(
    "cosine_table",
    _embeddings,
    lambda image, text: _unit(image) @ _unit(text).T,
    misconceptions=[
        Mistake(
            lambda image, text: image @ text.T,
            "This is the plain inner product: you forgot to normalize. It grows with the length of "
            "both vectors, so a caption with a long embedding wins on every image whatever the "
            "image shows. Divide every row by its own length first.",
        ),
        Mistake(
            lambda image, text: _unit(image) @ text.T,
            "The images are normalized, the captions are not: a caption with a long embedding "
            "still wins everywhere. Both towers' outputs need length 1.",
        ),
        Mistake(
            lambda image, text: image @ _unit(text).T,
            "The captions are normalized, the images are not. The best caption of an image is "
            "right, but images cannot be compared with each other or with one threshold. Both "
            "towers' outputs need length 1.",
        ),
        Mistake(
            lambda image, text: F.normalize(image, dim=0) @ F.normalize(text, dim=0).T,
            "You normalized down the columns (dim=0): that rescales a feature over the batch, so "
            "an image's similarity depends on which other images came with it. Each ROW is one "
            "embedding: normalize over the last axis.",
        ),
        Mistake(
            lambda image, text: (image / image.norm()) @ (text / text.norm()).T,
            "You divided by the length of the whole batch taken as one long vector. Each ROW is "
            "one embedding with a length of its own: take the norm over the last axis.",
        ),
        Mistake(
            lambda image, text: F.normalize(image, p=1, dim=-1) @ F.normalize(text, p=1, dim=-1).T,
            "You divided by the sum of absolute values. The cosine needs the Euclidean length, the "
            "square root of the sum of squares.",
        ),
        Mistake(
            lambda image, text: _unit(text) @ _unit(image).T,
            "Rows and columns are exchanged: row i belongs to image i, column j to caption j.",
        ),
    ],
    hints=[
        "A cosine is the inner product of two vectors of length 1.",
        "`F.normalize(x, dim=-1)` gives every row length 1. Do it for both, then multiply.",
    ],
    praise="only directions count, every value lies between -1 and 1.",
)


def _two_classes(g: Draw) -> Case:
    images, width = g.sizes(2, 4, 9)
    return _unit(g.normal(images, width)), _unit(g.normal(2, width)), round(g.uniform(5, 20), 1)


def _score(image: Tensor, classes: Tensor, scale: float) -> Tensor:
    return scale * (image @ (classes[1] - classes[0]))


def _softmax(image: Tensor, classes: Tensor, scale: float) -> Tensor:
    return (scale * image @ classes.T).softmax(-1)


SCORE = Exercise(
    "score_faces",
    _two_classes,
    _score,
    misconceptions=[
        Mistake(
            lambda v, c, s: -_score(v, c, s),
            "The sign is reversed: this is high for live faces. In this book a higher score always "
            "means more likely an attack, and row 0 is live, row 1 is fake: subtract live from "
            "fake.",
        ),
        Mistake(
            lambda v, c, s: s * (v @ c[1]),
            "You used the similarity to `fake` alone. An image can be close to every caption or "
            "far from every caption; the decision lies in the difference to `live`.",
        ),
        Mistake(
            lambda v, c, s: s * (v @ c[0]),
            "You used the similarity to `live` alone, which is high for live faces. Subtract it "
            "from the similarity to `fake`.",
        ),
        Mistake(
            lambda v, c, s: v @ (c[1] - c[0]),
            "The logit scale is missing. The order of the images, and so the AUC, is the same; but "
            "the softmax of these numbers would not be the model's.",
        ),
        Mistake(
            lambda v, c, s: v @ (c[1] - c[0]) / s,
            "You divided by the logit scale. It is the inverse of a temperature: cosines are "
            "multiplied by it.",
        ),
        Mistake(
            lambda v, c, s: _softmax(v, c, s)[:, 1],
            "This is the probability of `fake`. It puts the images in the same order, but it "
            "squeezes confident scores together near 0 and 1; return the difference of the two "
            "logits, from before the softmax.",
        ),
        Mistake(
            lambda v, c, s: _softmax(v, c, s)[:, 1].log(),
            "This is the logarithm of the probability of `fake`. It never gets above 0, so "
            "confident attacks look alike; return the difference of the two logits.",
        ),
        Mistake(
            lambda v, c, s: _softmax(v, c, s)[:, 0],
            "This is the probability of `live`: the wrong class, and a probability instead of a "
            "score.",
        ),
        Mistake(
            lambda v, c, s: s * (v @ _unit(c[1] - c[0])),
            "You normalized the difference of the two sentences. CLIP compares an image with each "
            "sentence; the difference of the two logits needs no further scaling.",
        ),
        Mistake(
            lambda v, c, s: (v @ c.T).argmax(-1),
            "This is a decision (1 or 0), not a score. A threshold comes later, and it comes from "
            "the dev split.",
        ),
    ],
    hints=[
        "Compute the two logits of every image: logit scale times the cosine with each sentence.",
        "The score is high where `fake` fits better: column 1 minus column 0.",
    ],
    praise="positive where the fake caption fits better, whatever both fit.",
)


def _ensemble(image: Tensor, prompts: Tensor) -> Tensor:
    return _unit(image) @ _unit(_unit(prompts).mean(0))


def _cosines(image: Tensor, prompts: Tensor) -> Tensor:
    return _unit(image) @ _unit(prompts).T


ENSEMBLE = Exercise(
    "ensemble_similarity",
    _embeddings,
    _ensemble,
    difficulty=2,
    misconceptions=[
        Mistake(
            lambda v, p: _cosines(v, p).mean(0),
            "You averaged over the images: one number per prompt is left. An ensemble averages the "
            "WORDINGS of one class, and every image keeps a number of its own.",
        ),
        Mistake(
            lambda v, p: _unit(p) @ _unit(_unit(v).mean(0)),
            "You averaged the images' embeddings and compared that one mean face with every "
            "wording. An ensemble averages the wordings; the images stay apart.",
        ),
        Mistake(
            lambda v, p: _unit(v) @ _unit(p.mean(0)),
            "You averaged before normalizing: a wording whose embedding is three times as long "
            "gets three times the votes, and its length means nothing. Normalize each wording "
            "first.",
        ),
        Mistake(
            lambda v, p: _cosines(v, p).mean(1),
            "The average of unit vectors is shorter than 1, the more so the more the wordings "
            "disagree, so a class with diverse wordings would look less similar to every image. "
            "Normalize the average once more.",
        ),
        Mistake(
            lambda v, p: (v @ p.T).mean(1),
            "Nothing is normalized: this is the mean of plain inner products.",
        ),
        Mistake(
            lambda v, p: _cosines(v, p).amax(1),
            "You took the best wording for each image instead of the average: the class with more "
            "wordings gets more lottery tickets.",
        ),
        Mistake(
            lambda v, p: _cosines(v, p).median(1).values,
            "You took the median of the cosines. Average the normalized wordings, and normalize "
            "their average.",
        ),
        Mistake(
            lambda v, p: v @ _unit(_unit(p).mean(0)),
            "The prompts are right, but the images are not normalized.",
        ),
        Mistake(
            lambda v, p: v @ _unit(p).mean(0),
            "Two things are missing: the images are not normalized, and neither is the average of "
            "the wordings.",
        ),
        Mistake(
            lambda v, p: _unit(v) @ _unit(F.normalize(p, dim=0).mean(0)),
            "You normalized the wordings down the columns (dim=0). Each ROW is one wording: "
            "normalize over the last axis.",
        ),
    ],
    hints=[
        "Every wording should have one vote: give each row of `prompt_embedding` length 1.",
        "Average the rows. The average is shorter than 1: normalize it again.",
    ],
    praise="every wording has one vote, and the class is one direction again.",
)


def _close_cosines(g: Draw) -> Case:
    """Cosines that differ by about 0.05, so that no probability is nearly 0 or 1."""
    live = 0.2 + 0.1 * g.normal(g.size(5, 9))
    return torch.stack([live, live + 0.05 * g.normal(len(live))], dim=1), round(g.uniform(15, 25))


PROBABILITY = Exercise(
    "probability_of_fake",
    _close_cosines,
    lambda cosines, scale: (scale * cosines).softmax(-1)[:, 1],
    misconceptions=[
        Mistake(
            lambda c, s: c[:, 1],
            "You read the cosine as a probability. It can be negative, the two do not sum to 1, "
            "and 0.3 against 0.2 is a clear verdict once multiplied by the logit scale.",
        ),
        Mistake(
            lambda c, s: (1 + c[:, 1]) / 2,
            "Moving the cosine from [-1, 1] to [0, 1] makes it look like a probability, but the "
            "model was never trained to mean it. It was trained through a softmax over logit scale "
            "x cosine.",
        ),
        Mistake(
            lambda c, s: c[:, 1] / c.sum(-1),
            "Dividing by the sum makes two numbers that add up to 1, but not a probability: "
            "cosines may be negative. The model was trained through a softmax.",
        ),
        Mistake(
            lambda c, s: c.softmax(-1)[:, 1],
            "The logit scale is missing: a softmax over bare cosines is nearly one half for every "
            "image, since two cosines can differ by 2 at most.",
        ),
        Mistake(
            lambda c, s: (c / s).softmax(-1)[:, 1],
            "You divided by the logit scale. It is the inverse of a temperature: cosines are "
            "multiplied by it.",
        ),
        Mistake(
            lambda c, s: (s * c).softmax(-1)[:, 0],
            "This is the probability of live. Columns are in the order live, fake.",
        ),
        Mistake(
            lambda c, s: ((s * c).softmax(-1)[:, 1] > 0.5).float(),
            "Every number is 0 or 1: this is a decision, or a softmax of far too large numbers "
            "(the logit scale comes as it is, without another exponential). Return the "
            "probability.",
        ),
        Mistake(
            lambda c, s: (s * c).softmax(0)[:, 1],
            "Your softmax runs over the images, so they compete with each other and a verdict "
            "depends on its neighbors. The captions compete for one image: softmax over the last "
            "axis.",
        ),
        Mistake(
            lambda c, s: (s * c).softmax(-1),
            "You returned both classes; wanted is the column of fake.",
        ),
    ],
    hints=["Logits are the logit scale times the cosines. The two captions of an image compete."],
    praise="a probability between these two captions, and between no others.",
)


def _scored(g: Draw) -> Case:
    """Scores with one decimal; a live image and an attack lie on the threshold."""
    live, attacks = g.sizes(2, 4, 10)
    is_attack = torch.arange(live + attacks) >= live
    score = (g.normal(live + attacks) + 0.5 * is_attack).mul(10).round() / 10
    score[[0, 1, -1, -2]] = torch.tensor([0.5, -1.0, 0.5, 2.0])
    score[[2, live]] = torch.tensor([1.1, -0.5])
    order = torch.randperm(live + attacks, generator=g.torch)
    return score[order], is_attack[order], 0.5


def _rates(score: Tensor, is_attack: Tensor, threshold: float) -> list[Tensor]:
    called = score >= threshold
    return [(~called[is_attack]).double().mean(), called[~is_attack].double().mean()]


def _with(acer: Callable[..., Any], rates: Callable[..., Any] = _rates) -> Callable[..., Any]:
    """The two rates and something made from them and from all decisions that are wrong."""

    def error_rates(score: Tensor, is_attack: Tensor, threshold: float) -> list[Any]:
        a, b = rates(score, is_attack, threshold)
        return [a, b, acer(a, b, ((score >= threshold) != is_attack).double().mean())]

    return error_rates


def _mean(a: Any, b: Any, _: Any) -> Any:
    return (a + b) / 2


def _above(missed_too: bool) -> Callable[..., Any]:
    """Rates in which a score at the threshold is called live, for live faces or for all."""

    def rates(score: Tensor, is_attack: Tensor, threshold: float) -> list[Tensor]:
        missed = score <= threshold if missed_too else score < threshold
        rejected = score > threshold
        return [missed[is_attack].double().mean(), rejected[~is_attack].double().mean()]

    return rates


def _of_all(score: Tensor, is_attack: Tensor, threshold: float) -> list[Tensor]:
    called = score >= threshold
    return [(~called & is_attack).double().mean(), (called & ~is_attack).double().mean()]


ERROR_RATES = Exercise(
    "error_rates",
    _scored,
    _with(_mean),
    misconceptions=[
        Mistake(
            _with(_mean, lambda *args: _rates(*args)[::-1]),
            "APCER and BPCER are exchanged. APCER counts ATTACKS that were accepted, BPCER counts "
            "bona fide (live) faces that were rejected.",
        ),
        Mistake(
            _with(_mean, _of_all),
            "You divided by all images. APCER is a share of the attacks, BPCER a share of the live "
            "faces; otherwise both change when the test set gets more attacks.",
        ),
        Mistake(
            _with(lambda a, b, wrong: wrong),
            "ACER is the mean of the two rates, not the share of all errors: it must not depend on "
            "how many attacks the test set holds.",
        ),
        Mistake(
            _with(_mean, lambda *args: [1 - rate for rate in _rates(*args)]),
            "These are the shares that were classified correctly. An error rate counts the others.",
        ),
        Mistake(
            _with(lambda a, b, wrong: a + b), "ACER is the mean of APCER and BPCER, not their sum."
        ),
        Mistake(
            _with(_mean, _above(missed_too=True)),
            "A score that equals the threshold counts as an attack here (score >= threshold). It "
            "matters: the threshold is itself a score of some dev image.",
        ),
        Mistake(
            _with(_mean, _above(missed_too=False)),
            "A score that equals the threshold counts as an attack here (score >= threshold). That "
            "holds for live faces, too.",
        ),
        Mistake(
            lambda *args: [100 * value for value in _with(_mean)(*args)],
            "These are percent. Return fractions.",
        ),
    ],
    hints=[
        "First decide for every image: is its score at or above the threshold?",
        "Booleans pick rows: `decision[is_attack]`. Their mean needs numbers: `.float().mean()`.",
    ],
    praise="attacks among the attacks, live among the live, then the mean of the two.",
)

CHAPTER = Chapter(
    "03",
    "Asking CLIP: live or fake?",
    "import numpy as np\nimport torch\nimport torch.nn.functional as F",
    [COSINE, SCORE, ENSEMBLE, PROBABILITY, ERROR_RATES],
)

check_cosine = COSINE.check
check_attack_score = SCORE.check
check_ensemble = ENSEMBLE.check
check_probability = PROBABILITY.check
check_error_rates = ERROR_RATES.check
