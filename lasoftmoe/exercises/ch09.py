"""Exercises of chapter 9: orders, paired spread, drawing subjects, choosing on dev, neighbors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake


def _errors(g: Draw) -> Case:
    """Errors with ties; the claimed order holds in some seeds, and often nearly."""
    methods, seeds = 3, g.size(9, 12)
    errors = torch.tensor([7.0, 6.0, 5.0])[:, None] + g.normal(methods, seeds).round()
    errors[:, 0] = torch.tensor([7.0, 6.0, 5.0])  # the order holds
    errors[:, 1] = torch.tensor([7.0, 7.0, 5.0])  # a tie
    errors[:, 2] = torch.tensor([7.0, 8.0, 5.0])  # the last is best, the middle out of order
    errors[:, 3] = torch.tensor([5.0, 6.0, 6.0])  # not at all
    return (errors[:, torch.randperm(seeds, generator=g.torch)],)


def _falls(errors: Tensor) -> Tensor:
    return errors[:-1] > errors[1:]


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())


ORDER = Exercise(
    "share_in_order",
    _errors,
    lambda e: _share(_falls(e).all(0)),
    tolerance=1e-5,
    edge_cases=[
        (
            torch.tensor(
                [
                    [7.0, 6, 9, 7, 9, 5, 6, 8, 8],
                    [6.0, 2, 8, 8, 2, 4, 2, 2, 2],
                    [6.0, 6, 2, 3, 2, 2, 7, 4, 2],
                ]
            ),
        ),
        (torch.tensor([[9.0, 8, 3, 5], [5.0, 9, 4, 4], [4.0, 7, 5, 3], [3.0, 6, 6, 2]]),),
    ],
    misconceptions=[
        Mistake(
            lambda e: float(_falls(e).all(0).sum()),
            "That is the number of seeds, not their share: divide by how many there are.",
        ),
        Mistake(
            lambda e: _share(_falls(e).any(0)),
            "You asked whether ANY method beats the one before it. The claim orders all of them: "
            "`all` in place of `any`.",
        ),
        Mistake(
            lambda e: _share(_falls(e)[0]),
            "You asked for one pair only. The claim orders ALL methods: each has to have fewer "
            "errors than the one before it.",
        ),
        Mistake(
            lambda e: _share(e[0] > e[-1]),
            "You asked whether the last method beats the first. One in between may still be out of "
            "order.",
        ),
        Mistake(
            lambda e: _share(e.argmin(0) == len(e) - 1),
            "You asked whether the last method is the best of all. The others have to be in order "
            "as well.",
        ),
        Mistake(
            lambda e: float((e.mean(1).diff() < 0).all()),
            "You averaged over the seeds first. The mean shows the order or it does not; the "
            "question is in how many SINGLE seeds it shows.",
        ),
        Mistake(
            lambda e: _share((e[:-1] >= e[1:]).all(0)),
            "A tie is not “fewer errors”: use > and not >=.",
        ),
        Mistake(
            lambda e: _share((e[:-1] < e[1:]).all(0)),
            "The order is turned around: the worst method, with the most errors, comes first.",
        ),
        Mistake(
            lambda e: _share(_falls(e)),
            "You counted pairs. A seed shows the order only if all of its pairs do.",
        ),
    ],
    hints=[
        "Compare each row with the next one: `errors[:-1] > errors[1:]`.",
        "A seed is a column: in how many columns are all comparisons true?",
    ],
    praise="most papers show one column of such a table.",
)


def _two_methods(g: Draw) -> Case:
    """Errors of two methods whose seeds share most of their luck."""
    seeds = g.size(5, 9)
    luck = 3 * g.normal(seeds)
    return 20 + luck + 0.5 * g.normal(seeds), 18 + luck + 0.5 * g.normal(seeds)


PAIRED = Exercise(
    "paired_error",
    _two_methods,
    lambda a, b: float((a - b).std() / len(a) ** 0.5),
    tolerance=1e-5,
    misconceptions=[
        Mistake(
            lambda a, b: float(((a.var() + b.var()) / len(a)).sqrt()),
            "That is the error of a difference of two INDEPENDENT means. Here the same seed, so "
            "the same order of the data, stands behind a[k] and b[k]: subtract first, and what is "
            "common to both cancels.",
        ),
        Mistake(
            lambda a, b: float((a - b).std()),
            "That is the spread of single differences. Their mean is steadier: divide by √n.",
        ),
        Mistake(
            lambda a, b: float((a - b).std() / len(a)),
            "You divided by n. The spread of a mean falls with √n.",
        ),
        Mistake(
            lambda a, b: float((a - b).std(correction=0) / len(a) ** 0.5),
            "You divided the squares by n, and took the spread around the true mean for known. "
            "Around a mean estimated from the same numbers one divides by n - 1: std() does, "
            "std(correction=0) does not.",
        ),
        Mistake(
            lambda a, b: float((a - b).var() / len(a)), "That is a variance; take the square root."
        ),
        Mistake(
            lambda a, b: float((a - b).mean()),
            "That is the mean difference itself. How far would it move with other seeds?",
        ),
        Mistake(
            lambda a, b: float((a.std() - b.std()).abs() / len(a) ** 0.5),
            "You subtracted the spreads of the two methods. Subtract the errors seed by seed, then "
            "measure the spread of the differences.",
        ),
    ],
    hints=["Subtract seed by seed first.", "Then the standard deviation, over √n."],
    praise="subtract first, then measure the spread.",
)


def _resample(g: Draw) -> Case:
    """Subjects with different numbers of images; one is drawn twice and one not at all."""
    names = [str(name) for name in g.rng.permutation(list("abcdefgh"))[: g.size(4, 6)]]
    subject = [*names, *(str(name) for name in g.rng.choice(names, 8)), names[0]]
    drawn = [
        names[0],
        names[1],
        names[0],
        *(str(n) for n in g.rng.choice(names[:3], len(names) - 3)),
    ]
    return [str(name) for name in g.rng.permutation(subject)], drawn


def _rows_of(subject: list[str], drawn: list[str]) -> list[int]:
    return [row for name in drawn for row, owner in enumerate(subject) if owner == name]


def _rows_rules(value: Any, subject: list[str], drawn: list[str]) -> str | None:
    rows = value.flatten().tolist() if isinstance(value, Tensor) else value
    if isinstance(rows, tuple) and any(isinstance(row, str) for row in rows):
        return "You returned names. Return the numbers of the rows, from 0."
    if not isinstance(rows, tuple | list):
        return "Return a list of row numbers, from 0."
    if not all(isinstance(row, float) for row in rows):
        return "Return one flat list of row numbers: whole numbers, without lists inside."
    right, mine = _rows_of(subject, drawn), sorted(rows)
    if mine == sorted(right):
        return None
    for wrong, sentence in _wrong_rows(subject, drawn):
        if mine == sorted(wrong):
            return sentence
    if min(rows, default=0) < 0 or max(rows, default=0) >= len(subject):
        return "Some numbers are no rows of the table: rows are counted from 0."
    return (
        "The rows are not those of the resample. Go through `drawn`, and for each name add all "
        "rows at which `subject` holds it."
    )


def _wrong_rows(subject: list[str], drawn: list[str]) -> list[tuple[list[int], str]]:
    return [
        (
            [row for row, name in enumerate(subject) if name in drawn],
            "Each drawn subject came once, however often it was drawn (`in` and `isin` do that). "
            "“With replacement” means that a subject drawn twice brings its images twice.",
        ),
        (
            [subject.index(name) for name in drawn],
            "You took one image of each drawn subject. A subject brings all of its images.",
        ),
        (
            list(range(len(subject))),
            "Those are all rows. Subjects that were not drawn stay out of this resample.",
        ),
        (
            [row + 1 for row in _rows_of(subject, drawn)],
            "Your rows are counted from 1. Count from 0.",
        ),
    ]


ROWS = Exercise(
    "rows_of_draw",
    _resample,
    _rows_of,
    rules=_rows_rules,
    compared=False,
    edge_cases=[(["a", "b", "a", "c", "b", "a"], ["b", "a", "b"])],
    misconceptions=[
        Mistake(
            lambda subject, drawn, i=i: _wrong_rows(subject, drawn)[i][0],
            _wrong_rows(["a"], ["a"])[i][1],
        )
        for i in range(4)
    ]
    + [Mistake(lambda subject, drawn: drawn, "You returned names.")],
    hints=[
        "Go through `drawn`, name by name, and collect rows.",
        "For one name: `[row for row, owner in enumerate(subject) if owner == name]`.",
    ],
    praise="whole subjects, as often as they were drawn.",
)


def _training(g: Draw) -> Case:
    """AUC on dev and test, which do not peak in the same epoch, nor in the last one."""
    epochs = g.size(5, 8)
    dev, test = (g.rng.permutation(80 + np.arange(epochs) * 1.5) / 100 for _ in range(2))
    best, lucky = g.rng.permutation(epochs - 1)[:2]
    dev[best], test[lucky] = 0.95, 0.96
    return torch.tensor(dev), torch.tensor(test)


REPORTED = Exercise(
    "reported_auc",
    _training,
    lambda dev, test: test[dev.argmax()],
    tolerance=1e-5,
    misconceptions=[
        Mistake(
            lambda dev, test: test.max(),
            "That is the best epoch on TEST. Nobody who uses the detector can choose by labels "
            "that only the test set has, so the figure is one that nobody will see. Choose on dev, "
            "then look at test once.",
        ),
        Mistake(
            lambda dev, test: dev.max(),
            "That is the figure on dev, on which you have just chosen the epoch: the largest of "
            "several lucky numbers. Report the TEST figure of the epoch that dev chose.",
        ),
        Mistake(
            lambda dev, test: test[-1],
            "That is the last epoch. Fair, but the task was the best one on dev.",
        ),
        Mistake(
            lambda dev, test: test.mean(),
            "That is the mean over the epochs; the detector is one of them.",
        ),
        Mistake(
            lambda dev, test: dev.argmax(),
            "That is the number of the epoch. Report the figure on test there.",
        ),
        Mistake(
            lambda dev, test: test[dev.argmin()], "You took dev's worst epoch: argmax, not argmin."
        ),
        Mistake(
            lambda dev, test: dev[test.argmax()],
            "Turned around: test chose the epoch and dev was reported.",
        ),
    ],
    hints=["Two steps: which epoch does dev choose? What does test say there?"],
    praise="dev chooses, test reports.",
)


def _faces(g: Draw) -> Case:
    """Features in which the person shows more than the attack: 9 subjects, 4 images each."""
    people = g.normal(9, 1, 6)
    attack = torch.arange(4) % 2 == 0
    signs = torch.zeros(9, 4, 6)
    signs[..., 0] = 1.1 * torch.where(attack, 1.0, -1.0)
    features = (people + signs + 0.8 * g.normal(9, 4, 6)).flatten(0, 1)
    order = torch.randperm(36, generator=g.torch)
    unit = features / features.norm(dim=1, keepdim=True)
    subject = [f"s{k // 4}" for k in order.tolist()]
    return unit[order], attack.repeat(9)[order].tolist(), subject


def _nearest(leave_out: str, sign: int = 1) -> Callable[..., float]:
    """Accuracy of the nearest image, leaving out "nobody", the image "itself", or the "person"."""

    def accuracy(features: Tensor, is_attack: list[bool], subject: list[str]) -> float:
        labels, cosines = torch.tensor(is_attack), sign * features @ features.mT
        same_person = torch.tensor([[a == b for b in subject] for a in subject])
        itself = torch.eye(len(subject), dtype=torch.bool)
        hidden = {
            "nobody": torch.zeros_like(itself),
            "itself": itself,
            "person": same_person,
            "others": itself | ~same_person,
        }[leave_out]
        nearest = cosines.masked_fill(hidden, -9).argmax(1)
        return float((labels[nearest] == labels).double().mean())

    return accuracy


NEIGHBOR = Exercise(
    "neighbor_accuracy",
    _faces,
    _nearest("person"),
    difficulty=3,
    tolerance=1e-5,
    misconceptions=[
        Mistake(
            _nearest("nobody"),
            "Every image is its own nearest neighbor, so you always get 100 %. Leave it out, and "
            "with it all images of the same subject.",
        ),
        Mistake(
            _nearest("itself"),
            "You left out the image itself, but not the other images of the same SUBJECT. They "
            "look alike for reasons that have nothing to do with attacks.",
        ),
        Mistake(
            _nearest("others"),
            "You looked for the nearest image OF the same subject. Look among the images of "
            "everybody else.",
        ),
        Mistake(
            _nearest("person", sign=-1),
            "That is the FARTHEST image of another subject. With cosines, near means large.",
        ),
        Mistake(
            lambda *args: 1 - _nearest("person")(*args),
            "That is the share of images whose neighbor is of the OTHER class.",
        ),
    ],
    hints=[
        "All cosines at once: `features @ features.T`.",
        "Set the cosines of images of one subject to -2, so that they are never the largest.",
        "Compare the label of the nearest image, `argmax(dim=1)`, with the image's own.",
    ],
    praise="measured in the features themselves, not in a picture of them.",
)

CHAPTER = Chapter(
    "09",
    "Ablation",
    "import numpy as np\nimport pandas as pd\nimport torch",
    [ORDER, PAIRED, ROWS, REPORTED, NEIGHBOR],
)

check_share_in_order = ORDER.check
check_paired_error = PAIRED.check
check_rows_of_draw = ROWS.check
check_reported = REPORTED.check
check_neighbor_accuracy = NEIGHBOR.check
