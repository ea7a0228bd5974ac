"""Exercises of chapter 1: people in splits, honest features, shortcuts, scaling, unseen attacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake

Flags = NDArray[np.bool_]


def _people(g: Draw) -> Case:
    """People with different numbers of images, in no order."""
    count = 4 * g.size(9, 12)
    names = np.array([f"p{i:02d}" for i in range(count)])
    return g.rng.permutation(np.repeat(names, g.rng.integers(2, 9, count))), 0.25


def _split(subject: Any, test_share: float, seed: int) -> Any:
    people = np.random.default_rng(seed).permutation(np.unique(subject))
    return np.isin(subject, people[: round(test_share * len(people))])


def _split_rules(splits: Any, subject: Flags, test_share: float) -> str | tuple[str, str] | None:
    for split in splits:
        if not isinstance(split, Tensor) or split.dtype != torch.bool or len(split) != len(subject):
            return f"Expected True or False for each of {len(subject)} images."
    first, new_python, *others = (split.numpy() for split in splits)
    people = np.unique(subject)
    shares = np.array(
        [[split[subject == person].mean() for person in people] for split in (first, *others)]
    )
    crossing = people[(shares[0] > 0) & (shares[0] < 1)]
    if len(crossing):
        return (
            "People are in both splits: you drew IMAGES. A network may then learn whose face it is "
            "and remember the answer, and the test measures memory. Draw people, and take all "
            "images of each.",
            f"{len(crossing)} of {len(people)} people are split, {crossing[0]!r} for one.",
        )
    if not np.array_equal(first, new_python):
        return (
            "The same seed does not always give the same split. Make a generator from the seed, "
            "rng = np.random.default_rng(seed), and draw from np.unique(subject): the order of a "
            "set changes from one Python session to the next."
        )
    if all(np.array_equal(first, other) for other in others):
        return (
            "Every seed gives the same split: you take the first people of the list. Datasets are "
            "often sorted by region, camera, or date, so the first ones are special. Shuffle first."
        )
    return _size_of_split(shares.sum(axis=1), len(people), test_share)


def _size_of_split(tested: Any, people: int, test_share: float) -> str | tuple[str, str] | None:
    """Whether each of the splits has the right number of people in test."""
    wanted = test_share * people
    if (abs(tested - wanted) <= 1).all():
        return None
    detail = f"With seed 0, {tested[0]:.0f} of {people} people are in test."
    if (abs(tested - (people - wanted)) <= 1).all():
        return "True means test: you marked the train split.", detail
    if (tested <= wanted + 1).all() and tested.min() != tested.max():
        return (
            "The number of people in test changes with the seed and is often too small. Drawn with "
            "replacement, some people come twice (replace=False), and a coin for each person lands "
            "as it likes: shuffle, and take the first ones.",
            detail,
        )
    return (
        "The number of people in test is not the share that was asked for. Shuffle the list of "
        "people, np.unique(subject), and take that share of it: images are more than people, some "
        "people have more of them, and a coin for each person lands as it likes.",
        detail,
    )


SPLIT = Exercise(
    "split_people",
    _people,
    _split,
    difficulty=2,
    trial="split_with_seeds",
    rules=_split_rules,
    compared=False,
    misconceptions=[
        Mistake(
            lambda s, share, seed: np.random.default_rng(seed).random(len(s)) < share,
            "People are in both splits: you drew IMAGES.",
        ),
        Mistake(
            lambda s, share, seed: ~_split(s, share, seed),
            "True means test: you marked the train split.",
        ),
        Mistake(
            lambda s, share, seed: np.isin(
                s,
                np.random.default_rng(seed).choice(np.unique(s), round(share * len(np.unique(s)))),
            ),
            "The number of people in test changes with the seed",
        ),
        Mistake(
            lambda s, share, seed: np.isin(
                s, np.random.default_rng(seed).permutation(list(set(s)))[: len(set(s)) // 4]
            ),
            "The same seed does not always give the same split.",
        ),
        Mistake(
            lambda s, share, seed: np.isin(s, np.unique(s)[: len(np.unique(s)) // 4]),
            "Every seed gives the same split",
        ),
    ],
    hints=[
        "Which names are there? `np.unique(subject)` lists each person once.",
        "Shuffle that list with a generator made from `seed`, and take the first share of it.",
        "`np.isin(subject, chosen)` is True for every image of a chosen person.",
    ],
    praise="nobody is in two splits.",
)


def _pixels(g: Draw) -> Case:
    """Few gray levels, so that compression has something to do."""
    height, width = g.sizes(2, 9, 15)
    levels = np.array([3, 60, 140, 251], np.uint8)
    return (g.rng.choice(levels, (height, width, 3)),)


def _read(path: Any, as_type: Any = float, mode: str = "RGB") -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode)).astype(as_type)


def _texture(path: Any) -> Any:
    return np.abs(np.diff(_read(path), axis=1)).mean()


def _texture_rules(value: Any, pixels: Any) -> str | None:
    if any(isinstance(answer, Tensor) and answer.numel() > 1 for answer in value):
        return "Return one number: the mean over rows, columns, and colors together."
    if value[0] != value[1]:
        return (
            "Two files with the very same pixels give two numbers. Yours sees how a file was "
            "SAVED, not what it shows. A detector that reads it learns which program wrote the "
            "fakes, and fails as soon as somebody saves them again."
        )
    return None


TEXTURE = Exercise(
    "texture",
    _pixels,
    _texture,
    tolerance=1e-5,
    trial="saved_twice",
    rules=_texture_rules,
    misconceptions=[
        Mistake(
            lambda path: path.stat().st_size,
            "Two files with the very same pixels give two numbers.",
        ),
        Mistake(
            lambda path: np.abs(np.diff(_read(path, np.uint8), axis=1)).mean(),
            "uint8 has no negative numbers: 3 - 5 gives 254. Convert the pixels to float (or int) "
            "before you subtract.",
        ),
        Mistake(
            lambda path: np.diff(_read(path), axis=1).mean(),
            "Without the absolute value, rises and falls cancel: what is left compares the two "
            "edges of the image.",
        ),
        Mistake(
            lambda path: np.abs(np.diff(_read(path))).mean(),
            "np.diff works along the LAST axis, and that is the color: you compared red with green "
            "and green with blue. Columns are axis 1 of (height, width, 3).",
        ),
        Mistake(
            lambda path: np.abs(np.diff(_read(path), axis=0)).mean(),
            "These are vertical neighbors. Columns are axis 1 of (height, width, 3).",
        ),
        Mistake(
            lambda path: np.abs(np.diff(_read(path, mode="L"), axis=1)).mean(),
            "You turned the image gray first. Gray levels are the unit here: keep the three "
            "colors, take the differences within each, and average over all of them.",
        ),
        Mistake(
            lambda path: (
                (
                    np.abs(np.diff(_read(path), axis=1)).mean()
                    + np.abs(np.diff(_read(path), axis=0)).mean()
                )
                / 2
            ),
            "You averaged horizontal and vertical neighbors. Only horizontal ones were asked for.",
        ),
        Mistake(
            lambda path: np.abs(_read(path) - np.roll(_read(path), 1, axis=1)).mean(),
            "np.roll makes the last column a neighbor of the first. They are at opposite edges: "
            "use np.diff, or subtract pixels[:, :-1] from pixels[:, 1:].",
        ),
        Mistake(
            lambda path: np.square(np.diff(_read(path), axis=1)).mean(),
            "You squared the differences. Take their absolute values.",
        ),
        Mistake(
            lambda path: np.abs(np.diff(_read(path), axis=1)).sum(),
            "That is the sum: it grows with the size of the image. Take the mean.",
        ),
        Mistake(
            lambda path: _texture(path) / 255,
            "You divided by 255. The number was asked for in gray levels.",
        ),
    ],
    hints=[
        "Open the file with `Image.open` and turn it into an array of floats.",
        "Neighbors in a row differ in the column, axis 1: `np.diff(pixels, axis=1)`.",
    ],
    praise="the number depends on pixels only, not on the file.",
)


def _feature(g: Draw) -> Case:
    """A feature with ties, larger for attacks or, in every other draw, smaller."""
    count = g.size(50, 80)
    is_attack = g.rng.random(count) < 0.6
    feature = g.rng.integers(0, 8, count) + 3.0 * is_attack
    return feature * g.rng.choice([-1.0, 1.0]), is_attack


def _auc(feature: Any, is_attack: Any, tie: float = 0.5) -> float:
    attack, live = feature[is_attack][:, None], feature[~is_attack]
    return float((attack > live).mean() + tie * (attack == live).mean())


def _better(auc: float) -> float:
    return max(auc, 1 - auc)


SHORTCUT = Exercise(
    "shortcut",
    _feature,
    lambda feature, is_attack: _better(_auc(feature, is_attack)),
    difficulty=2,
    tolerance=1e-6,
    edge_cases=[
        (np.array([3.0, 3, 2, 1, 1, 0]), np.array([0, 0, 1, 0, 1, 1], bool)),
        (np.array([0.0, 0, 1, 2, 2, 3]), np.array([0, 0, 1, 0, 1, 1], bool)),
        (np.ones(5), np.array([0, 1, 0, 1, 1], bool)),
    ],
    misconceptions=[
        Mistake(
            _auc,
            "For a feature that is SMALLER for attacks your answer is below 0.5, as if it were "
            "harmless. A classifier turns the sign around and is right: take the larger of a and "
            "1 - a.",
        ),
        Mistake(
            lambda x, y: max(_auc(x, y), 0.5),
            "A feature that is SMALLER for attacks gets 0.5 from you, as if it were harmless. A "
            "classifier turns the sign around and is right: take the larger of a and 1 - a.",
        ),
        Mistake(
            lambda x, y: _better(_auc(x, y, tie=0)),
            "Equal values of a live image and an attack are pairs, too: a coin would decide them, "
            "so each counts one half. You counted them as lost.",
        ),
        Mistake(
            lambda x, y: _better(_auc(x, y, tie=1)),
            "Equal values of a live image and an attack are pairs, too: a coin would decide them, "
            "so each counts one half. You counted them as won.",
        ),
        Mistake(
            lambda x, y: 2 * abs(_auc(x, y) - 0.5),
            "That is the Gini coefficient, 0 for a harmless feature. The AUC is 0.5 there: it is "
            "one half plus half of yours.",
        ),
        Mistake(
            lambda x, y: abs(float(np.corrcoef(x, y)[0, 1])),
            "That is a correlation. It asks how straight the line is; a shortcut needs only the "
            "order.",
        ),
        Mistake(
            lambda x, y: max(np.mean((x >= cut) == y) for cut in x),
            "That is the best accuracy of a threshold. It depends on how many attacks there are; "
            "the AUC does not.",
        ),
    ],
    hints=[
        "Compare every attack with every live image: `feature[is_attack][:, None]` against "
        "`feature[~is_attack]` gives a table of pairs.",
        "The AUC is the share of pairs in which the attack is larger, plus half the share of ties.",
        "If it comes out below 0.5, the feature betrays attacks by being small.",
    ],
    praise="0.5 is harmless, and small files betray as much as large ones.",
)


def _features(g: Draw) -> Case:
    width = g.size(3, 6)
    train, test = g.normal(g.size(40, 60), width), g.normal(g.size(15, 25), width)
    units = torch.tensor([1.0, 5.0, 0.2, 2.0, 3.0, 0.5])[:width]
    return train * units + 3, test * units * 1.5 + 5


def _scale_by(correction: int) -> Any:
    def scale(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = train.mean(0), train.std(0, correction=correction)
        return (train - mean) / std, (test - mean) / std

    return scale


def _scale_from(source: Any, test_source: Any = None) -> list[Any]:
    """Both ways to divide (n and n - 1) of a scaling whose numbers come from elsewhere."""

    def standard(x: Tensor, over: Tensor, correction: int) -> Tensor:
        return (x - over.mean(0)) / over.std(0, correction=correction)

    return [
        lambda train, test, c=c: (
            standard(train, source(train, test), c),
            standard(test, (test_source or source)(train, test), c),
        )
        for c in (1, 0)
    ]


def _by_rows(train: Tensor, test: Tensor) -> list[Tensor]:
    return [(x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True) for x in (train, test)]


SCALE = Exercise(
    "scale",
    _features,
    _scale_by(1),
    also_right=[_scale_by(0)],  # dividing by n or by n - 1 is a matter of taste
    misconceptions=[
        *(
            Mistake(
                answer,
                "You scaled test with its own mean and deviation. Then train and test are measured "
                "with two rulers: a test set of attacks only would look like an average one, and "
                "one image alone could not be scaled at all. Keep train's numbers.",
            )
            for answer in _scale_from(lambda a, b: a, lambda a, b: b)
        ),
        *(
            Mistake(
                answer,
                "You took mean and deviation over train AND test. In use, an image comes alone and "
                "from the future: whatever you compute from test, you could not have known. Use "
                "train's numbers only.",
            )
            for answer in _scale_from(lambda a, b: torch.cat([a, b]))
        ),
        *(
            Mistake(
                lambda train, test, c=c: (
                    _scale_by(c)(train, test)[0],
                    (test - test.mean(0)) / train.std(0, correction=c),
                ),
                "You centered test by its own mean. A shift between train and test is then erased, "
                "and it may be just what marks an attack. Subtract train's mean.",
            )
            for c in (1, 0)
        ),
        *(
            Mistake(
                lambda train, test, c=c: (_scale_by(c)(train, test)[0], test),
                "You left test as it was: a model fitted to scaled features would see other units.",
            )
            for c in (1, 0)
        ),
        *(
            Mistake(
                lambda train, test, c=c: tuple(
                    (x - train.mean()) / train.std(correction=c) for x in (train, test)
                ),
                "One mean and one deviation for all features: those with large units still decide "
                "every distance. Compute them for each column (dim=0).",
            )
            for c in (1, 0)
        ),
        Mistake(_by_rows, "You scaled every image by itself (dim=1). A feature is a column."),
        *(
            Mistake(
                lambda train, test, c=c: tuple(
                    (x - train.mean(0)) / train.var(0, correction=c) for x in (train, test)
                ),
                "You divided by the variance; its root, the standard deviation, has the unit of "
                "the feature.",
            )
            for c in (1, 0)
        ),
        Mistake(
            lambda train, test: (train - train.mean(0), test - train.mean(0)),
            "The mean is gone, the unit is not: divide by the standard deviation.",
        ),
    ],
    hints=[
        "What would you know about test images when the detector is deployed, one at a time?",
        "Compute mean and deviation of each column of `train` once, and use them for both.",
    ],
    praise="test is measured with train's ruler.",
)


def _types(g: Draw) -> Case:
    count = g.size(60, 90)
    kinds = g.rng.permutation(["print", "replay", "pgd", "swap"])[:3]
    attack_type = g.rng.choice(["live", *kinds], count)
    return attack_type, g.rng.choice(["train", "test"], count), str(kinds[0])


def _unseen(attack_type: Any, split: Any, held_out: str) -> tuple[Flags, Flags]:
    known = (split == "train") & (attack_type != held_out)
    return known, (split == "test") & np.isin(attack_type, ["live", held_out])


def _unseen_rules(value: Any, attack_type: Any, split: Any, held_out: str) -> str | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return "Return two masks: the images to train on and those to test on."
    for mask in value:
        fits = isinstance(mask, Tensor) and mask.dtype == torch.bool
        if not fits or len(mask) != len(split):
            return f"Expected True or False for each of {len(split)} images, in both masks."
    train, test = (mask.numpy() for mask in value)
    return _broken_by_masks(train, test, attack_type, split == "test", held_out)


def _broken_by_masks(
    train: Flags, test: Flags, attack_type: Any, tested: Flags, held_out: str
) -> str | None:
    unseen, live = attack_type == held_out, attack_type == "live"
    if (train & unseen).any():
        return (
            "Images of the held-out type are in train: then it is not unseen. Keep it out of train "
            "altogether."
        )
    if (test & ~tested).any() or (train & tested).any():
        return (
            "People cross over: train only on images whose split is 'train', and test only on "
            "those whose split is 'test'. A new attack on a known face is easier than one on a new "
            "face."
        )
    if not (test & live).any():
        return "No live image is tested. A detector that calls everything an attack would win."
    if not (test & unseen).any():
        return "The held-out type is missing from test, and it is what you want to test."
    if (test & ~live & ~unseen).any():
        return (
            "Attacks of known types are in test: they would hide how the detector does on the "
            "unseen one. Test live images and the held-out type."
        )
    if not (train & live).any():
        return "No live image is in train: the detector would never see what it should let in."
    return None


UNSEEN = Exercise(
    "unseen",
    _types,
    _unseen,
    difficulty=2,
    rules=_unseen_rules,
    misconceptions=[
        Mistake(
            lambda k, s, h: (s == "train", _unseen(k, s, h)[1]),
            "Images of the held-out type are in train",
        ),
        Mistake(
            lambda k, s, h: (_unseen(k, s, h)[0], np.isin(k, ["live", h])), "People cross over"
        ),
        Mistake(
            lambda k, s, h: (_unseen(k, s, h)[0], (s == "test") & (k == h)),
            "No live image is tested.",
        ),
        Mistake(
            lambda k, s, h: (_unseen(k, s, h)[0], (s == "test") & (k == "live")),
            "The held-out type is missing from test",
        ),
        Mistake(
            lambda k, s, h: (_unseen(k, s, h)[0], s == "test"), "Attacks of known types are in test"
        ),
        Mistake(
            lambda k, s, h: (_unseen(k, s, h)[0] & (k != "live"), _unseen(k, s, h)[1]),
            "No live image is in train",
        ),
    ],
    hints=[
        "Two rules for train: the split is 'train', and the type is not the held-out one.",
        "Two rules for test: the split is 'test', and the type is 'live' or the held-out one.",
    ],
    praise="the type is new, the people are new, and live images are there to be rejected.",
)

CHAPTER = Chapter(
    "01",
    "The problem",
    "import numpy as np\nimport torch\nfrom PIL import Image",
    [SPLIT, TEXTURE, SHORTCUT, SCALE, UNSEEN],
)

check_split = SPLIT.check
check_texture = TEXTURE.check
check_shortcut = SHORTCUT.check
check_scaling = SCALE.check
check_unseen = UNSEEN.check
