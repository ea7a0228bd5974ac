"""Checks of chapter 1: people in splits, honest features, shortcuts, scaling, unseen attacks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare, compare_number, same

TEST_SHARE = 0.25
Flags = NDArray[np.bool_]


def check_split(split_people: Callable[[Any, float, int], Any]) -> None:
    """``split_people(subject (images,), test_share, seed)`` -> which images are test, bool."""
    # People have different numbers of images and come in no order.
    rng = np.random.default_rng(0)
    subject = rng.permutation(np.repeat([f"p{i:02d}" for i in range(40)], rng.integers(2, 9, 40)))
    is_test = _flags(call(split_people, subject, TEST_SHARE, 0), len(subject))
    people = np.unique(subject)
    sides = [np.unique(is_test[subject == person]) for person in people]
    crossing = [person for person, side in zip(people, sides, strict=True) if len(side) > 1]
    if crossing:
        raise AssertionError(
            f"{len(crossing)} of {len(people)} people, {crossing[0]!r} for one, are in both "
            "splits: you drew IMAGES. A network may then learn whose face it is and remember the "
            "answer; the test measures memory. Draw people, and take all images of each."
        )
    tested, wanted = sum(bool(side[0]) for side in sides), round(TEST_SHARE * len(people))
    if abs(tested - (len(people) - wanted)) <= 1:
        raise AssertionError(
            f"{tested} of {len(people)} people are True. True means test, and test_share is "
            f"{TEST_SHARE}: you marked the train split."
        )
    if abs(tested - wanted) > 1:
        raise AssertionError(
            f"{tested} of {len(people)} people are in test; with test_share={TEST_SHARE} it "
            f"should be {wanted}. Take a share of the people (np.unique(subject)): images are "
            "more, and some people have more of them than others."
        )
    if not np.array_equal(
        is_test, _flags(call(split_people, subject, TEST_SHARE, 0), len(is_test))
    ):
        raise AssertionError(
            "Two calls with one seed give two splits. Make a generator from the seed: "
            "rng = np.random.default_rng(seed)."
        )
    others = [call(split_people, subject, TEST_SHARE, seed) for seed in (1, 2, 3)]
    if all(np.array_equal(is_test, _flags(other, len(subject))) for other in others):
        raise AssertionError(
            "Every seed gives the same split: you take the first people of the list. Data sets are "
            "often sorted (by region, camera, date), so the first ones are special. Shuffle first."
        )
    print("Right: nobody is in two splits.")


def check_texture(texture: Callable[[Path], float]) -> None:
    """``texture(path)`` -> mean absolute difference of horizontal neighbors, in gray levels."""
    rng = np.random.default_rng(1)
    # Few levels: compression has something to do.
    pixels = rng.choice(np.array([3, 60, 140, 251], np.uint8), (10, 14, 3))
    with tempfile.TemporaryDirectory() as folder:
        files = {level: Path(folder) / f"level{level}.png" for level in (0, 9)}
        for level, path in files.items():
            Image.fromarray(pixels).save(path, compress_level=level)
        answers = [call(texture, path) for path in files.values()]
    answers = [answer.item() if hasattr(answer, "item") else answer for answer in answers]
    if answers[0] != answers[1]:
        raise AssertionError(
            f"Two files with the very same pixels give {answers[0]} and {answers[1]}. Your number "
            "sees how a file was SAVED, not what it shows. A detector that reads it learns which "
            "program wrote the fakes, and fails as soon as somebody saves them again."
        )
    levels = pixels.astype(float)
    expected = np.abs(np.diff(levels, axis=1)).mean()
    wrapped = np.diff(pixels, axis=1)
    compare_number(
        answers[0],
        float(expected),
        {
            "uint8 has no negative numbers: 3 - 5 gives 254. Convert the pixels to float (or int) "
            "before you subtract.": float(np.abs(wrapped).mean()),
            "Without the absolute value, rises and falls cancel: what is left compares the two "
            "edges of the picture.": float(np.diff(levels, axis=1).mean()),
            "np.diff works along the LAST axis, and that is the color: you compared red with "
            "green and green with blue. Columns are axis 1 of (height, width, 3).": float(
                np.abs(np.diff(levels)).mean()
            ),
            "These are vertical neighbors. Columns are axis 1 of (height, width, 3).": float(
                np.abs(np.diff(levels, axis=0)).mean()
            ),
            "That is the sum: it grows with the size of the picture. Take the mean.": float(
                np.abs(np.diff(levels, axis=1)).sum()
            ),
            "You divided by 255. The number was asked for in gray levels.": float(expected / 255),
        },
        tolerance=1e-5,
    )
    print("Right: the number depends on pixels only, not on the file.")


def check_shortcut(shortcut: Callable[[Any, Any], float]) -> None:
    """``shortcut(feature (n,), is_attack (n,))`` -> AUC of the better direction, 0.5 to 1."""
    rng = np.random.default_rng(2)
    is_attack = rng.random(60) < 0.6
    rising = rng.integers(0, 8, 60) + 3.0 * is_attack  # with ties
    for feature, direction in ((rising, 1), (-rising, -1)):
        above, ties = _pairs(feature, is_attack)
        raw = above + ties / 2
        best = max(np.mean((feature >= cut) == is_attack) for cut in feature)
        answer = call(shortcut, feature.copy(), is_attack.copy())
        answer = answer.item() if hasattr(answer, "item") else answer
        misconceptions = {
            "Equal values of a live image and an attack are pairs, too: a coin would decide them, "
            "so each counts one half. You counted them as lost.": max(above, 1 - above),
            "Equal values of a live image and an attack are pairs, too: a coin would decide them, "
            "so each counts one half. You counted them as won.": max(
                above + ties, 1 - above - ties
            ),
            "That is a correlation. It asks how straight the line is; a shortcut needs only the "
            "order.": abs(float(np.corrcoef(feature, is_attack)[0, 1])),
            "That is the best accuracy of a threshold. It depends on how many attacks there are; "
            "the AUC does not.": float(best),
        }
        if direction < 0:
            misconceptions = {
                f"Your answer for a feature that is SMALLER for attacks is {raw:.2f}, as if it "
                "were harmless. A classifier turns the sign around and is right: take the larger "
                "of a and 1 - a.": float(raw)
            } | misconceptions
        compare_number(answer, float(max(raw, 1 - raw)), misconceptions, tolerance=1e-6)
    print("Right: 0.5 is harmless, and small files betray as much as large ones.")


def check_scaling(scale: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """``scale(train (n, d), test (m, d))`` -> both with train's mean 0 and deviation 1."""
    generator = torch.Generator().manual_seed(3)
    train = torch.randn(50, 4, generator=generator) * torch.tensor([1.0, 5, 0.2, 2]) + 3
    test = torch.randn(20, 4, generator=generator) * torch.tensor([2.0, 4, 0.5, 1]) + 5
    answer = call(scale, train.clone(), test.clone())
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise AssertionError("Return two tensors: the scaled train and the scaled test features.")
    mean = train.mean(0)
    # Dividing by n or by n - 1 is a matter of taste.
    for std in (train.std(0), train.std(0, correction=0)):
        if same(_tensor(answer[0]), (train - mean) / std) and same(
            _tensor(answer[1]), (test - mean) / std
        ):
            print("Right: test is measured with train's ruler.")
            return
    both = torch.cat([train, test])
    compare(
        _tensor(answer[0]),
        (train - mean) / train.std(0),
        {
            "You took mean and deviation over train AND test. In use, an image comes alone and "
            "from the future: whatever you compute from test, you could not have known. Use "
            "train's numbers only.": (train - both.mean(0)) / both.std(0),
            "One mean and one deviation for all features: those with large units still decide "
            "every distance. Compute them for each column (dim=0).": (
                (train - train.mean()) / train.std()
            ),
            "You scaled every image by itself (dim=1). A feature is a column.": (
                (train - train.mean(1, keepdim=True)) / train.std(1, keepdim=True)
            ),
            "You divided by the variance; its root, the standard deviation, has the unit of the "
            "feature.": (train - mean) / train.var(0),
            "The mean is gone, the unit is not: divide by the standard deviation.": train - mean,
        },
    )
    compare(
        _tensor(answer[1]),
        (test - mean) / train.std(0),
        {
            "You scaled test with its own mean and deviation. Then train and test are measured "
            "with two rulers: a test set of attacks only would look like an average one, and one "
            "image alone could not be scaled at all. Keep train's numbers.": (
                (test - test.mean(0)) / test.std(0)
            ),
            "You left test as it was: a model fitted to scaled features would see other units.": (
                test
            ),
        },
    )


def check_unseen(unseen: Callable[[Any, Any, str], tuple[Any, Any]]) -> None:
    """``unseen(attack_type, split, held_out)`` -> masks: trained on, and tested on, (images,)."""
    rng = np.random.default_rng(4)
    kind = rng.choice(["live", "print", "replay", "pgd"], 80)
    split = rng.choice(["train", "test"], 80)
    answer = call(unseen, kind.copy(), split.copy(), "replay")
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise AssertionError("Return two masks: the images to train on and those to test on.")
    train, test = (_flags(mask, len(kind)) for mask in answer)
    held_out, live, tested = kind == "replay", kind == "live", split == "test"
    if (train & held_out).any():
        raise AssertionError(
            "Images of the held-out type are in train: then it is not unseen. Keep it out of "
            "train altogether."
        )
    if (test & ~tested).any() or (train & tested).any():
        raise AssertionError(
            "People cross over: an image is trained on only if its split is 'train' and tested on "
            "only if it is 'test'. A new attack on a known face is easier than one on a new face."
        )
    if not (test & live).any():
        raise AssertionError(
            "No live image is tested. A detector that calls everything an attack would be perfect."
        )
    if (test & ~live & ~held_out).any():
        raise AssertionError(
            "Attacks of known types are in test: they would hide how the detector does on the "
            "unseen one. Test live images and the held-out type."
        )
    compare(torch.from_numpy(train), torch.from_numpy(~held_out & ~tested), {})
    compare(torch.from_numpy(test), torch.from_numpy((live | held_out) & tested), {})
    print("Right: the type is new, the people are new, and live images are there to be rejected.")


def _flags(answer: Any, images: int) -> Flags:
    flags = np.asarray(answer)
    if flags.dtype != bool or flags.shape != (images,):
        raise AssertionError(
            f"Expected True or False for each of {images} images, got {flags.dtype} of shape "
            f"{flags.shape}."
        )
    return flags


def _tensor(answer: Any) -> Any:
    return torch.as_tensor(answer) if isinstance(answer, np.ndarray) else answer


def _pairs(feature: NDArray[np.float64], is_attack: Flags) -> tuple[float, float]:
    """Shares of pairs of an attack and a live image: the attack's value is larger; equal."""
    attack, live = feature[is_attack][:, None], feature[~is_attack]
    return float((attack > live).mean()), float((attack == live).mean())
