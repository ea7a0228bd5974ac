"""Chapter 4's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import math

import torch
import torch.nn.functional as F

from lasoftmoe.exercises import ch04
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("04_fine_tuning_clip", ch04)


def cross_entropies(similarity):
    own = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2


def floor_with_loops(labels):
    return sum(math.log(sum(bool(a == b) for b in labels)) for a in labels) / len(labels)


def share_of_all_columns(cosines, scale, live, fake):
    columns = torch.cat([cosines[:, :1]] * live + [cosines[:, 1:]] * fake, dim=1)
    return (scale * columns).softmax(dim=1)[:, live:].sum(dim=1)


def equal(labels):
    return (labels[:, None] == labels).float()


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch04.check_equation_1, lambda s: float(cross_entropies(s))),
    (ch04.check_equation_1, cross_entropies),
    (ch04.check_floor, floor_with_loops),
    (ch04.check_floor, lambda y: torch.tensor(floor_with_loops(y))),
    (ch04.check_targets, lambda y: F.normalize(equal(y), p=1, dim=1)),
    (ch04.check_prior, share_of_all_columns),
    (
        ch04.check_prior,
        lambda c, s, live, fake: (s * (c[:, 1] - c[:, 0]) + math.log(fake / live)).sigmoid(),
    ),
    (ch04.check_frozen, lambda name: not (name.startswith("visual") or name == "logit_scale")),
]


def rows(s):
    return s.log_softmax(1).diagonal()


def columns(s):
    return s.log_softmax(0).diagonal()


def weighted(logits, live, fake):
    weights = logits.exp() * torch.tensor([live, fake])
    return (weights / weights.sum(1, keepdim=True))[:, 1]


MISTAKES = [
    (ch04.check_equation_1, lambda s: -rows(s).mean(), "each image looks for its caption. Eq"),
    (ch04.check_equation_1, lambda s: -columns(s).mean(), "each caption looks for its image. Eq"),
    (ch04.check_equation_1, lambda s: -(rows(s) + columns(s)).mean(), "averaged, not added"),
    (ch04.check_equation_1, lambda s: (rows(s) + columns(s)).mean() / 2, "sign is wrong"),
    (
        ch04.check_equation_1,
        lambda s: -(s.log_softmax(1) + s.log_softmax(0)).mean() / 2,
        "all N x N pairs",
    ),
    (ch04.check_equation_1, lambda s: -(rows(s) + columns(s)).sum() / 2, "summed over the batch"),
    (
        ch04.check_equation_1,
        lambda s: -(rows(s).exp() + columns(s).exp()).mean() / 2,
        "logarithm is missing",
    ),
    (ch04.check_floor, lambda y: math.log(len(y) / 2), "half live and half fake"),
    (ch04.check_floor, lambda y: math.log(len(y)), "knows nothing"),
    (ch04.check_floor, lambda y: 0.0, "Zero would be"),
    (ch04.check_floor, lambda y: y.bincount().log().mean(), "averaged over the two classes"),
    (
        ch04.check_floor,
        lambda y: torch.special.entr(y.bincount() / len(y)).sum(),
        "entropy of the classes",
    ),
    (ch04.check_floor, lambda y: floor_with_loops(y) * len(y), "summed over the batch"),
    (ch04.check_targets, lambda y: torch.eye(len(y)), "identity targets"),
    (ch04.check_targets, equal, "divide it by its sum"),
    (ch04.check_targets, lambda y: equal(y) / len(y), "divided every row by N"),
    (ch04.check_targets, lambda y: equal(y) / (len(y) / 2), "by one number"),
    (
        ch04.check_targets,
        lambda y: (1 - equal(y)) / (1 - equal(y)).sum(1, keepdim=True),
        "OTHER class",
    ),
    (ch04.check_prior, lambda c, s, a, b: (s * c).softmax(1)[:, 1], "runs over all N"),
    (ch04.check_prior, lambda c, s, a, b: weighted(s * c, a, b) / b, "ONE copy"),
    (ch04.check_prior, lambda c, s, a, b: weighted(s * c, b, a), "counts are exchanged"),
    (ch04.check_prior, lambda c, s, a, b: weighted(c / s, a, b), "inverse of the temperature"),
    (ch04.check_prior, lambda c, s, a, b: weighted(c, a, b), "scale is missing"),
    (ch04.check_prior, lambda c, s, a, b: 1 - weighted(s * c, a, b), "share of the live"),
    (ch04.check_frozen, lambda name: name.startswith("visual."), "wrong tower"),
    (
        ch04.check_frozen,
        lambda name: not name.startswith(("visual", "logit", "positional")),
        "`positional_embedding` is judged wrong",
    ),
    (ch04.check_frozen, lambda name: "transformer" in name, "blocks of both towers"),
    (ch04.check_frozen, lambda name: name.startswith("transformer."), "still be trained"),
    (ch04.check_frozen, lambda name: not name.startswith("visual."), "belongs to neither"),
    (ch04.check_frozen, lambda name: True, "Everything is frozen"),
    (ch04.check_frozen, lambda name: False, "Nothing is frozen"),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES
