"""Answers are found whatever a student's editor did to the notebook, without running anything."""

import json

import pytest

from lasoftmoe.exercises.grading.answers import (
    NotebookError,
    find_answer,
    read_cells,
    reads_package_answers,
)


def notebook(*cells, ids=()):
    made = [{"cell_type": "code", "source": source} for source in cells]
    for cell, cell_id in zip(made, ids, strict=False):
        cell["id"] = cell_id
    return json.dumps({"cells": [{"cell_type": "markdown", "source": "x"}, *made]}).encode()


def find(*cells, function="f", ids=()):
    return find_answer(read_cells(notebook(*cells, ids=ids)), function, f"answer-{function}")


def test_answer_is_found_by_its_function():
    assert find("import torch", "def f(x):\n    return x").source == "def f(x):\n    return x"
    assert find("f = lambda x: x").source == "f = lambda x: x"
    assert find("def g(x): pass") is None


def test_a_cell_that_does_not_parse_is_still_found():
    assert find("def f(x:\n    return").source == "def f(x:\n    return"


def test_a_renamed_function_is_found_by_the_id_of_its_cell():
    assert find("def h(x): return x", ids=["answer-f"]).source == "def h(x): return x"


def test_of_several_copies_the_last_that_is_written_counts():
    stub = "def f(x):\n    raise NotImplementedError"
    assert find("def f(x): return 1", "def f(x): return 2", stub).source == "def f(x): return 2"
    assert find(stub).source == stub


def test_only_cells_that_the_answer_needs_come_with_it():
    answer = find(
        "import numpy as np",
        "def helper(x):\n    return other(x)",
        "while True:\n    pass",
        "def f(x):\n    return helper(x)",
        "def other(x):\n    return np.abs(x)",
        "unused = 1",
        "from math import *",
    )
    assert answer.needs == (
        "import numpy as np",
        "def helper(x):\n    return other(x)",
        "def other(x):\n    return np.abs(x)",
        "from math import *",
    )


def test_a_class_is_found_too():
    broken = "class A(Base):\n    def f(self:"
    assert find(broken, function="A").source == broken
    assert find("class A: pass", function="A").source == "class A: pass"


def test_two_cells_with_the_same_text_and_cycles_are_no_trouble():
    answer = find("def g(x): return f(x)", "def g(x): return f(x)", "def f(x): return g(x)")
    assert len(answer.needs) == 2


def test_magic_lines_are_no_syntax_error():
    answer = find("%matplotlib inline\n!ls\nimport math", "def f(x):\n    return math.pi")
    assert answer.needs == ("pass\npass\nimport math",)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"cells": [{"source": "x"}]}',
        b'{"cells": [{"cell_type": "code"}]}',
        b'{"cells": 3}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_refused(data):
    with pytest.raises(NotebookError, match="not a notebook"):
        read_cells(data)


def test_a_huge_file_is_refused_before_it_is_read():
    with pytest.raises(NotebookError, match="at most"):
        read_cells(b" " * 20_000_001)


def test_mention_of_the_package_answers_is_noticed():
    assert reads_package_answers("return ch06.DISPATCH.answer(x)")
    assert reads_package_answers("import lasoftmoe.exercises.ch06")
    assert reads_package_answers("from lasoftmoe.moe import naive")
    assert reads_package_answers("from lasoftmoe.moe import Experts, naive")
    assert reads_package_answers("from lasoftmoe.moe.naive import soft_moe")
    assert reads_package_answers("return naive.la_soft_moe(x, phi, attention, experts)")


@pytest.mark.parametrize(
    "source", ["return patch06.x", "naive = x.mean()\nreturn naive", "# the naive way\nreturn x"]
)
def test_names_of_a_students_own_are_no_mention(source):
    assert not reads_package_answers(source)
