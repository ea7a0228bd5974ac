"""How an exercise is checked, and what a failed check shows in a notebook."""

import importlib
import re

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from lasoftmoe.exercises.draw import draw
from lasoftmoe.exercises.exercise import Exercise, Mistake, NotYet
from lasoftmoe.exercises.trials import attempt
from lasoftmoe.exercises.values import number, plain

CHAPTERS = [f"{number:02d}" for number in range(1, 10)]
EXERCISES = [
    pytest.param(exercise, id=f"{chapter}-{exercise.function}")
    for chapter in CHAPTERS
    for exercise in importlib.import_module(f"lasoftmoe.exercises.ch{chapter}").CHAPTER.exercises
]

ADD = Exercise(
    "add",
    lambda g: (g.size(1, 9), g.size(10, 19)),
    lambda a, b: a + b,
    misconceptions=[
        Mistake(lambda a, b: a - b, "You subtracted."),
        Mistake(lambda a, b: a * b, "You multiplied."),
    ],
    edge_cases=[(0, 0)],
)


def test_mistake_must_explain_every_case():
    with pytest.raises(NotYet, match="You multiplied"):
        ADD.check(lambda a, b: a * b)
    cases = ADD.cases()
    first = cases[0]
    with pytest.raises(NotYet, match="Right in 1 of 4 cases"):
        ADD.check(lambda a, b: a * b if (a, b) == first else -1 if a else 0)


def test_secret_and_labels_decide_the_cases():
    assert ADD.cases(b"x", "ch01") == ADD.cases(b"x", "ch01")
    others = [ADD.cases(b"y", "ch01"), ADD.cases(b"x", "ch02"), ADD.cases(b"x", "ch01", "ann")]
    assert all(other[:3] != ADD.cases(b"x", "ch01")[:3] for other in others)


def test_sizes_of_a_draw_differ():
    assert len(set(draw(b"x", "sizes").sizes(4, 2, 5))) == 4


@pytest.mark.parametrize("exercise", EXERCISES)
def test_message_never_holds_the_expected_number(exercise):
    if not exercise.compared:
        return
    expected = [attempt(exercise.trial, exercise.answer, case).value for case in exercise.cases()]

    def off(*args):
        return plain(exercise.answer(*args)) * 1.37 + 3

    numbers = [number(value) for value in expected]
    if None in numbers:
        return
    with pytest.raises(NotYet) as failure:
        exercise.check(off)
    told = {
        float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*", str(failure.value))
    }
    assert not any(abs(one - value) < 1e-3 for one in told for value in numbers if value > 1)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_has_hints_points_and_difficulty(exercise):
    assert exercise.hints and exercise.points > 0 and exercise.difficulty in (1, 2, 3)
    assert len(exercise.cases()) >= (1 if exercise.function == "first_to_learn" else 2)


def test_spoiled_arguments_do_not_reach_the_judge():
    def careless(x):
        answer = x.softmax(1)
        x.zero_()
        return answer

    from lasoftmoe.exercises import ch06

    ch06.check_dispatch(careless)


@pytest.mark.slow
def test_notebook_shows_one_line_and_no_traceback(tmp_path):
    source = "from lasoftmoe.exercises import ch06\nch06.check_dispatch(lambda x: x.softmax(-1))"
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(
        notebook, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    (error,) = [out for out in notebook.cells[0].outputs if out.output_type == "error"]
    assert len(error.traceback) == 1
    assert error.traceback[0].startswith("Not yet: Your softmax runs over the last axis")
    assert "softmax(1)" not in error.traceback[0]


def test_ipython_is_given_one_line_instead_of_a_traceback():
    assert NotYet("Look.", "There.")._render_traceback_() == ["Not yet: Look. There."]
