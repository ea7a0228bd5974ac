"""Pretraining from captioned captures to weights, their description, and their card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from data_prep.atomic import write_atomically
from data_prep.provenance import Origin
from lasoftmoe.clip import ClipBundle
from lasoftmoe.data import open_dataset
from lasoftmoe.pretraining.captures import Captures, read_captions_folder, read_captures
from lasoftmoe.pretraining.card import write_card
from lasoftmoe.pretraining.loop import Pretraining, PretrainingConfig
from lasoftmoe.pretraining.results import live_fake_auc, retrieval_ceiling, zero_shot_results
from lasoftmoe.pretraining.vocabulary import vocabulary
from lasoftmoe.small_clip import (
    EMBEDDED_WEIGHTS,
    SmallClipConfig,
    build_small_clip,
    save_small_clip,
)
from lasoftmoe.small_clip.tokenizer import SmallTokenizer
from lasoftmoe.training.checkpoint import Checkpoint

LAYOUT_CHANNELS = 16
"""Channels of the stem's layout branch (see ``lasoftmoe.small_clip.stem.layout_branch``)."""


def pretrain(
    data: str | Path,
    out: str | Path,
    config: PretrainingConfig,
    held_out: str | Path | None = None,
    faces: str | Path | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Pretrain a small CLIP on captioned captures and write it to ``out``.

    Writes ``small_clip.safetensors``, ``.json``, and ``.md``, and ``log.csv``. Call it again with
    the same arguments to continue an interrupted run after its last finished epoch, or to measure
    a finished one again.

    Args:
        data: Folder that ``python -m data_prep captions`` wrote, for training on its split train.
        out: Folder for the results.
        held_out: Another such folder with another seed, and so with other people, for the results
            in the card. The default is the split dev of ``data``.
        faces: A prepared dataset with protocol p1, to add live against fake to the card.
        device: Where to train. The results for the card are computed on the CPU.

    Returns:
        The facts of the run, which the ``.json`` file has under "training".

    Raises:
        DatasetError: A folder is not a valid dataset.
        ValueError: ``held_out`` shows the people of ``data``, there are fewer captures than one
            batch, or ``out`` holds a run with other settings.
    """
    data, out = Path(data), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    splits = read_captures(data)
    if held_out is not None:
        splits["dev"] = _other_people(Path(held_out), data)
    architecture, bundle = _random_clip(config.seed)
    checkpoint = _checkpoint(out, config)
    log = Pretraining(bundle, splits["train"], config, checkpoint, device).run()
    write_atomically(out / "log.csv", lambda path: log.to_csv(path, index=False))
    bundle.model.cpu().eval()
    commands = _commands(config, data, held_out)
    facts = _facts(bundle, config, splits, log) | Origin.now(commands[-1]).to_dict()
    facts["commands"] = commands
    facts["figures"] = zero_shot_results(bundle, splits["dev"])
    facts["ceiling"] = retrieval_ceiling(splits["dev"])
    if faces is not None:
        dev = open_dataset(faces, "p1")["dev"]
        facts["live_fake"] = {"images": len(dev), "auc": live_fake_auc(bundle, dev)}
    weights = out / EMBEDDED_WEIGHTS.name
    save_small_clip(weights, bundle.model, architecture, bundle.tokenize, facts)
    write_card(weights.with_suffix(".json"))
    return facts


def _random_clip(seed: int) -> tuple[SmallClipConfig, ClipBundle]:
    config = SmallClipConfig(layout_channels=LAYOUT_CHANNELS)
    tokenizer = SmallTokenizer(vocabulary(), config.context_length)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_small_clip(config, tokenizer.vocab_size)
    return config, ClipBundle(model, tokenizer, config.image_size, config.mean, config.std)


def _other_people(held_out: Path, data: Path) -> Captures:
    seeds = [read_captions_folder(folder).info["seed"] for folder in (held_out, data)]
    if seeds[0] == seeds[1]:
        raise ValueError(
            f"{held_out} and {data} were both written with seed {seeds[0]} and show the same "
            f"people; write the held-out captures with `--seed {seeds[0] + 1}`"
        )
    splits = read_captures(held_out)
    return splits["train"] + splits["dev"]


def _checkpoint(out: Path, config: PretrainingConfig) -> Checkpoint:
    """Return the run's checkpoint; a configuration next to it keeps other runs from resuming it."""
    checkpoint, path = Checkpoint(out / "checkpoint.safetensors"), out / "config.json"
    wanted = json.dumps(asdict(config), indent=1)
    if checkpoint.path.is_file() and path.read_text("utf-8") != wanted:
        raise ValueError(f"{out} holds a run with other settings ({path}); choose another folder")
    write_atomically(path, lambda temporary: temporary.write_text(wanted, "utf-8"))
    return checkpoint


def _commands(config: PretrainingConfig, data: Path, held_out: str | Path | None) -> list[str]:
    """Return the command lines that repeat the run, with placeholders for folders."""
    options = [
        f"--{name} {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in asdict(config).items()
        if value != getattr(PretrainingConfig, name)
    ]
    commands = [_captions_command(data, "DATA")]
    if held_out is not None:
        commands.append(_captions_command(Path(held_out), "HELD_OUT"))
        options.insert(0, "--held_out HELD_OUT")
    command = "python -m lasoftmoe.pretraining --data DATA --out OUT"
    return [*commands, " ".join([command, *options])]


def _captions_command(folder: Path, name: str) -> str:
    recipe = read_captions_folder(folder).info.get("recipe", {})
    options = [f"--{key} {recipe[key]}" for key in ("subjects", "seed") if key in recipe]
    return " ".join([f"python -m data_prep captions --out {name}", *options])


def _facts(
    bundle: ClipBundle,
    config: PretrainingConfig,
    splits: dict[str, Captures],
    log: pd.DataFrame,
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "config": asdict(config),
        "parameters": sum(p.numel() for p in bundle.model.parameters()),
        "steps": len(log),
        "cpu_seconds": round(float(log["cpu_seconds"].iloc[-1])),
    }
    for split, captures in splits.items():
        facts[f"{split}_images"] = len(captures)
        facts[f"{split}_subjects"] = int(captures.table["subject"].nunique())
    return facts
