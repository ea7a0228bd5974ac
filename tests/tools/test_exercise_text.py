"""Task cells say what to write, and hold the marks and hints of their descriptions."""

import pytest

from tools import notebooks
from tools.exercise_text import FOLD, with_marks

TASKS = [
    pytest.param(task, id=f"{number}-{task.exercise.function}")
    for number in notebooks.chapter_numbers()
    for task in notebooks.tasks(
        notebooks.read(notebooks.notebook_path(number)), notebooks.chapter(number)
    )
]


@pytest.mark.parametrize("task", TASKS)
def test_task_names_function_and_arguments(task):
    assert f"`{notebooks.signature(notebooks.source(task.code))}`" in notebooks.source(task.text)


@pytest.mark.parametrize("task", TASKS)
def test_marks_and_hints_are_those_of_the_description(task):
    text = notebooks.source(task.text)
    assert with_marks(text, task.exercise) == text, "run python -m tools.exercise_text"
    assert f"** {'★' * task.exercise.difficulty} Write" in text
    assert text.count("<summary>Hint") == len(task.exercise.hints)


@pytest.mark.parametrize("task", TASKS)
def test_fold_says_that_it_hides_the_solution(task):
    assert "hide-input" in notebooks.tags(task.code)
    assert task.code["metadata"]["mystnb"] == FOLD


@pytest.mark.parametrize("number", notebooks.chapter_numbers())
def test_notebook_holds_every_described_exercise_once(number):
    found = notebooks.tasks(
        notebooks.read(notebooks.notebook_path(number)), notebooks.chapter(number)
    )
    assert [task.exercise for task in found] == list(notebooks.chapter(number).exercises)


def test_a_change_of_hints_replaces_the_old_ones():
    task = TASKS[0].values[0]
    text = notebooks.source(task.text).replace("</details>", "old</details>").replace(" ★★", "")
    assert with_marks(text, task.exercise) == notebooks.source(task.text)
