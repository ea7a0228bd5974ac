"""Submissions of chapter 6 as students of all kinds hand them in, with the points they earn."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tools import notebooks
from tools.assignments import assignment, code_cell

SECRET = b"a secret of this test, 32 bytes."

RIGHT = {
    "dispatch_weights": "return logits.softmax(dim=1)",
    "combine_weights": "return logits.flatten(2).softmax(-1).view_as(logits)",
    "soft_moe_for": "return SoftMoE(dim, num_experts, slots_per_expert=num_tokens // num_experts)",
    "expert_flops": "return 4 * num_experts * slots_per_expert * dim * hidden_dim",
    "count_tokens": "return torch.special.entr(dispatch).sum(dim=1).exp()",
}
SWAPPED = {
    "dispatch_weights": RIGHT["combine_weights"],
    "combine_weights": RIGHT["dispatch_weights"],
}
HALF = {
    "soft_moe_for": "return SoftMoE(dim, num_experts, slots_per_expert=num_tokens)",
    "expert_flops": "return 2 * num_experts * slots_per_expert * dim * hidden_dim",
}
NAN_AND_SYNTAX = {
    "combine_weights": "return logits.softmax(dim=(2, 3)",
    "count_tokens": "return (-(dispatch * dispatch.log()).sum(1)).exp()",
}
PATCHED = {
    "dispatch_weights": "return logits * 0",
    "combine_weights": "return logits * 0",
    "count_tokens": "return torch.zeros(dispatch.shape[0], *dispatch.shape[2:])",
}
PATCHES = """torch.allclose = lambda *a, **k: True
torch.Tensor.all = lambda *a, **k: torch.tensor(True)
from lasoftmoe.exercises import values
values.same = lambda *a, **k: True"""
OVERWRITES = """from lasoftmoe.exercises import ch06
for name in dir(ch06):
    if name.startswith("check_"):
        setattr(ch06, name, lambda f: print("Right"))"""
HARD_CODED = {
    "dispatch_weights": "return ch06.DISPATCH.answer(ch06.DISPATCH.cases()[0][0])",
    "combine_weights": "return ch06.COMBINE.answer(ch06.COMBINE.cases()[0][0])",
    "expert_flops": (
        "return {(3, 5, 7, 11): 4620, (4, 16, 96, 384): 9437184,\n"
        "            (4, 49, 768, 3072): 1849688064}"
        "[num_experts, slots_per_expert, dim, hidden_dim]"
    ),
}
FRAMES = """import sys
    frame = sys._getframe()
    while frame and not {"expected", "right", "answer"} & set(frame.f_locals):
        frame = frame.f_back
    return next((frame.f_locals[n] for n in ("expected", "right", "answer")
                 if frame and n in frame.f_locals), None)"""
FLOOD = "for i in range(10_000_000):\n        print(i)\n    return logits"
FILES = """import pathlib
    roots = [pathlib.Path(p) for p in (".", "..", "/tmp", "/root", "/home")]
    hits = []
    for root in roots:
        try:
            hits += [str(p) for p in root.iterdir()]
        except OSError:
            pass
    import lasoftmoe.exercises
    answers = pathlib.Path(lasoftmoe.exercises.__file__).parent / "ch06.py"
    try:
        hits += [answers.read_text()]
    except OSError:
        pass
    print("CAN READ:", hits)
    return logits.flatten(2).softmax(-1).view_as(logits)"""
PACKAGE_ANSWERS = {
    name: f"""import importlib
    import sys
    arguments = dict(locals())
    arguments.pop("importlib"), arguments.pop("sys")
    sys.modules.pop("lasoftmoe.exercises.ch06", None)
    ch06 = importlib.import_module("lasoftmoe.exercises.ch06")
    exercise = next(e for e in ch06.CHAPTER.exercises if e.function == "{name}")
    return exercise.answer(*arguments.values())"""
    for name in RIGHT
}

Change = Callable[[dict[str, Any]], None]


def first(code: str) -> Change:
    """Put a cell right after the imports."""

    def change(notebook: dict[str, Any]) -> None:
        notebook["cells"].insert(2, code_cell("mine", code))

    return change


def delete_cells(notebook: dict[str, Any]) -> None:
    """Delete the first check and one answer."""
    gone = {"check-dispatch_weights", "answer-combine_weights"}
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in gone]


def strip_metadata(notebook: dict[str, Any]) -> None:
    """Lose what another editor does not keep."""
    notebook["metadata"] = {}
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]


# Name -> answers, what else was done to the notebook, points it should get.
SIXTEEN: dict[str, tuple[dict[str, str], Change | None, int]] = {
    "correct": (RIGHT, None, 10),
    "blank": ({}, None, 0),
    "mistake_swap": (RIGHT | SWAPPED, None, 6),
    "mistake_half": (RIGHT | HALF, None, 7),
    "mistake_nan_syntax": (RIGHT | NAN_AND_SYNTAX, None, 5),
    "endless": (RIGHT | {"combine_weights": "while True:\n        pass"}, None, 8),
    "flood": (RIGHT | {"combine_weights": FLOOD}, None, 8),
    "overwrite_check": (dict.fromkeys(RIGHT, "return None"), first(OVERWRITES), 0),
    "patch_allclose": (RIGHT | PATCHED, first(PATCHES), 3),
    "deleted_cells": (RIGHT, delete_cells, 8),
    "hard_coded": (RIGHT | HARD_CODED, first("from lasoftmoe.exercises import ch06"), 4),
    "frames": (dict.fromkeys(RIGHT, FRAMES), None, 0),
    "exit": (RIGHT | {"dispatch_weights": "import os\n    os._exit(0)"}, None, 8),
    "stripped_metadata": (RIGHT, strip_metadata, 10),
    "memory": (RIGHT | {"combine_weights": "return torch.ones(10**12)"}, None, 8),
    "files": (RIGHT | {"combine_weights": FILES}, None, 10),
}


@cache
def student_notebook() -> str:
    """The notebook that students get, as JSON."""
    return json.dumps(assignment("06"))


def filled(answers: dict[str, str], change: Change | None = None) -> dict[str, Any]:
    """Return the student's notebook with answers in place of the stubs."""
    notebook = copy.deepcopy(json.loads(student_notebook()))
    for cell in notebook["cells"]:
        name = cell["id"].removeprefix("answer-")
        if name in answers and cell["id"] != name:
            head = notebooks.source(cell).splitlines()[0]
            notebooks.set_source(cell, f"{head}\n    {answers[name]}")
    if change is not None:
        change(notebook)
    return notebook


def hand_in(folder: Path, student: str, notebook: dict[str, Any]) -> Path:
    """Write a submission where the grader looks for it."""
    path = folder / student / "ch06.ipynb"
    notebooks.write(notebook, path)
    return path
