"""Checks of chapter 2: error rates, the worst type, honest thresholds, accuracy, resampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lasoftmoe import metrics
from lasoftmoe.exercises.checking import call, compare, compare_number

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]

THRESHOLD = 0.5
# 4 live, 5 prints, 3 masks, 2 swaps; numbers that differ, and one score on the threshold.
TYPES = np.array(["live"] * 4 + ["print"] * 5 + ["mask"] * 3 + ["swap"] * 2)
SCORES = np.array([-1.0, 0.1, 0.7, 0.2, 0.9, 0.5, 0.8, 1.5, 0.3, 0.2, 0.4, 0.9, 0.6, 1.1])
ATTACKS = TYPES != "live"


def check_error_rates(error_rates: Callable[[Scores, Flags, float], Any]) -> None:
    """``error_rates(attack_score (n,), is_attack (n,), threshold) -> (apcer, bpcer)``."""
    called = SCORES >= THRESHOLD
    apcer, bpcer = np.mean(~called[ATTACKS]), np.mean(called[~ATTACKS])
    missed, rejected = np.sum(~called & ATTACKS), np.sum(called & ~ATTACKS)
    strict = SCORES > THRESHOLD
    _compare(
        _pair(call(error_rates, SCORES, ATTACKS, THRESHOLD)),
        (apcer, bpcer),
        {
            "APCER and BPCER are exchanged. The first two letters say whom it is about: AP is the "
            "Attack Presentation that was let in, BP the Bona fide (live) one that was locked "
            "out.": (bpcer, apcer),
            "You divided by all images. Then both rates change when somebody adds attacks to the "
            "test set. APCER is a share of the attacks, BPCER a share of the live images.": (
                missed / len(SCORES),
                rejected / len(SCORES),
            ),
            "These are the shares decided correctly. An error rate counts the others.": (
                1 - apcer,
                1 - bpcer,
            ),
            "You divided by what the detector said (of all that were called live, how many are "
            "attacks?). The rates divide by what the images are.": (
                missed / np.sum(~called),
                rejected / np.sum(called),
            ),
            "A score equal to the threshold is called an attack: score >= threshold.": (
                np.mean(~strict[ATTACKS]),
                np.mean(strict[~ATTACKS]),
            ),
        },
    )
    print("Right: burglars among the attacks, owners among the live.")


def check_worst_type_acer(worst_type_acer: Callable[[Scores, Any, float], Any]) -> None:
    """``worst_type_acer(attack_score (n,), attack_type (n,), threshold) -> ACER``."""
    called = SCORES >= THRESHOLD
    bpcer = np.mean(called[~ATTACKS])
    rates = [np.mean(~called[name == TYPES]) for name in ("print", "mask", "swap")]
    pooled, worst = np.mean(~called[ATTACKS]), max(rates)
    _compare(
        (call(worst_type_acer, SCORES, TYPES, THRESHOLD),),
        ((worst + bpcer) / 2,),
        {
            "This is the ACER with all attacks pooled. A type with many images then hides one "
            "with few, and the attacker picks the type, not you. Take the APCER of each type, "
            "then the largest.": ((pooled + bpcer) / 2,),
            "You averaged over the types. A good type must not pay for a bad one: whoever attacks "
            "uses the bad one only. Take the largest APCER.": ((np.mean(rates) + bpcer) / 2,),
            "This is the APCER of the worst type alone. ACER is its mean with BPCER, else a "
            "detector that calls everything an attack would be perfect.": (worst,),
            "You took the type with the smallest APCER, which is the best one.": (
                (min(rates) + bpcer) / 2,
            ),
            "You counted live images called live as missed attacks: leave the type 'live' out of "
            "the attack types.": ((max(*rates, 1 - bpcer) + bpcer) / 2,),
        },
    )
    print("Right: the worst type counts, since the attacker chooses it.")


def check_honest_acer(honest_acer: Callable[[pd.DataFrame, pd.DataFrame], Any]) -> None:
    """``honest_acer(dev, test) -> ACER of test at dev's EER threshold``."""
    dev, test = _scores(0.0, seed=1), _scores(0.7, seed=2)  # test scores lie higher: another camera
    answer = call(honest_acer, dev.copy(), test.copy())
    honest = _acer(test, _eer_threshold(dev))
    _, apcer, bpcer = metrics.operating_points(test["attack_score"], test["is_attack"])
    _compare(
        (answer,),
        (honest,),
        {
            "Your threshold is the EER threshold OF TEST. It has seen the answers that it is "
            "judged by, and looks better than it will be with new people. Take it from dev.": (
                _acer(test, _eer_threshold(test)),
            ),
            "You took the lowest ACER that any threshold reaches on test. Nobody could have known "
            "that threshold beforehand. Take dev's EER threshold.": ((apcer + bpcer).min() / 2,),
            "You chose the threshold on dev and test together. Even so the test scores have a say "
            "in it. Take it from dev alone.": (
                _acer(test, _eer_threshold(pd.concat([dev, test]))),
            ),
            "That is the ACER on dev, where the threshold was chosen. Measure on test.": (
                _acer(dev, _eer_threshold(dev)),
            ),
            "That is test's EER. It is a figure without a threshold: to have that error rate, one "
            "would have to choose the threshold on test.": (
                metrics.eer(test["attack_score"], test["is_attack"]),
            ),
            "You took 0.5 for the threshold. A score is no probability; let dev decide.": (
                _acer(test, 0.5),
            ),
        },
    )
    print("Right: dev chooses, test measures.")


def check_accuracy(accuracy_where: Callable[[float, float, float], Any]) -> None:
    """``accuracy_where(apcer, bpcer, attacks) -> accuracy`` with a share ``attacks`` of attacks."""
    for apcer, bpcer, attacks in [(0.3, 0.1, 0.6), (0.0, 1.0, 0.8), (0.02, 0.2, 0.1)]:
        expected = attacks * (1 - apcer) + (1 - attacks) * (1 - bpcer)
        compare_number(
            _number(call(accuracy_where, apcer, bpcer, attacks)),
            expected,
            {
                "That is 1 - ACER, which gives both classes the same weight. It equals the "
                "accuracy only where attacks and live images are equally many. Accuracy weighs "
                "each error rate by the share of its class.": 1 - (apcer + bpcer) / 2,
                "The weights are exchanged: APCER concerns the attacks, so it is weighed by the "
                "share of attacks.": attacks * (1 - bpcer) + (1 - attacks) * (1 - apcer),
                "That is the share of errors. Accuracy is what is left.": 1 - expected,
                "You left the live images out: they are right or wrong, too.": (
                    attacks * (1 - apcer)
                ),
            },
        )
    print("Right: the same detector has another accuracy in every town.")


def check_solve_rates(solve_rates: Callable[[float, float, int, int], Any]) -> None:
    """``solve_rates(acer, acc, n_live, n_attack) -> (apcer, bpcer)``, all fractions."""
    for apcer, bpcer, n_live, n_attack in [(0.3, 0.1, 40, 60), (0.02, 0.08, 4500, 17006)]:
        w = n_attack / (n_live + n_attack)
        acer, errors = (apcer + bpcer) / 2, w * apcer + (1 - w) * bpcer
        flipped = (errors - 2 * w * acer) / (1 - 2 * w)
        with_accuracy = (1 - errors - 2 * (1 - w) * acer) / (2 * w - 1)
        _compare(
            _pair(call(solve_rates, acer, 1 - errors, n_live, n_attack)),
            (apcer, bpcer),
            {
                "APCER and BPCER are exchanged: the share of attacks, n_attack / (n_live + "
                "n_attack), belongs to APCER.": (flipped, 2 * acer - flipped),
                "You put in the accuracy where its complement belongs: the two rates are errors, "
                "so they add up to 1 - ACC.": (with_accuracy, 2 * acer - with_accuracy),
                "You set both rates to the ACER. It is their mean; accuracy says how they differ, "
                "because the classes are not equally many.": (acer, acer),
            },
        )
    print("Right: two printed figures and two counts give away the two that were not printed.")


def check_draw_subjects(draw_subjects: Callable[[pd.DataFrame, Any], pd.DataFrame]) -> None:
    """``draw_subjects(table, rng) -> rows of as many drawn subjects``, with replacement."""
    table = _scores(0.0, seed=3, subjects=12)
    whole, kept, repeated = table["subject"].value_counts(), [], False
    for seed in range(20):
        drawn = call(draw_subjects, table.copy(), np.random.default_rng(seed))
        if not isinstance(drawn, pd.DataFrame) or "subject" not in drawn:
            raise AssertionError("Return a table (DataFrame) with the column 'subject'.")
        times = drawn["subject"].value_counts() / whole.reindex(drawn["subject"].unique())
        if (times % 1 != 0).any():
            raise AssertionError(
                "Some subjects are there with a part of their rows only: you drew images. Images "
                "of one person resemble each other, so take all rows of a person or none."
            )
        kept.append(drawn["subject"].value_counts())
        repeated = repeated or bool((times > 1).any())
        if repeated and int(times.sum()) != len(whole):
            raise AssertionError(
                f"{int(times.sum())} subjects were drawn from {len(whole)}: draw as many as there "
                "are."
            )
    _complain_about_draws(kept, repeated, len(whole))
    print("Right: whole people, drawn with replacement.")


def _complain_about_draws(kept: list[pd.Series], repeated: bool, subjects: int) -> None:
    """What is wrong with twenty draws in which every subject has all its rows."""
    if not repeated and all(len(counts) == subjects for counts in kept):
        raise AssertionError(
            "Every subject is there exactly once, in every draw: you drew without replacement, "
            "which only shuffles the test set. Draw with replacement."
        )
    if not repeated:
        raise AssertionError(
            "Nobody is in a draw twice. A subject that was drawn twice has to be in the table "
            "twice; `isin` and boolean masks lose that. Put the groups together one by one."
        )
    if all(counts.equals(kept[0]) for counts in kept):
        raise AssertionError("Every draw is the same: use the generator `rng` that you are given.")


def _scores(shift: float, seed: int, subjects: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"subject": np.repeat([f"s{i}" for i in range(subjects)], 5)})
    table["is_attack"] = np.tile([False, False, True, True, True], subjects)
    table["attack_score"] = rng.normal(size=len(table)) + 1.5 * table["is_attack"] + shift
    return table


def _eer_threshold(table: pd.DataFrame) -> float:
    return metrics.eer_threshold(table["attack_score"], table["is_attack"])


def _acer(table: pd.DataFrame, threshold: float) -> float:
    return metrics.evaluate(table["attack_score"], table["is_attack"], threshold).acer


def _number(answer: Any) -> Any:
    """NumPy's numbers as Python's."""
    return answer.item() if isinstance(answer, np.generic) else answer


def _pair(answer: Any) -> tuple[Any, ...]:
    if not isinstance(answer, tuple | list | np.ndarray) or len(answer) != 2:
        raise AssertionError("Return two numbers: `return apcer, bpcer`.")
    return tuple(answer)


def _compare(
    answer: tuple[Any, ...],
    expected: tuple[float, ...],
    misconceptions: Mapping[str, tuple[float, ...]],
) -> None:
    """``compare`` for a few numbers."""
    numbers = [_number(value) for value in answer]
    if not all(isinstance(value, int | float) for value in numbers):
        raise AssertionError(f"Expected numbers, got {', '.join(map(repr, numbers))}.")
    compare(
        _tensor(numbers),
        _tensor(expected),
        {message: _tensor(wrong) for message, wrong in misconceptions.items()},
    )


def _tensor(values: Any) -> torch.Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)
