"""Training of the surrogate, and measurement of how well it recognizes people."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import trange

from data_prep.atomic import write_atomically
from data_prep.building.parallel import run_units
from data_prep.provenance import Origin
from data_prep.seeds import derive_seed
from data_prep.synthetic.attacks.surrogate import Surrogate
from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import render


@dataclass(frozen=True)
class Recognizer:
    """A kind of network to train, from images to unit embeddings of ``.dim`` numbers."""

    name: str
    description: str
    make: Callable[[], nn.Module]


SURROGATE = Recognizer(
    "surrogate", "surrogate face recognizer of the adversarial attacks", Surrogate
)


@dataclass(frozen=True)
class SurrogateTraining:
    """Size of the training. The unseen identities are numbered after the trained ones."""

    identities: int = 400
    captures: int = 8
    unseen_identities: int = 80
    unseen_captures: int = 5
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    temperature: float = 1 / 16


def train_surrogate(
    out: Path,
    training: SurrogateTraining | None = None,
    seed: int = 0,
    workers: int | None = None,
    network: Recognizer = SURROGATE,
) -> dict[str, Any]:
    """Train a network, measure it on unseen identities, and write weights and a card.

    Args:
        out: File for the weights. The card is written next to it, as ``.json``.
        training, seed, workers: Size of the training, seed of its data and weights, processes.
        network: The surrogate, or a recognizer with another architecture.

    Returns:
        The card: origin, size of the training, wall-clock seconds, and verification results.
    """
    training = training or SurrogateTraining()
    started = time.perf_counter()
    every = training.identities + training.unseen_identities
    shots = functools.partial(_capture_person, training=training, seed=seed)
    people = run_units(shots, range(every), workers, "surrogate's captures")
    rendered = time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        surrogate = _fit(torch.stack(people[: training.identities]), training, seed, network)
        # Ship and measure half precision, so that attacks use exactly the weights in the file.
        surrogate = surrogate.half().float()
        fitted = time.perf_counter()
        unseen = torch.stack(people[training.identities :])
        verification = measure_verification(surrogate, unseen)
    finally:
        torch.set_num_threads(threads)
    command = f"python -m data_prep surrogate --network {network.name}"
    command += f" --out {out.name} --seed {seed}"
    card = {
        "name": network.description,
        **Origin.now(command).to_dict(),
        "license": "CC0-1.0",
        "training": asdict(training) | {"seed": seed},
        "wall_seconds": {
            "captures": round(rendered - started),
            "training": round(fitted - rendered),
        },
        "training_threads": 1,
        "parameters": sum(p.numel() for p in surrogate.parameters()),
        "verification": verification,
    }
    state = surrogate.half().state_dict()
    write_atomically(out, lambda path: save_file(state, path))
    text = json.dumps(card, indent=2) + "\n"
    write_atomically(out.with_suffix(".json"), lambda path: path.write_text(text, "utf-8"))
    return card


def _capture_person(number: int, training: SurrogateTraining, seed: int) -> Tensor:
    """Draw captures of one person as uint8, (captures, 3, 96, 96)."""
    trained = number < training.identities
    count = training.captures if trained else training.unseen_captures
    identity = sample_identities(1, derive_seed("surrogate", seed), number)
    sessions = sample_sessions(count, derive_seed("surrogate session", seed, number))
    return to_bytes(capture(render(identity.repeat(count), sessions).radiance, sessions))


def _fit(
    people: Tensor,
    training: SurrogateTraining,
    seed: int,
    network: Recognizer,
) -> nn.Module:
    """Train by softmax over identities; ``people`` is uint8 (identities, captures, 3, 96, 96)."""
    generator = torch.Generator().manual_seed(derive_seed("surrogate training", seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("surrogate weights", seed))
        surrogate = network.make()
        directions = torch.nn.Parameter(torch.randn(len(people), surrogate.dim))
    images = people.flatten(0, 1)
    identity = torch.arange(len(people)).repeat_interleave(people.shape[1])
    parameters = [*surrogate.parameters(), directions]
    steps = training.epochs * (len(images) // training.batch_size)
    optimizer = torch.optim.AdamW(parameters, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, steps)
    progress = trange(steps, desc="surrogate", unit="step")
    for step in progress:
        if step % (steps // training.epochs) == 0:
            order = torch.randperm(len(images), generator=generator)
        start = step % (steps // training.epochs) * training.batch_size
        batch = order[start : start + training.batch_size]
        embedding = surrogate(_augment(images[batch].float() / 255, generator))
        cosine = embedding @ F.normalize(directions, dim=1).T
        loss = F.cross_entropy(cosine / training.temperature, identity[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
    return surrogate.eval().requires_grad_(False)


def _augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the batch, shift it by up to 4 pixels, and change its exposure slightly."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    exposure = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images.roll(shift, (2, 3)) * exposure).clamp(0, 1)


def measure_verification(surrogate: nn.Module, people: Tensor) -> dict[str, Any]:
    """Measure verification (same person or not) on every pair of images.

    ``data_prep.studies.transfer`` measures the effect of attacks.

    Args:
        surrogate: The trained network.
        people: uint8 captures of unseen identities, (identities, captures, 3, 96, 96).

    Returns:
        identities, pairs, AUC, equal error rate, and its threshold.
    """
    images = people.flatten(0, 1).float() / 255
    identity = torch.arange(len(people)).repeat_interleave(people.shape[1])
    with torch.no_grad():
        embeddings = torch.cat([surrogate(batch) for batch in images.split(64)])
    first, second = torch.triu_indices(len(images), len(images), 1)
    same = (identity[first] == identity[second]).numpy()
    cosine = (embeddings @ embeddings.T)[first, second].numpy()
    false_rate, true_rate, thresholds = roc_curve(same, cosine)
    at = int(np.argmin(np.abs(false_rate - (1 - true_rate))))
    return {
        "identities": len(people),
        "pairs": len(same),
        "auc": round(float(roc_auc_score(same, cosine)), 4),
        "eer": round(float((false_rate[at] + 1 - true_rate[at]) / 2), 4),
        "threshold": round(float(thresholds[at]), 4),
    }
