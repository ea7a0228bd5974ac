"""Checks of chapter 9: orders, paired spread, drawing subjects, choosing on dev, neighbors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare, compare_number


def check_share_in_order(share_in_order: Callable[[Tensor], float]) -> None:
    """Errors (methods, seeds), methods in the claimed order -> share of seeds that show it."""
    errors = torch.tensor(
        [
            [7.0, 6.0, 9.0, 7.0, 9.0, 5.0, 6.0, 8.0, 8.0],
            [6.0, 2.0, 8.0, 8.0, 2.0, 4.0, 2.0, 2.0, 2.0],
            [6.0, 6.0, 2.0, 3.0, 2.0, 2.0, 7.0, 4.0, 2.0],
        ]
    )
    falls = errors[:-1] > errors[1:]
    compare_number(
        call(share_in_order, errors),
        2 / 9,
        {
            "That is the number of seeds, not their share: divide by how many there are.": 2.0,
            "You asked for one pair only. The claim orders ALL methods: each has to have fewer "
            "errors than the one before it.": falls[0].float().mean().item(),
            "You asked whether the last method beats the first. One in between may still be "
            "out of order.": (errors[0] > errors[-1]).float().mean().item(),
            "You asked whether the last method is the best of all. The others have to be in "
            "order as well.": (errors.argmin(0) == 2).float().mean().item(),
            "You averaged over the seeds first. The mean shows the order or it does not; the "
            "question is in how many SINGLE seeds it shows.": 1.0,
            "A tie is not “fewer errors”: use > and not >=.": (
                (errors[:-1] >= errors[1:]).all(0).float().mean().item()
            ),
            "You counted pairs. A seed shows the order only if all of its pairs do.": (
                falls.float().mean().item()
            ),
        },
    )
    print("Right: most papers show one column of such a table.")


def check_paired_error(paired_error: Callable[[Tensor, Tensor], float]) -> None:
    """Errors of two methods, (seeds,) each -> standard error of the mean paired difference."""
    generator = torch.Generator().manual_seed(0)
    luck = 3 * torch.randn(6, generator=generator)
    a = 20 + luck + 0.5 * torch.randn(6, generator=generator)
    b = 18 + luck + 0.5 * torch.randn(6, generator=generator)
    n, gap = len(a), a - b
    expected = (gap.std() / n**0.5).item()
    compare_number(
        call(paired_error, a, b),
        expected,
        {
            "That is the error of a difference of two INDEPENDENT means. Here the same seed, so "
            "the same order of the data, stands behind a[k] and b[k]: subtract first, and what is "
            "common to both cancels.": ((a.var() + b.var()) / n).sqrt().item(),
            "That is the spread of single differences. Their mean is steadier: divide by √n.": (
                gap.std().item()
            ),
            "You divided by n. The spread of a mean falls with √n.": gap.std().item() / n,
            "You divided the squares by n, and took the spread around the true mean for known. "
            "Around a mean estimated from the same numbers one divides by n - 1: std() does, "
            "std(correction=0) does not.": (gap.std(correction=0) / n**0.5).item(),
            "That is a variance; take the square root.": (gap.var() / n).item(),
        },
        tolerance=1e-5,
    )
    print("Right: subtract first, then measure the spread.")


def check_rows_of_draw(rows_of_draw: Callable[[list[str], list[str]], Any]) -> None:
    """``rows_of_draw(subject, drawn)``: row numbers of a resample that draws whole subjects."""
    subject = ["a", "b", "a", "c", "b", "a"]
    drawn = ["b", "a", "b"]
    answer = torch.as_tensor(call(rows_of_draw, subject, drawn)).flatten().sort().values
    compare(
        answer.double(),
        torch.tensor([0, 1, 1, 2, 4, 4, 5]).double(),
        {
            "Each drawn subject came once, however often it was drawn (`in` and `isin` do that). "
            "“With replacement” means that a subject drawn twice brings its images twice.": (
                torch.tensor([0, 1, 2, 4, 5]).double()
            ),
            "You took one image of each drawn subject. A subject brings all of its images.": (
                torch.tensor([0, 1, 1]).double()
            ),
            "Those are all rows. Subjects that were not drawn stay out of this resample.": (
                torch.arange(6).double()
            ),
        },
    )
    print("Right: whole subjects, as often as they were drawn.")


def check_reported(reported: Callable[[Tensor, Tensor], float]) -> None:
    """AUC on dev and test, (epochs,) each -> the figure to report for the best epoch."""
    dev = torch.tensor([0.70, 0.86, 0.91, 0.88, 0.90])
    test = torch.tensor([0.71, 0.83, 0.85, 0.89, 0.87])
    compare_number(
        call(reported, dev, test),
        test[2].item(),
        {
            "That is the best epoch on TEST. Nobody who uses the detector can choose by labels "
            "that only the test set has, so the figure is one that nobody will see. Choose on "
            "dev, then look at test once.": test.max().item(),
            "That is the figure on dev, on which you have just chosen the epoch: the largest of "
            "several lucky numbers. Report the TEST figure of the epoch that dev chose.": (
                dev.max().item()
            ),
            "That is the last epoch. Fair, but the task was the best one on dev.": test[-1].item(),
            "That is the mean over the epochs; the detector is one of them.": test.mean().item(),
            "That is the number of the epoch. Report the figure on test there.": 2,
        },
        tolerance=1e-5,
    )
    print("Right: dev chooses, test reports.")


def check_neighbor_accuracy(
    neighbor_accuracy: Callable[[Tensor, list[bool], list[str]], float],
) -> None:
    """``neighbor_accuracy(features, is_attack, subject)``: by the nearest image of somebody else.

    Features (images, width) have length 1, so the largest cosine is the nearest.
    """
    features, is_attack, subject = _faces()
    cosines = features @ features.mT
    same_person = torch.tensor([[a == b for b in subject] for a in subject])
    labels = torch.tensor(is_attack)

    def accuracy(cosines: Tensor) -> float:
        return (labels[cosines.argmax(1)] == labels).float().mean().item()

    nobody = torch.full_like(cosines, -2.0)
    compare_number(
        call(neighbor_accuracy, features, is_attack, subject),
        accuracy(torch.where(same_person, nobody, cosines)),
        {
            "Every image is its own nearest neighbor, so you always get 100 %. Leave it out, and "
            "with it all images of the same subject.": 1.0,
            "You left out the image itself, but not the other images of the same SUBJECT. They "
            "look alike for reasons that have nothing to do with attacks.": accuracy(
                cosines - 3 * torch.eye(len(cosines))
            ),
            "That is the FARTHEST image of another subject. With cosines, near means large.": (
                accuracy(torch.where(same_person, -nobody, cosines).neg())
            ),
        },
        tolerance=1e-5,
    )
    print("Right: measured in the features themselves, not in a picture of them.")


def _faces() -> tuple[Tensor, list[bool], list[str]]:
    """Features in which the person shows more than the attack: 8 subjects, 4 images each."""
    generator = torch.Generator().manual_seed(1)
    people = torch.randn(8, 1, 6, generator=generator)
    attack = torch.arange(4) % 2 == 0
    signs = torch.zeros(8, 4, 6)
    signs[..., 0] = 1.1 * torch.where(attack, 1.0, -1.0)
    features = (people + signs + 0.6 * torch.randn(8, 4, 6, generator=generator)).flatten(0, 1)
    features = features / features.norm(dim=1, keepdim=True)
    return features, attack.repeat(8).tolist(), [f"s{k // 4}" for k in range(32)]
