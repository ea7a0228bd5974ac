"""Checks of chapter 4: Eq. 1 by hand, its floor, its targets, its hidden prior, what to freeze."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lasoftmoe.clip import load_clip
from lasoftmoe.exercises.checking import call, compare
from lasoftmoe.methods.clip import text_parameters

# Three live images and five attacks: with equal numbers several mistakes would go unnoticed.
LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 1, 1])
LIVE, FAKE = 3, 5
LOGIT_SCALE = 20.0


def check_equation_1(equation_1: Callable[[Tensor], Tensor]) -> None:
    """``equation_1(similarity (N, N)) -> scalar``; rows are images, columns their captions."""
    similarity = 3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(4))
    rows, columns = similarity.log_softmax(1), similarity.log_softmax(0)
    to_text, to_image = -rows.diagonal().mean(), -columns.diagonal().mean()
    compare(
        call(equation_1, similarity),
        (to_text + to_image) / 2,
        {
            "This is one direction only: each image looks for its caption. Eq. 1 has a second "
            "half in which each caption looks for its image, down the columns.": to_text,
            "This is one direction only: each caption looks for its image. Eq. 1 has a second "
            "half in which each image looks for its caption, along the rows.": to_image,
            "The two directions are averaged, not added: divide by 2.": to_text + to_image,
            "The sign is wrong: a logarithm of a probability is negative, a loss is not.": (
                -(to_text + to_image) / 2
            ),
            "You averaged over all N x N pairs. Only the diagonal holds an image with its own "
            "caption; the other pairs appear in the denominators alone.": (
                -(rows.mean() + columns.mean()) / 2
            ),
            "You summed over the batch. Eq. 1 divides by N, so that the loss does not grow with "
            "the size of the batch.": 6 * (to_text + to_image) / 2,
            "The logarithm is missing: this is one minus, or minus, a mean probability, whose "
            "gradient vanishes where the model is most wrong.": (
                -(rows.exp().diagonal().mean() + columns.exp().diagonal().mean()) / 2
            ),
        },
    )
    print("Right: both directions, the diagonal only, averaged over the batch.")


def check_floor(floor: Callable[[Tensor], Tensor | float]) -> None:
    """``floor(labels (N,)) -> float``: what Eq. 1 cannot go below when captions repeat."""
    answer = call(floor, LABELS)
    n = len(LABELS)
    counts = torch.tensor([LIVE, FAKE], dtype=torch.float)
    right = (counts / n * counts.log()).sum()
    if isinstance(answer, float | int):
        answer = torch.tensor(float(answer))
    compare(
        answer,
        right,
        {
            "ln(N/2) is the floor of a batch that is half live and half fake. This one holds 3 "
            "and 5: an image of a class with n images shares its caption with n - 1 others, so "
            "its own share of the probability is at most 1/n.": torch.tensor(math.log(n / 2)),
            "ln N is the loss of a model that knows nothing. One that knows the two classes does "
            "better: it only cannot tell equal captions apart.": torch.tensor(math.log(n)),
            "Zero would be the floor if all captions differed. Here each caption appears several "
            "times, and equal texts get equal probabilities.": torch.tensor(0.0),
            "You averaged over the two classes. The loss is a mean over IMAGES: the class with 5 "
            "images counts five times.": counts.log().mean(),
            "This is the entropy of the classes. The floor is what is left when the class is "
            "known: the uncertainty about which copy, ln N minus this entropy.": (
                math.log(n) - right
            ),
            "You summed over the batch; the loss is a mean over its images.": right * n,
        },
    )
    print("Right: the mean over images of ln(number of images with the same caption).")


def check_targets(targets: Callable[[Tensor], Tensor]) -> None:
    """``targets(labels (N,)) -> (N, N)``: each row spread evenly over all equal captions."""
    equal = (LABELS[:, None] == LABELS[None, :]).float()
    n = len(LABELS)
    compare(
        call(targets, LABELS),
        equal / equal.sum(1, keepdim=True),
        {
            "These are identity targets: each image is told that the other copies of its own "
            "caption are wrong. Spread the target over all columns with the same label.": (
                torch.eye(n)
            ),
            "The right columns, but a row is no distribution yet: divide it by its sum.": equal,
            "You divided every row by N. A row with 3 equal captions then sums to 3/N instead of "
            "1: divide each row by the number of ITS equal captions.": equal / n,
            "You divided all rows by one number. The classes are not equally frequent: divide "
            "each row by the number of its own equal captions.": equal / (n / 2),
            "These targets point at the OTHER class.": (1 - equal)
            / (1 - equal).sum(1, keepdim=True),
        },
    )
    print("Right: every row is a distribution over the copies of its caption.")


def check_prior(fake_share: Callable[[Tensor, float, int, int], Tensor]) -> None:
    """``fake_share(cosines (n, 2), logit_scale, live, fake) -> (n,)``; columns live, fake.

    The probability that a row of Eq. 1 gives to all fake captions of a batch together.
    """
    generator = torch.Generator().manual_seed(5)
    cosines = 0.3 * torch.rand(7, 2, generator=generator) - 0.1
    logits = LOGIT_SCALE * cosines
    weights = logits.exp() * torch.tensor([LIVE, FAKE])
    right = weights[:, 1] / weights.sum(1)
    cold = cosines.div(LOGIT_SCALE).exp() * torch.tensor([LIVE, FAKE])
    bare = cosines.exp() * torch.tensor([LIVE, FAKE])
    swapped = logits.exp() * torch.tensor([FAKE, LIVE])
    compare(
        call(fake_share, cosines, LOGIT_SCALE, LIVE, FAKE),
        right,
        {
            "This is the softmax over two captions. A row of Eq. 1 runs over all N of them: the "
            "fake caption stands there five times and the live one three times.": (
                logits.softmax(1)[:, 1]
            ),
            "This is the share of ONE copy of the fake caption. All copies together were asked "
            "for: multiply by their number.": right / FAKE,
            "The counts are exchanged: column 0 is live and appears `live` times.": (
                swapped[:, 1] / swapped.sum(1)
            ),
            "You divided by the logit scale. It is the inverse of the temperature: cosines are "
            "multiplied by it, which makes the softmax sharper.": cold[:, 1] / cold.sum(1),
            "The logit scale is missing: bare cosines differ too little to decide anything.": (
                bare[:, 1] / bare.sum(1)
            ),
            "This is the share of the live captions. Columns are in the order live, fake.": (
                1 - right
            ),
        },
    )
    print("Right: a two-way softmax that has the composition of the batch built in as a prior.")


def check_frozen(is_frozen: Callable[[str], bool]) -> None:
    """``is_frozen(name of a parameter) -> bool``: true for the text tower and nothing else."""
    model = load_clip("small", None).model
    text = {id(parameter) for parameter in text_parameters(model)}
    named = list(model.named_parameters())
    names = [name for name, _ in named]

    def flags(rule: Callable[[str], bool]) -> Tensor:
        return torch.tensor([bool(rule(name)) for name in names])

    answers = [call(is_frozen, name) for name in names]
    compare(
        torch.tensor([bool(answer) for answer in answers]),
        torch.tensor([id(parameter) in text for _, parameter in named]),
        {
            "You froze the wrong tower. `visual` looks at the images, and the new thing here is "
            "in the images; the two captions are all that the text tower ever sees.": flags(
                lambda name: name.startswith("visual")
            ),
            "The vision tower has a part called `transformer`, too: a test for the word "
            "anywhere in the name freezes the blocks of both towers.": flags(
                lambda name: "transformer" in name
            ),
            "The blocks of the text tower are more than half of it, but its token and position "
            "embeddings, its last norm and its projection would still be trained.": flags(
                lambda name: name.startswith("transformer")
            ),
            "The logit scale is frozen with the text tower. It belongs to neither tower, and "
            "training needs it to sharpen the softmax.": flags(
                lambda name: not name.startswith("visual")
            ),
            "Everything is frozen: nothing would be trained.": flags(lambda name: True),
            "Nothing is frozen.": flags(lambda name: False),
        },
    )
    print("Right: the text tower rests, the vision tower and the logit scale learn.")
