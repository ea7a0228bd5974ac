"""Results that only a GPU can give: recorded with the card's name, or said to be missing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lasoftmoe.records.recorded import FOLDER, Recorded, read_recorded

QUESTIONS = {
    "memory": "Does a training step need the memory that the dry run says?",
    "layer_speed": "How fast are the layers, next to soft-moe-pytorch and the floor?",
    "tower_step": "What does La-SoftMoE add to a training step of the ViT-B/16?",
    "rendering": "How many faces of 224 pixels are drawn per second?",
    "layers_agree": "Do all layers compute the same on a GPU, in half precision, and compiled?",
    "preset_la_soft_moe": "Does the a100 preset train La-SoftMoE, and how fast?",
    "preset_vanilla": "Does the a100 preset train plain CLIP, and how fast?",
    "preset_soft_moe": "Does the a100 preset train Soft MoE, and how fast?",
    "processes_agree": "Do two GPUs train as one does?",
    "layer_speed_compiled": "How fast are the compiled layers?",
    "tower_step_compiled": "What does La-SoftMoE add to a compiled training step?",
    "pretraining": "How long does pretraining the small CLIP take?",
    "table6_seeds": "What do twenty seeds of Table 6 say?",
}
"""Measurements of ``python -m benchmarks.gpu``, in its order, with the question of each."""


def gpu_record(name: str, folder: Path = FOLDER) -> Recorded | None:
    """Return a measurement's record, or None if there is none from a GPU.

    Raises:
        KeyError: If there is no such measurement.
        RecordError: If the record breaks the schema.
    """
    if name not in QUESTIONS:
        raise KeyError(f"no measurement {name!r}; known: {', '.join(QUESTIONS)}")
    if not (folder / f"gpu_{name}.json").exists():
        return None
    record = read_recorded(f"gpu_{name}", folder)
    return record if record.facts["device"] == "cuda" and not record.facts["tiny"] else None


def gpu_command(name: str) -> str:
    """Return the command that makes a measurement."""
    return f"python -m benchmarks.gpu --only {name}"


def gpu_table(folder: Path = FOLDER) -> pd.DataFrame:
    """Return a row per measurement: question, result, and card with date.

    Where nothing is recorded, the result is "not yet recorded" with the command that records it.
    """
    rows = []
    for name, question in QUESTIONS.items():
        record = gpu_record(name, folder)
        if record is None:
            result, card = f"not yet recorded: {gpu_command(name)}", ""
        else:
            result = record.facts["summary"]
            card = f"{record.origin.hardware}, {record.origin.date[:10]}"
        rows.append({"question": question, "result": result, "card": card})
    return pd.DataFrame(rows, index=pd.Index(list(QUESTIONS), name="measurement"))
