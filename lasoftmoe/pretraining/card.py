"""Model card of a small CLIP, written from the facts in its ``.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from lasoftmoe.pretraining.questions import QUESTIONS

TEMPLATE = """\
# Small CLIP

A CLIP of {parameters:,} parameters ({megabytes:.1f} MB in half precision) for the chapters of this
book. It takes faces of 96 x 96 pixels and knows {words} words. It learned only from rendered
faces, not from photographs of people, and it is useless on photographs.

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
random texture (noise, blur, JPEG, enlargement, blotches of color) on the whole image or on a part
of it, which their captions name.

From epoch {scaffold_epoch} (counted from 0), two more parts learn: the stem's layout branch and,
with weight {scaffold_weight}, a linear layer on the stem's tokens. This layer answers the same
questions and is dropped at the end. Without both, a thousand steps hardly teach small things in a
fixed place, such as glasses. We did not try other epochs to begin at.
{note}
## Results without further training

On {dev_images} captures of {dev_subjects} people it has not seen. *Chance* is the share of the most
frequent answer (for an AUC, 0.5). Only the people are new: the questions and answers are the ones
from its training.

| task | result | chance | images |
|---|---|---|---|
{rows}

Retrieval finds an image's own caption among those of 100 people. Captions omit attributes, so it
cannot be perfect: {shared:.1%} of the captions say exactly the same as another one, and an oracle
that knows every attribute of every image reaches {oracle:.3f}.
{live_fake_table}
## Words it has never read

No caption contains "live", "fake", or a word for an attack, except print and screen. A word
outside its vocabulary is an error.
"""

LIVE_FAKE = """
Zero-shot live against fake with the paper's prompts, on the {images} dev images of the synthetic
faces (protocol p1); 0.5 is chance:

| prompt | AUC |
|---|---|
{rows}
"""


def write_card(description: Path) -> Path:
    """Write the ``.md`` next to a small CLIP's ``.json``; return its path."""
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
