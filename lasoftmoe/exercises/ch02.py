"""Exercises of chapter 2: error rates, the worst type, honest thresholds, accuracy, resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from lasoftmoe import metrics
from lasoftmoe.exercises.draw import Draw
from lasoftmoe.exercises.exercise import Case, Chapter, Exercise, Mistake

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pair = tuple[float, float]
TYPES = ("print", "mask", "swap")


def _scored_types(g: Draw) -> Case:
    """Scores with one decimal, types of unequal number, and a threshold that both classes meet."""
    live, *attacks = g.sizes(4, 5, 14)
    kind = np.repeat(["live", *TYPES], [live, *attacks])
    score = np.round(g.rng.normal(0.4, 0.7, len(kind)) + 0.4 * (kind != "live"), 1)
    score[[0, 1, -1, -2]] = 0.5, -1.0, 0.5, 1.6  # a live image and an attack at the threshold
    score[[2, live]] = 1.1, -0.2  # and an error of each sort
    order = g.rng.permutation(len(kind))
    return score[order], kind[order], 0.5


def _scored(g: Draw) -> Case:
    score, kind, threshold = _scored_types(g)
    return score, kind != "live", threshold


def _rates(score: Scores, is_attack: Flags, threshold: float) -> Pair:
    called = score >= threshold
    return float(np.mean(~called[is_attack])), float(np.mean(called[~is_attack]))


def _strict_rates(score: Scores, is_attack: Flags, threshold: float) -> Pair:
    return _rates(score, is_attack, np.nextafter(threshold, np.inf))


def _pair_rules(value: Any, *_: Any) -> str | None:
    many = isinstance(value, tuple | Tensor) and len(getattr(value, "shape", (0,))) == 1
    if not many or len(value) != 2:
        return "Return two numbers: `return apcer, bpcer`."
    return None


EXCHANGED = (
    "APCER and BPCER are exchanged. The first two letters say whom it is about: AP is the Attack "
    "Presentation that was let in, BP the Bona fide (live) one that was locked out."
)
AT_THRESHOLD = "A score equal to the threshold is called an attack: score >= threshold."

ERROR_RATES = Exercise(
    "error_rates",
    _scored,
    _rates,
    rules=_pair_rules,
    misconceptions=[
        Mistake(lambda s, a, t: _rates(s, a, t)[::-1], EXCHANGED),
        Mistake(
            lambda s, a, t: (np.mean((s < t) & a), np.mean((s >= t) & ~a)),
            "You divided by all images. Then both rates change when somebody adds attacks to the "
            "test set. APCER is a share of the attacks, BPCER a share of the live images.",
        ),
        Mistake(
            lambda s, a, t: tuple(1 - rate for rate in _rates(s, a, t)),
            "These are the shares decided correctly. An error rate counts the others.",
        ),
        Mistake(
            lambda s, a, t: (np.mean(a[s < t]), np.mean(~a[s >= t])),
            "You divided by what the detector said (of all that were called live, how many are "
            "attacks?). The rates divide by what the images are.",
        ),
        Mistake(_strict_rates, AT_THRESHOLD),
        Mistake(
            lambda s, a, t: (_rates(s, a, t)[0], _strict_rates(s, a, t)[1]),
            f"{AT_THRESHOLD} That holds for live images, too: at the threshold they are rejected.",
        ),
        Mistake(
            lambda s, a, t: (np.sum((s < t) & a), np.sum((s >= t) & ~a)),
            "These are numbers of images. A rate divides them by the number of attacks, or of live "
            "images.",
        ),
    ],
    hints=[
        "First decide for every image: is its score at or above the threshold?",
        "APCER looks at the attacks only: which share of them lies below the threshold?",
    ],
    praise="burglars among the attacks, owners among the live.",
)


def _per_type(score: Scores, kind: Any, threshold: float) -> dict[str, float]:
    return {str(name): float(np.mean(score[kind == name] < threshold)) for name in np.unique(kind)}


def _worst(choose: Callable[[list[float]], float] = max) -> Callable[..., float]:
    def worst_type_acer(score: Scores, kind: Any, threshold: float) -> float:
        rates = _per_type(score, kind, threshold)
        bpcer = 1 - rates.pop("live")
        return (choose(list(rates.values())) + bpcer) / 2

    return worst_type_acer


def _type_of_most_misses(score: Scores, kind: Any, threshold: float) -> float:
    rates = _per_type(score, kind, threshold)
    bpcer = 1 - rates.pop("live")
    most = max(rates, key=lambda name: rates[name] * np.sum(kind == name))
    return (rates[most] + bpcer) / 2


WORST_TYPE = Exercise(
    "worst_type_acer",
    _scored_types,
    _worst(),
    draws=5,
    edge_cases=[
        # The live images called live are the largest share of all; the largest type is not worst.
        (
            np.array([0.0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1]),
            np.array(["live"] * 5 + ["print"] * 3 + ["mask"] * 7 + ["swap"] * 2),
            0.5,
        ),
        (
            np.array([0.0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0]),
            np.array(["live"] * 4 + ["print"] * 2 + ["mask"] * 7 + ["swap"]),
            0.5,
        ),
    ],
    misconceptions=[
        Mistake(
            lambda s, y, t: sum(_rates(s, y != "live", t)) / 2,
            "This is the ACER with all attacks pooled. A type with many images then hides one with "
            "few, and the attacker picks the type, not you. Take the APCER of each type, then the "
            "largest.",
        ),
        Mistake(
            _worst(np.mean),
            "You averaged over the types. A type you catch must not hide one you miss, because an "
            "attacker uses the one you miss. Take the largest APCER.",
        ),
        Mistake(
            lambda s, y, t: 2 * _worst()(s, y, t) - _rates(s, y != "live", t)[1],
            "This is the APCER of the worst type alone. ACER is its mean with BPCER, else a "
            "detector that calls everything an attack would be perfect.",
        ),
        Mistake(
            lambda s, y, t: 2 * _worst()(s, y, t),
            "ACER is the mean of APCER and BPCER, not their sum: divide by 2.",
        ),
        Mistake(_worst(min), "You took the type with the smallest APCER, which is the best one."),
        Mistake(
            _type_of_most_misses,
            "You took the type with the most missed IMAGES. Types have different numbers of "
            "images: compare the shares.",
        ),
        Mistake(
            lambda s, y, t: (max(_per_type(s, y, t).values()) + _rates(s, y != "live", t)[1]) / 2,
            "You counted live images called live as missed attacks: leave the type 'live' out of "
            "the attack types.",
        ),
    ],
    hints=[
        'Make the list of attack types: `set(attack_type) - {"live"}`.',
        "Compute the APCER of each type by itself, and keep the largest.",
        "BPCER comes from the live images; ACER is the mean of the two.",
    ],
    praise="the worst type counts, since the attacker chooses it.",
)


def _table(g: Draw, shift: float, subjects: int = 40) -> pd.DataFrame:
    table = pd.DataFrame({"subject": np.repeat([f"s{i}" for i in range(subjects)], 5)})
    table["is_attack"] = np.tile([False, False, True, True, True], subjects)
    noise = g.rng.normal(size=len(table))
    table["attack_score"] = noise + 1.5 * table["is_attack"] + shift
    return table


def _eer_threshold(table: pd.DataFrame) -> float:
    return metrics.eer_threshold(table["attack_score"], table["is_attack"])


def _report(table: pd.DataFrame, threshold: float) -> Any:
    return metrics.evaluate(table["attack_score"], table["is_attack"], threshold)


def _acer(table: pd.DataFrame, threshold: float) -> float:
    return _report(table, threshold).acer


def _best(table: pd.DataFrame) -> tuple[float, float]:
    """The threshold with the lowest ACER, and that ACER."""
    points = metrics.operating_points(table["attack_score"], table["is_attack"])
    thresholds, apcer, bpcer = points
    best = int(np.argmin(apcer + bpcer))
    return float(thresholds[best]), float((apcer + bpcer)[best] / 2)


def _honest_rules(value: Any, *_: Any) -> str | None:
    if getattr(value, "type", "").endswith("Report"):
        return "You returned the whole report. Return its ACER: `.acer`."
    return None


HONEST = Exercise(
    "honest_acer",
    lambda g: (_table(g, 0.0), _table(g, g.uniform(0.5, 0.8))),  # another camera: higher scores
    lambda dev, test: _acer(test, _eer_threshold(dev)),
    difficulty=2,
    rules=_honest_rules,
    misconceptions=[
        Mistake(
            lambda dev, test: _acer(test, _eer_threshold(test)),
            "Your threshold is the EER threshold OF TEST. It has seen the answers that it is "
            "judged by, and looks better than it will be with new people. Take it from dev.",
        ),
        Mistake(
            lambda dev, test: _best(test)[1],
            "You took the lowest ACER that any threshold reaches on test. Nobody could have known "
            "that threshold beforehand. Take dev's EER threshold.",
        ),
        Mistake(
            lambda dev, test: _acer(test, _eer_threshold(pd.concat([dev, test]))),
            "You chose the threshold on dev and test together. Even so the test scores have a say "
            "in it. Take it from dev alone.",
        ),
        Mistake(
            lambda dev, test: _acer(dev, _eer_threshold(dev)),
            "That is the ACER on dev, where the threshold was chosen. Measure on test.",
        ),
        Mistake(
            lambda dev, test: _acer(test, _best(dev)[0]),
            "You took the threshold with dev's lowest ACER. That is honest, but another "
            "convention: dev's EER threshold was asked for, where its two error rates are equal.",
        ),
        Mistake(
            lambda dev, test: metrics.eer(test["attack_score"], test["is_attack"]),
            "That is test's EER. It is a figure without a threshold: to have that error rate, one "
            "would have to choose the threshold on test.",
        ),
        Mistake(
            lambda dev, test: 1 - _report(test, _eer_threshold(dev)).acc,
            "That is one minus the accuracy, which depends on how many attacks there are. Return "
            "the ACER.",
        ),
        Mistake(
            lambda dev, test: _acer(test, 0.5),
            "You took 0.5 for the threshold. A score is no probability; let dev decide.",
        ),
    ],
    hints=[
        "Two steps: a threshold from one table, an error rate from the other.",
        '`eer_threshold(dev["attack_score"], dev["is_attack"])`, then `evaluate(...)` on test.',
    ],
    praise="dev chooses, test measures.",
)


def _accuracy(apcer: float, bpcer: float, attacks: float) -> float:
    return attacks * (1 - apcer) + (1 - attacks) * (1 - bpcer)


ACCURACY = Exercise(
    "accuracy_where",
    lambda g: (g.uniform(0.02, 0.4), g.uniform(0.02, 0.4), g.uniform(0.1, 0.9)),
    _accuracy,
    tolerance=1e-6,
    edge_cases=[(0.0, 1.0, 0.8), (0.02, 0.2, 0.1)],
    misconceptions=[
        Mistake(
            lambda a, b, w: 1 - (a + b) / 2,
            "That is 1 - ACER, which gives both classes the same weight. It equals the accuracy "
            "only where attacks and live images are equally many. Accuracy weighs each error rate "
            "by the share of its class.",
        ),
        Mistake(
            lambda a, b, w: _accuracy(b, a, w),
            "The weights are exchanged: APCER concerns the attacks, so it is weighed by the share "
            "of attacks.",
        ),
        Mistake(
            lambda a, b, w: 1 - _accuracy(a, b, w),
            "That is the share of errors. Accuracy is what is left.",
        ),
        Mistake(
            lambda a, b, w: w * (1 - a),
            "You left the live images out: they are right or wrong, too.",
        ),
        Mistake(
            lambda a, b, w: (1 - w) * (1 - b),
            "You left the attacks out: they are right or wrong, too.",
        ),
        Mistake(
            lambda a, b, w: 1 - w * (a + b),
            "You weighed both rates by the share of attacks. BPCER concerns the live images, whose "
            "share is 1 - attacks.",
        ),
    ],
    hints=["Of all images, a share `attacks` are attacks. Which share of those is right?"],
    praise="the same detector has another accuracy in every town.",
)


def _printed(g: Draw) -> Case:
    """ACER, ACC and two counts of a detector whose attacks outnumber its live images."""
    live = g.size(40, 500)
    attack = live * g.size(2, 5) + g.size(1, 30)
    apcer, bpcer, w = g.uniform(0.01, 0.3), g.uniform(0.01, 0.3), attack / (live + attack)
    return (apcer + bpcer) / 2, 1 - w * apcer - (1 - w) * bpcer, live, attack


def _solve(acer: float, acc: float, n_live: int, n_attack: int, mean: float = 0.5) -> Pair:
    w = n_attack / (n_live + n_attack)
    return tuple(np.linalg.solve([[mean, mean], [w, 1 - w]], [acer, 1 - acc]).tolist())


def _solve_by_ratio(acer: float, acc: float, n_live: int, n_attack: int) -> Pair:
    w = n_attack / n_live
    return tuple(np.linalg.solve([[0.5, 0.5], [w, 1 - w]], [acer, 1 - acc]).tolist())


SOLVE = Exercise(
    "solve_rates",
    _printed,
    _solve,
    difficulty=2,
    rules=_pair_rules,
    edge_cases=[(0.05, 1 - (17006 * 0.02 + 4500 * 0.08) / 21506, 4500, 17006)],
    misconceptions=[
        *(
            Mistake(
                answer,
                "APCER and BPCER are exchanged: the share of attacks, n_attack / (n_live + "
                "n_attack), belongs to APCER.",
            )
            for answer in (
                lambda e, c, n, m: _solve(e, c, m, n),
                lambda e, c, n, m: _solve(e, c, n, m)[::-1],
            )
        ),
        Mistake(
            lambda e, c, n, m: _solve(e, 1 - c, n, m),
            "You put in the accuracy where its complement belongs: the two rates are errors, so "
            "they add up to 1 - ACC.",
        ),
        Mistake(
            lambda e, c, n, m: _solve(e, c - 99, n, m),
            "You computed 100 - ACC. All figures are fractions here: 1 - ACC.",
        ),
        Mistake(
            lambda e, c, n, m: _solve(e, c, n, m, mean=1.0),
            "The ½ is missing: ACER is the MEAN of the two rates, so they add up to twice the "
            "ACER.",
        ),
        Mistake(
            _solve_by_ratio,
            "You weighed by n_attack / n_live. The share of attacks is n_attack / (n_live + "
            "n_attack).",
        ),
        Mistake(
            lambda e, c, n, m: (e, e),
            "You set both rates to the ACER. It is their mean; accuracy says how they differ, "
            "because the classes are not equally many.",
        ),
    ],
    hints=[
        "Two unknowns need two equations: write ACER and 1 - ACC in terms of APCER and BPCER.",
        "With w = n_attack / (n_live + n_attack): 1 - ACC = w · APCER + (1 - w) · BPCER.",
        "Put BPCER = 2 · ACER - APCER into it and solve for APCER.",
    ],
    praise="two printed figures and two counts give away the two that were not printed.",
)


def _album(g: Draw) -> Case:
    """A table of subjects with very different numbers of images."""
    images = np.array([40, *g.rng.integers(2, 5, 11)])
    table = pd.DataFrame({"subject": np.repeat([f"s{i:02d}" for i in range(12)], images)})
    table = table.iloc[g.rng.permutation(len(table))].reset_index(drop=True)
    return (table.assign(image=np.arange(len(table))),)


def _draw_subjects(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    groups = [group for _, group in table.groupby("subject")]
    return pd.concat([groups[i] for i in rng.integers(len(groups), size=len(groups))])


def _draw_rules(value: Any, table: pd.DataFrame) -> str | tuple[str, str] | None:
    if not all(isinstance(rows, Tensor) for rows in value):
        return "Return a table (DataFrame) with all columns of the given one, 'subject' among them."
    draws = [rows.numpy().astype(int) for rows in value]
    if not np.array_equal(draws[0], draws[-1]):
        return (
            "Two generators with the same seed give two draws: use the generator `rng` that you "
            "are given, and no other (np.random.choice, for one, has its own)."
        )
    if all(np.array_equal(np.sort(draws[0]), np.sort(other)) for other in draws[1:]):
        repeated = len(np.unique(draws[0])) < len(draws[0])
        if not repeated and len(draws[0]) == len(table):
            return (
                "Every subject is there exactly once, in every draw: you drew without replacement, "
                "which only shuffles the test set. Draw with replacement."
            )
        return "Every draw is the same: use the generator `rng` that you are given."
    times = [_times_drawn(rows, table) for rows in draws]
    if any(counts is None for counts in times):
        return (
            "Some images of a subject come more often than others: you drew images. Images of one "
            "person resemble each other, so take all rows of a person or none."
        )
    return _broken_by_draws(np.array(times), table["subject"].nunique())


def _times_drawn(rows: NDArray[np.int_], table: pd.DataFrame) -> list[int] | None:
    """How often each subject was drawn, or None where its images differ in that."""
    counts = pd.Series(np.bincount(rows, minlength=len(table))).groupby(table["subject"])
    return None if (counts.nunique() > 1).any() else counts.first().tolist()


def _broken_by_draws(times: NDArray[np.int_], subjects: int) -> str | tuple[str, str] | None:
    if times.max() <= 1:
        return (
            "Nobody is in a draw twice. A subject that was drawn twice has to be in the table "
            "twice; `isin` and boolean masks lose that. Put the groups together one by one."
        )
    if (times.sum(axis=1) != subjects).any():
        return (
            "Draw as many subjects as there are in the table.",
            f"You drew {times[0].sum()} from {subjects}.",
        )
    if times[:, 0].mean() > 3:  # the one with 40 images
        return (
            "Subjects with many images are drawn more often: you drew from the column of all rows. "
            "Draw from the list of subjects, in which each stands once."
        )
    return None


def _from_rows(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    drawn = rng.choice(table["subject"], table["subject"].nunique())
    return pd.concat([table[table["subject"] == name] for name in drawn])


def _rows_within(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    drawn = rng.choice(table["subject"].unique(), table["subject"].nunique())
    groups = [table[table["subject"] == name] for name in drawn]
    return pd.concat([g.sample(len(g), replace=True, random_state=rng) for g in groups])


DRAW = Exercise(
    "draw_subjects",
    _album,
    _draw_subjects,
    trial="drawn_rows",
    rules=_draw_rules,
    compared=False,
    draws=2,
    misconceptions=[
        Mistake(
            lambda t, rng: t.sample(len(t), replace=True, random_state=rng),
            "Some images of a subject come more often than others: you drew images.",
        ),
        Mistake(_rows_within, "Some images of a subject come more often than others"),
        Mistake(_from_rows, "Subjects with many images are drawn more often"),
        Mistake(
            lambda t, rng: _draw_subjects(t, np.random.default_rng()),
            "Two generators with the same seed give two draws",
        ),
        Mistake(
            lambda t, rng: t.sample(frac=1, random_state=rng),
            "Every subject is there exactly once, in every draw",
        ),
        Mistake(
            lambda t, rng: t[t["subject"].isin(rng.choice(t["subject"].unique(), 12))],
            "Nobody is in a draw twice.",
        ),
        Mistake(
            lambda t, rng: pd.concat([_draw_subjects(t, rng), _draw_subjects(t, rng)]),
            "Draw as many subjects as there are in the table.",
        ),
    ],
    hints=[
        'Split the table into one group per subject: `table.groupby("subject")`.',
        "Draw as many group numbers as there are groups: `rng.integers(n, size=n)`.",
        "`pd.concat` puts the drawn groups together, a group drawn twice two times.",
    ],
    praise="whole people, drawn with replacement.",
)

CHAPTER = Chapter(
    "02",
    "Measuring",
    "import numpy as np\nimport pandas as pd\n\n"
    "from lasoftmoe.metrics import eer_threshold, evaluate, operating_points",
    [ERROR_RATES, WORST_TYPE, HONEST, ACCURACY, SOLVE, DRAW],
)

check_error_rates = ERROR_RATES.check
check_worst_type_acer = WORST_TYPE.check
check_honest_acer = HONEST.check
check_accuracy = ACCURACY.check
check_solve_rates = SOLVE.check
check_draw_subjects = DRAW.check
