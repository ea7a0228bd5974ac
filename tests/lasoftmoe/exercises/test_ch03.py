"""Chapter 3's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import torch
import torch.nn.functional as F

from lasoftmoe.exercises import ch03
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("03_clip_zero_shot", ch03)


def unit(x):
    return F.normalize(x, dim=-1)


def rates_with_loops(score, is_attack, threshold):
    missed = sum(bool(y) and bool(a < threshold) for a, y in zip(score, is_attack, strict=True))
    rejected = sum(
        not bool(y) and bool(a >= threshold) for a, y in zip(score, is_attack, strict=True)
    )
    apcer = missed / int(is_attack.sum())
    bpcer = rejected / int((~is_attack).sum())
    return [apcer, bpcer, 0.5 * apcer + 0.5 * bpcer]


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch03.check_cosine, lambda v, t: F.cosine_similarity(v[:, None], t[None], dim=-1)),
    (ch03.check_cosine, lambda v, t: v @ t.T / v.norm(dim=1)[:, None] / t.norm(dim=1)),
    (ch03.check_attack_score, lambda v, c, scale: scale * (v @ (c[1] - c[0]))),
    (ch03.check_attack_score, lambda v, c, scale: (scale * v @ c.T).log_softmax(-1).diff()[:, 0]),
    (ch03.check_ensemble, lambda v, p: F.cosine_similarity(v, unit(p).sum(0)[None])),
    (ch03.check_probability, lambda c, scale: torch.sigmoid(scale * (c[:, 1] - c[:, 0]))),
    (ch03.check_error_rates, rates_with_loops),
]


MISTAKES = [
    (ch03.check_cosine, lambda v, t: v @ t.T, "forgot to normalize"),
    (ch03.check_cosine, lambda v, t: unit(v) @ t.T, "the captions are not"),
    (ch03.check_cosine, lambda v, t: v @ unit(t).T, "the images are not"),
    (
        ch03.check_cosine,
        lambda v, t: F.normalize(v, dim=0) @ F.normalize(t, dim=0).T,
        "down the columns",
    ),
    (ch03.check_cosine, lambda v, t: (v / v.norm()) @ (t / t.norm()).T, "whole batch"),
    (
        ch03.check_cosine,
        lambda v, t: F.normalize(v, p=1, dim=-1) @ F.normalize(t, p=1, dim=-1).T,
        "absolute values",
    ),
    (ch03.check_cosine, lambda v, t: unit(t) @ unit(v).T, "exchanged"),
    (ch03.check_attack_score, lambda v, c, s: s * (v @ (c[0] - c[1])), "sign is reversed"),
    (ch03.check_attack_score, lambda v, c, s: s * (v @ c[1]), "`fake` alone"),
    (ch03.check_attack_score, lambda v, c, s: s * (v @ c[0]), "`live` alone"),
    (ch03.check_attack_score, lambda v, c, s: v @ (c[1] - c[0]), "logit scale is missing"),
    (ch03.check_attack_score, lambda v, c, s: (s * v @ c.T).softmax(-1)[:, 1], "of `fake`"),
    (ch03.check_attack_score, lambda v, c, s: (s * v @ c.T).softmax(-1)[:, 0], "wrong class"),
    (ch03.check_attack_score, lambda v, c, s: (v @ c.T).argmax(-1), "a decision"),
    (ch03.check_ensemble, lambda v, p: (unit(v) @ unit(p).T).mean(0), "averaged over the images"),
    (ch03.check_ensemble, lambda v, p: unit(p) @ unit(unit(v).mean(0)), "one mean face"),
    (ch03.check_ensemble, lambda v, p: unit(v) @ unit(p.mean(0)), "before normalizing"),
    (ch03.check_ensemble, lambda v, p: (unit(v) @ unit(p).T).mean(1), "once more"),
    (ch03.check_ensemble, lambda v, p: (v @ p.T).mean(1), "Nothing is normalized"),
    (ch03.check_ensemble, lambda v, p: (unit(v) @ unit(p).T).amax(1), "best wording"),
    (ch03.check_ensemble, lambda v, p: v @ unit(unit(p).mean(0)), "images are not normalized"),
    (ch03.check_probability, lambda c, s: c[:, 1], "cosine as a probability"),
    (ch03.check_probability, lambda c, s: (1 + c[:, 1]) / 2, "never trained to mean it"),
    (ch03.check_probability, lambda c, s: c[:, 1] / c.sum(-1), "Dividing by the sum"),
    (ch03.check_probability, lambda c, s: c.softmax(-1)[:, 1], "bare cosines"),
    (ch03.check_probability, lambda c, s: (s * c).softmax(-1)[:, 0], "probability of live"),
    (ch03.check_probability, lambda c, s: (s * c).softmax(0)[:, 1], "over the images"),
    (ch03.check_probability, lambda c, s: (s * c).softmax(-1), "both classes"),
    (
        ch03.check_error_rates,
        lambda a, y, t: [
            ((a < t) & y).float().mean(),
            ((a >= t) & ~y).float().mean(),
            ((a < t) == y).float().mean() / 2,
        ],
        "divided by all images",
    ),
    (
        ch03.check_error_rates,
        lambda a, y, t: [
            (a[y] < t).float().mean(),
            (a[~y] >= t).float().mean(),
            ((a < t) == y).float().mean(),
        ],
        "share of all errors",
    ),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES
