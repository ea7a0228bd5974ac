"""Chapter 9's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import numpy as np

from lasoftmoe.exercises import ch09
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("09_ablation", ch09)


def order_with_loops(errors):
    good = 0
    for column in errors.T.tolist():
        good += column == sorted(set(column), reverse=True)
    return good / errors.shape[1]


def error_with_numpy(a, b):
    gap = np.asarray(a) - np.asarray(b)
    return float(gap.std(ddof=1) / np.sqrt(len(gap)))


def rows_with_loops(subject, drawn):
    return [row for name in drawn for row, owner in enumerate(subject) if owner == name]


def neighbors(leave_out, sign=1):
    def accuracy(features, is_attack, subject):
        right = 0
        for i, feature in enumerate(features):
            others = [j for j in range(len(subject)) if not leave_out(i, j, subject)]
            nearest = max(others, key=lambda j: sign * float(features[j] @ feature))
            right += is_attack[nearest] == is_attack[i]
        return right / len(subject)

    return accuracy


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch09.check_share_in_order, order_with_loops),
    (ch09.check_paired_error, error_with_numpy),
    (ch09.check_rows_of_draw, lambda subject, drawn: np.array(rows_with_loops(subject, drawn))),
    (ch09.check_reported, lambda dev, test: float(test[int(dev.argmax())])),
    (ch09.check_neighbor_accuracy, neighbors(lambda i, j, subject: subject[i] == subject[j])),
]

MISTAKES = [
    (ch09.check_share_in_order, lambda e: (e[:-1] > e[1:]).any(0).float().mean(), "`all` in place"),
    (ch09.check_rows_of_draw, lambda subject, drawn: drawn, "returned names"),
    (
        ch09.check_neighbor_accuracy,
        neighbors(lambda i, j, s: i == j or s[i] != s[j]),
        "OF the same subject",
    ),
    (ch09.check_share_in_order, lambda e: (e[:-1] > e[1:]).all(0).sum(), "not their share"),
    (ch09.check_share_in_order, lambda e: (e[0] > e[1]).float().mean(), "one pair only"),
    (ch09.check_share_in_order, lambda e: (e[0] > e[-1]).float().mean(), "beats the first"),
    (ch09.check_share_in_order, lambda e: (e.argmin(0) == 2).float().mean(), "best of all"),
    (ch09.check_share_in_order, lambda e: float((e.mean(1).diff() < 0).all()), "SINGLE seeds"),
    (ch09.check_share_in_order, lambda e: (e[:-1] >= e[1:]).all(0).float().mean(), "A tie"),
    (ch09.check_share_in_order, lambda e: (e[:-1] > e[1:]).float().mean(), "counted pairs"),
    (ch09.check_share_in_order, lambda e: None, "returned None"),
    (
        ch09.check_paired_error,
        lambda a, b: (a.var() / len(a) + b.var() / len(b)).sqrt(),
        "INDEPENDENT",
    ),
    (ch09.check_paired_error, lambda a, b: (a - b).std(), "divide by √n"),
    (ch09.check_paired_error, lambda a, b: (a - b).std() / len(a), "divided by n"),
    (ch09.check_paired_error, lambda a, b: (a - b).std(correction=0) / len(a) ** 0.5, "n - 1"),
    (ch09.check_paired_error, lambda a, b: (a - b).var() / len(a), "square root"),
    (
        ch09.check_rows_of_draw,
        lambda subject, drawn: [i for i, name in enumerate(subject) if name in drawn],
        "came once",
    ),
    (
        ch09.check_rows_of_draw,
        lambda subject, drawn: [subject.index(name) for name in drawn],
        "all of its images",
    ),
    (ch09.check_rows_of_draw, lambda subject, drawn: range(len(subject)), "Those are all rows"),
    (ch09.check_reported, lambda dev, test: test.max(), "labels that only the test set has"),
    (ch09.check_reported, lambda dev, test: dev.max(), "just chosen the epoch"),
    (ch09.check_reported, lambda dev, test: test[-1], "the last epoch"),
    (ch09.check_reported, lambda dev, test: test.mean(), "mean over the epochs"),
    (ch09.check_reported, lambda dev, test: int(dev.argmax()), "number of the epoch"),
    (ch09.check_neighbor_accuracy, neighbors(lambda i, j, s: False), "its own nearest neighbor"),
    (ch09.check_neighbor_accuracy, neighbors(lambda i, j, s: i == j), "images of the same SUBJECT"),
    (
        ch09.check_neighbor_accuracy,
        neighbors(lambda i, j, s: s[i] == s[j], sign=-1),
        "FARTHEST",
    ),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES
