"""Chapter 2's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import numpy as np
import pandas as pd
import torch

from lasoftmoe.exercises import ch02
from lasoftmoe.metrics import eer, eer_threshold, evaluate, operating_points
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("02_measuring", ch02)


def rates(scores, attacks, threshold):
    called = scores >= threshold
    return np.mean(~called[attacks]), np.mean(called[~attacks])


def of_report(scores, attacks, threshold):
    report = evaluate(scores, attacks, threshold)
    return [report.apcer, report.bpcer]


def per_type(scores, types, threshold):
    called = scores >= threshold
    return [np.mean(~called[types == name]) for name in sorted(set(types) - {"live"})]


def worst_of_all(scores, types, threshold):
    called = scores >= threshold
    apcer = max(np.mean(~called[types == name]) for name in set(types))
    return (apcer + np.mean(called[types == "live"])) / 2


def bpcer(scores, types, threshold):
    return np.mean(scores[types == "live"] >= threshold)


def own(table):
    return eer_threshold(table["attack_score"], table["is_attack"])


def acer(table, threshold):
    return evaluate(table["attack_score"], table["is_attack"], threshold).acer


def best(table):
    _, a, b = operating_points(table["attack_score"], table["is_attack"])
    return (a + b).min() / 2


def solved(acer, acc, n_live, n_attack):
    w = n_attack / (n_live + n_attack)
    return np.linalg.solve([[0.5, 0.5], [w, 1 - w]], [acer, 1 - acc])


def solved_with(acer, acc, n_live, n_attack, errors):
    w = n_attack / (n_live + n_attack)
    return np.linalg.solve([[0.5, 0.5], [w, 1 - w]], [acer, errors])


def by_merge(table, rng):
    names = table["subject"].unique()
    return pd.DataFrame({"subject": rng.choice(names, len(names))}).merge(table, on="subject")


def chosen(table, rng, **options):
    names = table["subject"].unique()
    return table[table["subject"].isin(rng.choice(names, len(names), **options))]


def rates_of_strict_live(scores, attacks, threshold):
    return np.mean(scores[attacks] < threshold), np.mean(scores[~attacks] > threshold)


def draw_without_rng(table, rng):
    return by_merge(table, np.random)


def draw_from_rows(table, rng):
    drawn = pd.DataFrame({"subject": rng.choice(table["subject"], table["subject"].nunique())})
    return drawn.merge(table, on="subject")


def draw_rows_within(table, rng):
    people = rng.choice(table["subject"].unique(), table["subject"].nunique())
    groups = [table[table["subject"] == name] for name in people]
    return pd.concat([g.sample(len(g), replace=True, random_state=rng) for g in groups])


def torch_rates(s, a, t):
    return tuple(torch.tensor(rate) for rate in rates(s, a, t))


OTHER_WAYS = [
    (ch02.check_error_rates, torch_rates),
    (ch02.check_error_rates, of_report),
    (ch02.check_error_rates, lambda s, a, t: np.array(rates(s, a, t))),
    (ch02.check_worst_type_acer, lambda s, y, t: evaluate(s, y != "live", t, y).acer_worst),
    (ch02.check_honest_acer, lambda dev, test: np.float64(acer(test, own(dev)))),
    (ch02.check_accuracy, lambda a, b, w: 1 - w * a - b + w * b),
    (ch02.check_solve_rates, solved),
    (ch02.check_draw_subjects, by_merge),
]

MISTAKES = [
    (ch02.check_error_rates, rates_of_strict_live, "That holds for live images, too"),
    (ch02.check_error_rates, lambda s, a, t: [100 * r for r in rates(s, a, t)], "not percent"),
    (ch02.check_draw_subjects, draw_without_rng, "use the generator `rng`"),
    (ch02.check_draw_subjects, draw_from_rows, "many images are drawn more often"),
    (ch02.check_draw_subjects, draw_rows_within, "you drew images"),
    (
        ch02.check_honest_acer,
        lambda dev, test: evaluate(test["attack_score"], test["is_attack"], own(dev)),
        "whole report",
    ),
    (ch02.check_solve_rates, lambda e, c, n, m: solved_with(e, c, n, m, 100 - c), "fractions"),
    (ch02.check_error_rates, lambda s, a, t: rates(s, a, t)[::-1], "exchanged"),
    (
        ch02.check_error_rates,
        lambda s, a, t: (np.mean((s < t) & a), np.mean((s >= t) & ~a)),
        "divided by all images",
    ),
    (ch02.check_error_rates, lambda s, a, t: [1 - r for r in rates(s, a, t)], "correctly"),
    (
        ch02.check_error_rates,
        lambda s, a, t: (np.mean(a[s < t]), np.mean(~a[s >= t])),
        "what the detector said",
    ),
    (
        ch02.check_error_rates,
        lambda s, a, t: rates(s, a, np.nextafter(t, 1)),
        "equal to the threshold",
    ),
    (ch02.check_error_rates, lambda s, a, t: 0.3, "two numbers"),
    (ch02.check_error_rates, lambda s, a, t: ("a", 0.3), "Expected a number, got a string"),
    (ch02.check_error_rates, lambda s, a, t: None, "returned None"),
    (ch02.check_error_rates, lambda s, a, t: (0.123, 0.3), "the values are not"),
    (
        ch02.check_worst_type_acer,
        lambda s, y, t: evaluate(s, y != "live", t).acer,
        "attacks pooled",
    ),
    (
        ch02.check_worst_type_acer,
        lambda s, y, t: (np.mean(per_type(s, y, t)) + bpcer(s, y, t)) / 2,
        "averaged over the types",
    ),
    (ch02.check_worst_type_acer, lambda s, y, t: max(per_type(s, y, t)), "worst type alone"),
    (
        ch02.check_worst_type_acer,
        lambda s, y, t: (min(per_type(s, y, t)) + bpcer(s, y, t)) / 2,
        "the best one",
    ),
    (ch02.check_worst_type_acer, worst_of_all, "leave the type 'live' out"),
    (ch02.check_honest_acer, lambda dev, test: acer(test, own(test)), "OF TEST"),
    (ch02.check_honest_acer, lambda dev, test: best(test), "lowest ACER"),
    (
        ch02.check_honest_acer,
        lambda dev, test: acer(test, own(pd.concat([dev, test]))),
        "dev and test together",
    ),
    (ch02.check_honest_acer, lambda dev, test: acer(dev, own(dev)), "ACER on dev"),
    (
        ch02.check_honest_acer,
        lambda dev, test: eer(test["attack_score"], test["is_attack"]),
        "test's EER",
    ),
    (ch02.check_honest_acer, lambda dev, test: acer(test, 0.5), "let dev decide"),
    (ch02.check_accuracy, lambda a, b, w: 1 - (a + b) / 2, "1 - ACER"),
    (ch02.check_accuracy, lambda a, b, w: w * (1 - b) + (1 - w) * (1 - a), "weights are exch"),
    (ch02.check_accuracy, lambda a, b, w: w * a + (1 - w) * b, "share of errors"),
    (ch02.check_accuracy, lambda a, b, w: w * (1 - a), "left the live images out"),
    (ch02.check_solve_rates, lambda *args: solved(*args)[::-1], "the values are not|exchanged"),
    (ch02.check_solve_rates, lambda e, c, n, m: solved(e, c, m, n), "exchanged"),
    (ch02.check_solve_rates, lambda e, c, n, m: solved_with(e, c, n, m, c), "complement"),
    (ch02.check_solve_rates, lambda e, c, n, m: (e, e), "both rates to the ACER"),
    (
        ch02.check_draw_subjects,
        lambda t, rng: t.sample(len(t), replace=True, random_state=rng),
        "you drew images",
    ),
    (
        ch02.check_draw_subjects,
        lambda t, rng: chosen(t, rng, replace=False),
        "without replacement",
    ),
    (ch02.check_draw_subjects, chosen, "`isin` and boolean masks lose that"),
    (
        ch02.check_draw_subjects,
        lambda t, rng: by_merge(t, np.random.default_rng(0)),
        "use the generator",
    ),
    (
        ch02.check_draw_subjects,
        lambda t, rng: pd.concat([by_merge(t, rng), by_merge(t, rng)]),
        "Draw as many subjects as there are",
    ),
    (ch02.check_draw_subjects, lambda t, rng: t["subject"], "Return a table"),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES


def test_a_reader_who_spoils_the_tables_spoils_only_his_own(capsys):
    def careless(dev, test):
        answer = acer(test, own(dev))
        dev["attack_score"] = test["attack_score"] = 0.0
        return answer

    ch02.check_honest_acer(careless)
    ch02.check_honest_acer(NOTEBOOK.functions()["honest_acer"])
