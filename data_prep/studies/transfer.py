"""Success of each adversarial attack against the surrogate and against another recognizer.

Attacks are computed on the surrogate. An attack dodges a recognizer that accepted the person before
(the image is closer to another capture of the person than the threshold at the equal error rate)
and rejects the person afterwards. Neither network was trained on these people.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn
from tqdm import tqdm

from data_prep.provenance import Origin
from data_prep.seeds import derive_seed
from data_prep.studies.second_recognizer import load_second_recognizer
from data_prep.synthetic.attacks.adversarial import ADVERSARIAL, adversarial_attack
from data_prep.synthetic.attacks.draw import draw_strength
from data_prep.synthetic.attacks.surrogate import load_surrogate
from data_prep.synthetic.camera import capture
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import render
from data_prep.taxonomy import attack_type

NOISE = "sign noise"
"""Baseline: noise of random signs, as large as FGSM."""
_BATCH = 32


@dataclass(frozen=True)
class Transfer:
    """Success by network and attack, and each network's verification results."""

    attacks: pd.DataFrame
    networks: pd.DataFrame
    origin: dict[str, Any]

    def to_text(self) -> str:
        """Format success in percent, one row per attack, one column per network."""
        rates = 100 * self.attacks.pivot(index="attack", columns="network", values="success")
        order = list(dict.fromkeys(self.attacks["attack"]))
        rates = rates.loc[order, list(self.networks["network"])]
        strengths = self.attacks.groupby("attack")["strength"].first()[order]
        rates.insert(0, "strength", strengths.map("{:g}".format))
        networks = self.networks.to_string(index=False)
        return f"{networks}\n\nAccepted people who are rejected after the attack, in %:\n" + (
            rates.rename_axis(index=None, columns=None).to_string(float_format="%.1f")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            **self.origin,
            "title": "Success of the adversarial attacks and transfer to a second network",
            "networks": self.networks.to_dict("records"),
            "attacks": self.attacks.to_dict("records"),
        }


def measure_transfer(
    command: str,
    people: int = 60,
    captures: int = 4,
    seed: int = 0,
    attacks: Sequence[str] = (NOISE, *ADVERSARIAL),
) -> Transfer:
    """Attack new people on the surrogate and test both recognizers.

    Raises:
        ValueError: If there are fewer than 2 people or captures, or weights are missing.
    """
    if min(people, captures) < 2:
        raise ValueError(f"{people} people with {captures} captures; expected 2 or more of each")
    started = time.process_time()
    networks = {"surrogate": load_surrogate(), "second": load_second_recognizer()}
    images = _captures(people, captures, seed)
    person = torch.arange(people).repeat_interleave(captures)
    clean = {name: _embed(network, images) for name, network in networks.items()}
    checks = {name: verification(embeddings, person) for name, embeddings in clean.items()}
    rows = []
    for attack in attacks:
        attacked = _attack(attack, images, networks["surrogate"], seed)
        for name, network in networks.items():
            after = _embed(network, attacked)
            effect = dodging(clean[name], after, captures, checks[name]["threshold"])
            rows.append(
                {"attack": attack, "network": name, "strength": _strength(attack), **effect}
            )
    table = pd.DataFrame([{"network": name, **results} for name, results in checks.items()])
    seconds = round(time.process_time() - started)
    facts = Origin.now(command).to_dict() | {"seed": seed, "cpu_seconds": seconds}
    return Transfer(pd.DataFrame(rows), table, facts | {"people": people, "captures": captures})


def verification(embeddings: Tensor, person: Tensor) -> dict[str, float]:
    """Return AUC, equal error rate, and its threshold over all pairs of images."""
    first, second = torch.triu_indices(len(embeddings), len(embeddings), 1)
    same = (person[first] == person[second]).numpy()
    cosine = (embeddings @ embeddings.T)[first, second].numpy()
    false_rate, true_rate, thresholds = roc_curve(same, cosine)
    at = int(np.argmin(np.abs(false_rate - (1 - true_rate))))
    return {
        "pairs": len(same),
        "auc": round(float(roc_auc_score(same, cosine)), 4),
        "eer": round(float((false_rate[at] + 1 - true_rate[at]) / 2), 4),
        "threshold": round(float(thresholds[at]), 4),
    }


def dodging(clean: Tensor, attacked: Tensor, captures: int, threshold: float) -> dict[str, float]:
    """Measure how often an accepted person is rejected after the attack.

    Args:
        clean: Unit embeddings, (people * captures, dim), grouped by person.
        attacked: Embeddings of the attacked images.
        captures: Images per person; each is compared with the person's next one.
        threshold: The smallest accepted cosine.

    Returns:
        ``accepted``: number of images accepted before the attack; ``success``: share of these
        rejected after it; ``cosine_before`` and ``cosine_after``: means over all images.
    """
    shape = (-1, captures, clean.shape[1])
    other = clean.reshape(shape).roll(-1, dims=1).reshape(clean.shape)
    before, after = (clean * other).sum(1), (attacked * other).sum(1)
    accepted = before >= threshold
    return {
        "accepted": int(accepted.sum()),
        "success": round(float((after[accepted] < threshold).float().mean()), 4),
        "cosine_before": round(float(before.mean()), 4),
        "cosine_after": round(float(after.mean()), 4),
    }


def _captures(people: int, captures: int, seed: int) -> Tensor:
    """Draw images of new people, (people * captures, 3, 96, 96)."""
    pictures = []
    for number in tqdm(range(people), desc="people", unit="person"):
        identity = sample_identities(1, derive_seed("transfer", seed), number)
        sessions = sample_sessions(captures, derive_seed("transfer session", seed, number))
        pictures.append(capture(render(identity.repeat(captures), sessions).radiance, sessions))
    return torch.cat(pictures)


def _attack(name: str, images: Tensor, surrogate: nn.Module, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed("transfer attack", name, seed))
    attacked = []
    for batch in tqdm(images.split(_BATCH), desc=name, unit="batch"):
        if name == NOISE:
            limit = draw_strength("fgsm", len(batch), generator) / 255
            noise = torch.randn(batch.shape, generator=generator).sign()
            attacked.append((batch + limit * noise).clamp(0, 1))
        else:
            attacked.append(adversarial_attack(name, batch, surrogate, generator))
    return torch.cat(attacked)


def _strength(attack: str) -> float:
    return attack_type("fgsm" if attack == NOISE else attack).strength


def _embed(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(batch) for batch in images.split(_BATCH)])
