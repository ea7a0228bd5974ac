"""Chapter 1's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from lasoftmoe.exercises import ch01
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("01_the_problem", ch01)


def split_by_image(subject, share, seed):
    return np.random.default_rng(seed).random(len(subject)) < share


def split_by_drawing(subject, share, seed):
    people = np.random.default_rng(seed).permutation(np.unique(subject))
    return np.isin(subject, people[: int(share * len(people))])


def split_first(subject, share, seed):
    people = np.unique(subject)
    return np.isin(subject, people[: round(share * len(people))])


def split_without_seed(subject, share, seed):
    return split_by_drawing(subject, share, None)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def gray_steps(path):
    values = pixels(path).astype(int)
    return float(np.abs(values[:, 1:] - values[:, :-1]).mean())


def auc(feature, is_attack):
    return float(roc_auc_score(is_attack, feature))


def strict_pairs(feature, is_attack):
    share = (feature[is_attack][:, None] > feature[~is_attack]).mean()
    return max(share, 1 - share)


def accuracy(feature, is_attack):
    return max(np.mean((feature >= cut) == is_attack) for cut in feature)


def scaled(train, test, over=None, mean=torch.mean, by=torch.std):
    over = train if over is None else over
    return (train - mean(over, 0)) / by(over, 0), (test - mean(over, 0)) / by(over, 0)


def each_by_itself(train, test):
    return scaled(train, train)[0], scaled(test, test)[0]


def masks(train, test):
    return lambda kind, split, held_out: (
        train(kind, split, held_out),
        test(kind, split, held_out),
    )


def known(kind, split, held_out):
    return (split == "train") & (kind != held_out)


def new(kind, split, held_out):
    return (split == "test") & ((kind == "live") | (kind == held_out))


def people_of_shuffled_rows(subject, share, seed):
    rows = np.random.default_rng(seed).permutation(len(subject))[: round(share * len(subject))]
    return np.isin(subject, subject[rows])


def split_by_coin(subject, share, seed):
    people = np.unique(subject)
    return np.isin(subject, people[np.random.default_rng(seed).random(len(people)) < share])


def split_with_replacement(subject, share, seed):
    people = np.unique(subject)
    drawn = np.random.default_rng(seed).choice(people, round(share * len(people)))
    return np.isin(subject, drawn)


def split_in_order_of_a_set(subject, share, seed):
    people = list(set(subject))
    np.random.default_rng(seed).shuffle(people)
    return np.isin(subject, people[: round(share * len(people))])


def scaler(over_train, over_test):
    scale = StandardScaler().fit_transform
    return torch.tensor(scale(over_train)), torch.tensor(scale(over_test))


OTHER_WAYS = [
    (ch01.check_split, split_by_drawing),
    (ch01.check_texture, gray_steps),
    (ch01.check_shortcut, lambda x, y: 0.5 + abs(auc(x, y) - 0.5)),
    (ch01.check_shortcut, lambda x, y: np.float64(max(auc(x, y), auc(-x, y)))),
    (ch01.check_scaling, lambda a, b: scaled(a, b, by=lambda x, d: x.std(d, correction=0))),
    (ch01.check_unseen, masks(known, new)),
]

MISTAKES = [
    (ch01.check_split, split_with_replacement, "changes with the seed"),
    (ch01.check_split, split_in_order_of_a_set, "order of a set changes"),
    (ch01.check_split, people_of_shuffled_rows, "not the share that was asked for"),
    (ch01.check_split, split_by_coin, "a coin for each person"),
    (ch01.check_texture, lambda p: np.abs(np.diff(pixels(p), axis=1)).mean((0, 1)), "one number"),
    (ch01.check_shortcut, lambda x, y: max(auc(x, y), 0.5), "gets 0.5 from you"),
    (ch01.check_shortcut, lambda x, y: abs(2 * auc(x, y) - 1), "Gini"),
    (ch01.check_scaling, scaler, "its own mean and deviation"),
    (
        ch01.check_scaling,
        lambda a, b: (scaled(a, a)[0], (b - b.mean(0)) / a.std(0)),
        "centered test by its own mean",
    ),
    (ch01.check_unseen, masks(lambda k, s, h: known(k, s, h) & (k != "live"), new), "No live"),
    (ch01.check_split, split_by_image, "you drew IMAGES"),
    (ch01.check_split, lambda s, p, seed: ~split_by_drawing(s, p, seed), "marked the train split"),
    (
        ch01.check_split,
        lambda s, p, seed: split_by_drawing(s, p / 2, seed),
        "is not the share that was asked for",
    ),
    (ch01.check_split, lambda s, p, seed: np.unique(s), "Expected True or False for each"),
    (ch01.check_split, split_first, "first people of the list"),
    (ch01.check_split, split_without_seed, "same seed does not always"),
    (ch01.check_texture, lambda path: path.stat().st_size, "how a file was SAVED"),
    (ch01.check_texture, lambda path: np.abs(np.diff(pixels(path), axis=1)).mean(), "uint8"),
    (ch01.check_texture, lambda p: np.diff(pixels(p).astype(int), axis=1).mean(), "cancel"),
    (ch01.check_texture, lambda p: np.abs(np.diff(pixels(p).astype(int))).mean(), "the color"),
    (
        ch01.check_texture,
        lambda p: np.abs(np.diff(pixels(p).astype(int), axis=0)).mean(),
        "vertical",
    ),
    (
        ch01.check_texture,
        lambda p: np.abs(np.diff(pixels(p).astype(int), axis=1)).sum(),
        "the sum",
    ),
    (ch01.check_texture, lambda path: gray_steps(path) / 255, "divided by 255"),
    (ch01.check_shortcut, auc, "SMALLER for attacks"),
    (ch01.check_shortcut, strict_pairs, "as lost"),
    (ch01.check_shortcut, accuracy, "best accuracy"),
    (ch01.check_shortcut, lambda x, y: abs(np.corrcoef(x, y)[0, 1]), "a correlation"),
    (ch01.check_scaling, each_by_itself, "its own mean and deviation"),
    (ch01.check_scaling, lambda a, b: scaled(a, b, torch.cat([a, b])), "train AND test"),
    (ch01.check_scaling, lambda a, b: (scaled(a, b)[0], b), "left test as it was"),
    (ch01.check_scaling, lambda a, b: scaled(a, b, by=torch.var), "the variance"),
    (ch01.check_scaling, lambda a, b: (a - a.mean(0), b - a.mean(0)), "the unit is not"),
    (ch01.check_scaling, lambda a, b: [(x - a.mean()) / a.std() for x in (a, b)], "One mean"),
    (ch01.check_scaling, lambda a, b: scaled(a, b)[0], "Expected 2 values"),
    (ch01.check_unseen, masks(lambda k, s, h: s == "train", new), "not unseen"),
    (ch01.check_unseen, masks(known, lambda k, s, h: (k == "live") | (k == h)), "People cross"),
    (
        ch01.check_unseen,
        masks(known, lambda k, s, h: (s == "test") & (k == h)),
        "No live image is tested",
    ),
    (ch01.check_unseen, masks(known, lambda k, s, h: s == "test"), "known types are in test"),
    (ch01.check_unseen, lambda k, s, h: known(k, s, h), "Return two masks"),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES


def test_checks_leave_the_readers_random_numbers_alone():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - readers may use the old generator
    expected = torch.randn(2), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    for name, exercise in NOTEBOOK.exercises.items():
        exercise.check(NOTEBOOK.functions()[name])
    assert torch.equal(torch.randn(2), expected[0])
    assert np.random.rand() == expected[1]  # noqa: NPY002
