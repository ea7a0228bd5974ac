"""The model card of a small CLIP, written from the facts in its ``.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from lasoftmoe.pretraining.questions import QUESTIONS

TEMPLATE = """\
# Small CLIP

A CLIP of {parameters:,} parameters ({megabytes:.1f} MB in half precision) for the chapters of this
book. It takes faces of 96 x 96 pixels and knows {words} words. It learned from rendered faces
only; no photograph of a person was used, and on photographs it is of no use.

## How it was made

{commands}

| | |
|---|---|
| data | {train_images:,} captioned captures of {train_subjects:,} rendered people |
| seed | {seed} |
| steps | {steps:,} of {batch_size} images ({epochs:.1f} epochs) |
| time | {cpu_seconds:,} CPU-seconds on one thread |
| hardware | {hardware} |
| date | {date} |

Loss: contrastive on captions, plus {scene_weight} x cross-entropy over texts that name medium
and texture, plus {question_weight} x the mean cross-entropy of {questions} questions about one
attribute each, answered by texts such as "a photo of a person with glasses". Most images get a
texture at random (noise, blur, JPEG, enlargement, blotches of color), on the whole picture or a
part of it, and their captions say so.

From epoch {scaffold_epoch} on (counted from 0), the layout branch of the stem learns, and with
weight {scaffold_weight} a linear layer on the stem's tokens that answers the same questions and is
dropped at the end. Things that are small and always in the same place, such as glasses, were
hardly learned in a thousand steps before. Other epochs to begin at were not tried.
{note}
## What it can do without further training

On {dev_images} captures of {dev_subjects} people whom it has not seen. *Chance* is the share of the
most frequent answer (for an AUC, 0.5). The questions are those that it was trained to answer, about
other people: no training on labels, but training on the very sentences.

| task | reached | chance | images |
|---|---|---|---|
{rows}

Retrieval finds an image's own caption among those of 100 people. Captions leave things out, so it
cannot be perfect: {shared:.1%} of the captions say just what another one says, and an oracle that
knows every attribute of every image reaches {oracle:.3f}.
{live_fake_table}
## What it has never read

"live" and "fake" stand in no caption; neither does any word for an attack but print and screen.
A word outside its vocabulary is an error.
"""

LIVE_FAKE = """
Live against fake by the paper's prompts, without training, on the {images} dev images of the
synthetic faces (protocol p1); 0.5 is chance:

| prompt | AUC |
|---|---|
{rows}
"""


def write_card(description: Path) -> Path:
    """Write the ``.md`` beside a small CLIP's ``.json`` and return its path."""
    content = json.loads(description.read_text(encoding="utf-8"))
    text = TEMPLATE.format(**_fields(content, description.with_suffix(".safetensors")))
    path = description.with_suffix(".md")
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return path


def _fields(content: dict[str, Any], weights: Path) -> dict[str, Any]:
    training = content["training"]
    batch_size = training["config"]["batch_size"]
    return {
        **training,
        "date": training["date"][:10],
        "megabytes": weights.stat().st_size / 1e6,
        "words": sum(token.endswith("</w>") for token in content["vocabulary"]),
        "seed": training["config"]["seed"],
        "scene_weight": training["config"]["scene_weight"],
        "question_weight": training["config"]["question_weight"],
        "scaffold_weight": training["config"]["scaffold_weight"],
        "scaffold_epoch": training["config"]["scaffold_epoch"],
        "questions": len(QUESTIONS) + 1,
        "note": f"\n{training['note']}\n" if "note" in training else "",
        "shared": training["ceiling"]["shared captions"],
        "oracle": training["ceiling"]["oracle R@1"],
        "batch_size": batch_size,
        "epochs": training["steps"] * batch_size / training["train_images"],
        "commands": "\n".join(f"    {command}" for command in training["commands"]),
        "rows": "\n".join(_row(name, result) for name, result in training["figures"].items()),
        "live_fake_table": _live_fake(training.get("live_fake")),
    }


def _row(name: str, result: dict[str, float]) -> str:
    return f"| {name} | {result['value']:.3f} | {result['chance']:.3f} | {result['images']} |"


def _live_fake(results: dict[str, Any] | None) -> str:
    if results is None:
        return ""
    rows = "\n".join(f"| {prompt} | {auc:.3f} |" for prompt, auc in results["auc"].items())
    return LIVE_FAKE.format(images=results["images"], rows=rows)
