"""Exercises of chapter 4: Eq. 1, its floor, its targets, its hidden prior, what to freeze."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake


def _to_text(s: Tensor) -> Tensor:
    return s.log_softmax(1).diagonal()


def _to_image(s: Tensor) -> Tensor:
    return s.log_softmax(0).diagonal()


def _similarity(g: Draw) -> Case:
    size = g.size(5, 9)
    return (3 * g.normal(size, size),)


EQUATION_1 = Exercise(
    "loss_by_hand",
    _similarity,
    lambda s: -(_to_text(s) + _to_image(s)).mean() / 2,
    misconceptions=[
        Mistake(
            lambda s: -_to_text(s).mean(),
            "This is one direction only: each image looks for its caption. Eq. 1 has a second half "
            "in which each caption looks for its image, down the columns.",
        ),
        Mistake(
            lambda s: -_to_image(s).mean(),
            "This is one direction only: each caption looks for its image. Eq. 1 has a second half "
            "in which each image looks for its caption, along the rows.",
        ),
        Mistake(
            lambda s: -(_to_text(s) + _to_image(s)).mean(),
            "The two directions are averaged, not added: divide by 2.",
        ),
        Mistake(
            lambda s: (_to_text(s) + _to_image(s)).mean() / 2,
            "The sign is wrong: a logarithm of a probability is negative, a loss is not.",
        ),
        Mistake(
            lambda s: -(s.log_softmax(1) + s.log_softmax(0)).mean() / 2,
            "You averaged over all N x N pairs. Only the diagonal holds an image with its own "
            "caption; the other pairs appear in the denominators alone.",
        ),
        Mistake(
            lambda s: -(_to_text(s) + _to_image(s)).sum() / 2,
            "You summed over the batch. Eq. 1 divides by N, so that the loss does not grow with "
            "the size of the batch.",
        ),
        Mistake(
            lambda s: -(_to_text(s).exp() + _to_image(s).exp()).mean() / 2,
            "The logarithm is missing: this is minus a mean probability, whose gradient vanishes "
            "where the model is most wrong.",
        ),
        Mistake(
            lambda s: 1 - (_to_text(s).exp() + _to_image(s).exp()).mean() / 2,
            "The logarithm is missing: this is one minus a mean probability, whose gradient "
            "vanishes where the model is most wrong.",
        ),
        Mistake(
            lambda s: -(_to_text(s).exp().mean().log() + _to_image(s).exp().mean().log()) / 2,
            "You averaged the probabilities before taking the logarithm. Take the logarithm of "
            "each image's probability first, then the mean.",
        ),
        Mistake(
            lambda s: -s.flatten().log_softmax(0).view_as(s).diagonal().mean(),
            "Your softmax runs over all N x N pairs at once. Each image chooses among its own row, "
            "each caption among its own column.",
        ),
    ],
    hints=[
        "Each image chooses among the captions of its row: `similarity.log_softmax(dim=1)`.",
        "The right choices stand on the diagonal: `.diagonal()`.",
        "Do the same down the columns, take the mean of both, and reverse the sign.",
    ],
    praise="both directions, the diagonal only, averaged over the batch.",
)


def _labels(g: Draw) -> Case:
    """Labels of two classes that are not equally frequent, in no order."""
    live, fake = g.sizes(2, 2, 8)
    labels = (torch.arange(live + fake) >= live).long()
    return (labels[torch.randperm(live + fake, generator=g.torch)],)


def _floor(labels: Tensor) -> Tensor:
    return labels.bincount().double()[labels].log().mean()


def _class_entropy(labels: Tensor) -> Tensor:
    return torch.special.entr(labels.bincount().double() / len(labels)).sum()


FLOOR = Exercise(
    "floor_of",
    _labels,
    _floor,
    difficulty=2,
    misconceptions=[
        Mistake(
            lambda y: math.log(len(y) / 2),
            "ln(N/2) is the floor of a batch that is half live and half fake. This one is not: an "
            "image of a class with n images shares its caption with n - 1 others, so its own share "
            "of the probability is at most 1/n.",
        ),
        Mistake(
            lambda y: math.log(len(y)),
            "ln N is the loss of a model that knows nothing. One that knows the two classes does "
            "better: it only cannot tell equal captions apart.",
        ),
        Mistake(
            lambda y: 0.0,
            "Zero would be the floor if all captions differed. Here each caption appears several "
            "times, and equal texts get equal probabilities.",
        ),
        Mistake(
            lambda y: y.bincount().double().log().mean(),
            "You averaged over the two classes. The loss is a mean over IMAGES: a class with five "
            "images counts five times.",
        ),
        Mistake(
            lambda y: y.bincount().double()[y].mean().log(),
            "You took the logarithm of the mean count. Each image has a loss of its own, ln of its "
            "count: take the mean of the logarithms.",
        ),
        Mistake(
            lambda y: y.bincount().max().double().log(),
            "You took the larger class for all images. An image of the smaller class shares its "
            "caption with fewer others.",
        ),
        Mistake(
            _class_entropy,
            "This is the entropy of the classes. The floor is what is left when the class is "
            "known: the uncertainty about which copy, ln N minus this entropy.",
        ),
        Mistake(
            lambda y: -_floor(y),
            "The sign is wrong: minus the logarithm of 1/n is ln n, which is not negative.",
        ),
        Mistake(
            lambda y: _floor(y) * len(y),
            "You summed over the batch; the loss is a mean over its images.",
        ),
    ],
    hints=[
        "What is the best that one image can do if n images carry the same caption?",
        "Its own copy gets 1/n at most, so its loss is at least ln n.",
        "`labels.bincount()[labels]` is n for each image.",
    ],
    praise="the mean over images of ln(number of images with the same caption).",
)


def _equal(labels: Tensor) -> Tensor:
    return (labels[:, None] == labels).double()


def _per_row(table: Tensor) -> Tensor:
    return table / table.sum(1, keepdim=True)


TARGETS = Exercise(
    "spread_targets",
    _labels,
    lambda y: _per_row(_equal(y)),
    misconceptions=[
        Mistake(
            lambda y: torch.eye(len(y)),
            "These are identity targets: each image is told that the other copies of its own "
            "caption are wrong. Spread the target over all columns with the same label.",
        ),
        Mistake(
            _equal, "The right columns, but a row is no distribution yet: divide it by its sum."
        ),
        Mistake(
            lambda y: _equal(y) / len(y),
            "You divided every row by N. A row with 3 equal captions then sums to 3/N instead of "
            "1: divide each row by the number of ITS equal captions.",
        ),
        Mistake(
            lambda y: _equal(y) / (len(y) / 2),
            "You divided all rows by one number. The classes are not equally frequent: divide each "
            "row by the number of its own equal captions.",
        ),
        Mistake(
            lambda y: _equal(y).softmax(1),
            "You took a softmax of zeros and ones, which gives the wrong captions a share, too. "
            "Divide each row by its sum.",
        ),
        Mistake(
            lambda y: _per_row(_equal(y) - torch.eye(len(y))),
            "You left the diagonal out. An image's own caption is one of the right ones.",
        ),
        Mistake(lambda y: _per_row(1 - _equal(y)), "These targets point at the OTHER class."),
    ],
    hints=[
        "`labels[:, None] == labels[None, :]` is a table of which captions are equal.",
        "Turn it into numbers and divide each row by its own sum (`keepdim=True`).",
    ],
    praise="every row is a distribution over the copies of its caption.",
)


def _row_of_captions(g: Draw) -> Case:
    cosines = 0.3 * torch.rand(g.size(5, 9), 2, generator=g.torch) - 0.1
    live, fake = g.sizes(2, 2, 8)
    return cosines, float(g.size(8, 20)), live, fake


def _weighted(logits: Tensor, live: float, fake: float) -> Tensor:
    weights = logits.double().exp() * torch.tensor([live, fake], dtype=torch.float64)
    return weights[:, 1] / weights.sum(1)


def _reweighted(c: Tensor, s: float, live: int, fake: int) -> Tensor:
    return (s * c).softmax(1)[:, 1] * fake / (live + fake)


PRIOR = Exercise(
    "fake_share",
    _row_of_captions,
    lambda c, s, live, fake: _weighted(s * c, live, fake),
    difficulty=3,
    misconceptions=[
        Mistake(
            lambda c, s, a, b: (s * c).softmax(1)[:, 1],
            "This is the softmax over two captions. A row of Eq. 1 runs over all N of them: each "
            "caption stands there as many times as it has images.",
        ),
        Mistake(
            lambda c, s, a, b: _weighted(s * c, a, b) / b,
            "This is the share of ONE copy of the fake caption. All copies together were asked "
            "for: multiply by their number.",
        ),
        Mistake(
            lambda c, s, a, b: _weighted(s * c, b, a),
            "The counts are exchanged, or their logarithms subtracted: column 0 is live and "
            "appears `live` times, and a caption that stands there often gets MORE of the "
            "probability.",
        ),
        Mistake(
            lambda c, s, a, b: (s * c + torch.tensor([a, b])).softmax(1)[:, 1],
            "You added the counts to the logits. n copies multiply the exponential by n, so they "
            "add ln n to the logit.",
        ),
        Mistake(
            lambda c, s, a, b: (s * (c + torch.tensor([a, b]).log())).softmax(1)[:, 1],
            "You multiplied the logarithms of the counts by the logit scale, too. Scale the "
            "cosines only, then add.",
        ),
        Mistake(
            lambda c, s, a, b: (s * c * torch.tensor([a, b])).softmax(1)[:, 1],
            "You multiplied the logits by the counts. Copies multiply the exponentials of the "
            "logits: add ln n to a logit instead.",
        ),
        Mistake(
            _reweighted,
            "You multiplied the two-way softmax by the share of fakes, and the two classes no "
            "longer sum to 1. Weigh both, then divide by their sum.",
        ),
        Mistake(
            lambda c, s, a, b: (s * c).softmax(1)[:, 1] * b,
            "You multiplied the two-way softmax by the number of fakes, and it is no probability "
            "any more. Weigh both classes, then divide by their sum.",
        ),
        Mistake(
            lambda c, s, a, b: _weighted(c / s, a, b),
            "You divided by the logit scale. It is the inverse of the temperature: cosines are "
            "multiplied by it, which makes the softmax sharper.",
        ),
        Mistake(
            lambda c, s, a, b: _weighted(c, a, b),
            "The logit scale is missing: bare cosines differ too little to decide anything.",
        ),
        Mistake(
            lambda c, s, a, b: 1 - _weighted(s * c, a, b),
            "This is the share of the live captions. Columns are in the order live, fake.",
        ),
    ],
    hints=[
        "Write the row out: `live` times the one logit, `fake` times the other.",
        "In the softmax, n equal terms exp(x) are n · exp(x), which is exp(x + ln n).",
        "So add the logarithms of the counts to the two logits and take the two-way softmax.",
    ],
    praise="a two-way softmax that has the composition of the batch built in as a prior.",
)

TEXT = ("token_embedding.weight", "positional_embedding", "text_projection", "ln_final.weight")
VISUAL = ("class_embedding", "positional_embedding", "proj", "conv1.weight", "ln_pre.weight")
BLOCK = ("ln_1.weight", "attn.in_proj_weight", "attn.out_proj.bias", "mlp.c_fc.weight")


def clip_names(blocks: int) -> list[str]:
    """Names of weights as open_clip's CLIP has them, with ``blocks`` blocks in each tower."""
    inside = [f"transformer.resblocks.{i}.{name}" for i in range(blocks) for name in BLOCK]
    towers = [*TEXT, *inside, *(f"visual.{name}" for name in (*VISUAL, *inside))]
    return [*towers, "visual.ln_post.bias", "ln_final.bias", "logit_scale"]


def _is_text(name: str) -> bool:
    return not name.startswith(("visual.", "logit_scale"))


def _frozen_rules(value: Any, names: list[str]) -> str | tuple[str, str] | None:
    if any(_all_like(rule, value, names) for rule in _KNOWN):
        return None  # a named mistake says more
    for name, answer in zip(names, value, strict=True):
        if answer != _is_text(name):
            where = "the text tower" if _is_text(name) else "not the text tower"
            return f"`{name}` is judged wrong: it is {where}. Look at what its name begins with."
    return None


def _all_like(rule: Any, value: Any, names: list[str]) -> bool:
    return all(rule(name) == answer for name, answer in zip(names, value, strict=True))


_FREEZE_MISTAKES = [
    Mistake(
        lambda name: name.startswith("visual."),
        "You froze the wrong tower. `visual` looks at the images, and the new thing here is in the "
        "images; the two captions are all that the text tower ever sees.",
    ),
    Mistake(
        lambda name: "transformer" in name,
        "The vision tower has a part called `transformer`, too: a test for the word anywhere in "
        "the name freezes the blocks of both towers.",
    ),
    Mistake(
        lambda name: name.startswith("transformer."),
        "The blocks of the text tower are more than half of it, but its token and position "
        "embeddings, its last norm and its projection would still be trained.",
    ),
    Mistake(
        lambda name: not name.startswith("visual."),
        "The logit scale is frozen with the text tower. It belongs to neither tower, and training "
        "needs it to sharpen the softmax.",
    ),
    Mistake(lambda name: True, "Everything is frozen: nothing would be trained."),
    Mistake(lambda name: False, "Nothing is frozen."),
]
_KNOWN = [mistake.answer for mistake in _FREEZE_MISTAKES]

FREEZE = Exercise(
    "is_frozen",
    lambda g: (clip_names(g.size(1, 4)),),
    _is_text,
    trial="name_by_name",
    rules=_frozen_rules,
    misconceptions=_FREEZE_MISTAKES,
    hints=[
        "Everything in the vision tower has a name that starts with `visual.`.",
        "Of the rest, one weight belongs to neither tower.",
    ],
    praise="the text tower rests, the vision tower and the logit scale learn.",
)

CHAPTER = Chapter(
    "04",
    "Fine-tuning CLIP",
    "import torch\nimport torch.nn.functional as F",
    [EQUATION_1, FLOOR, TARGETS, PRIOR, FREEZE],
)

check_equation_1 = EQUATION_1.check
check_floor = FLOOR.check
check_targets = TARGETS.check
check_prior = PRIOR.check
check_frozen = FREEZE.check
