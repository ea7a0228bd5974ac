"""Visibility of each attack at each strength, as the AUC of a probe.

The probe is gradient boosting on the 72 fine-texture features of ``data_prep.inspection.probes``.
For each type, it is trained on some people at all strengths and tested on others at each strength.
None of them is in the dataset, so its test split does not influence the choice of strengths.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from torch import Tensor

from data_prep.building.parallel import run_units
from data_prep.inspection.probes import energy
from data_prep.provenance import Origin
from data_prep.studies.pictures import Person
from data_prep.synthetic.camera import to_bytes
from data_prep.taxonomy import ATTACK_TYPES

SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Strengths to measure, as multiples of the taxonomy's ..."""
SHARES_OF = {"mask": (0.125, 0.25, 0.5, 0.75, 1.0)}
"""... unless the taxonomy's is already the largest meaningful one."""
LIVE_CAPTURES = 3


@dataclass(frozen=True)
class StrengthCurves:
    """Table with one row per type and strength (strength, shipped, auc), and its ``origin``."""

    table: pd.DataFrame
    origin: dict[str, Any]

    def to_text(self) -> str:
        """Format AUC in percent at each strength, one line per type; a star marks the dataset's."""
        lines = ["AUC of the texture probe in %, at each strength (* shipped):"]
        for name, rows in self.table.groupby("type", sort=False):
            cells = [
                f"{100 * row.auc:5.1f} at {row.strength:.3g}{'*' if row.shipped else ''}"
                for row in rows.itertuples()
            ]
            lines.append(f"{name:13s} " + "  ".join(f"{cell:15s}" for cell in cells))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        rows = self.table.to_dict("records")
        return {
            **self.origin,
            "title": "AUC of a texture probe over the strength of each attack",
            "curves": rows,
        }


def measure_strengths(
    command: str,
    people: int = 60,
    read: int = 40,
    seed: int = 0,
    workers: int | None = None,
    types: tuple[str, ...] = tuple(ATTACK_TYPES),
) -> StrengthCurves:
    """Measure every type and strength, training on ``people`` people and testing on ``read``.

    Raises:
        ValueError: If either number is less than 2.
    """
    if min(people, read) < 2:
        raise ValueError(f"{people} people to learn on, {read} to read on; expected 2 or more")
    started, clock = time.process_time(), time.perf_counter()
    shoot = functools.partial(_person_features, seed=seed, types=types)
    drawn = run_units(shoot, range(people + read), workers, "people")
    live = np.stack([person["live"] for person in drawn])
    rows = []
    for name in types:
        aucs = _aucs(live, np.stack([person[name] for person in drawn]), people, seed)
        shipped = ATTACK_TYPES[name].strength
        rows += [
            {
                "type": name,
                "strength": round(strength, 6),
                "shipped": strength == shipped,
                "auc": round(auc, 4),
            }
            for strength, auc in zip(strengths_of(name), aucs, strict=True)
        ]
    drawing = sum(float(person["cpu_seconds"]) for person in drawn)
    seconds = round(time.process_time() - started + drawing)
    facts = Origin.now(command).to_dict() | {"seed": seed, "cpu_seconds": seconds}
    facts |= {"wall_seconds": round(time.perf_counter() - clock), "people": people, "read": read}
    return StrengthCurves(pd.DataFrame(rows), facts)


def strengths_of(name: str) -> list[float]:
    """Return the strengths to measure for a type, including the dataset's."""
    return [share * ATTACK_TYPES[name].strength for share in SHARES_OF.get(name, SHARES)]


def _person_features(number: int, seed: int, types: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Texture of live captures, (LIVE_CAPTURES, 72), and of each attack, (strengths, 72)."""
    started = time.process_time()
    person = Person(number, seed)
    features = {"live": _features([person.live(index) for index in range(LIVE_CAPTURES)])}
    for name in types:
        pictures = [person.attacked(name, strength) for strength in strengths_of(name)]
        features[name] = _features(pictures)
    features["cpu_seconds"] = np.array(time.process_time() - started)
    return features


def _features(images: list[Tensor]) -> np.ndarray:
    pictures = [to_bytes(image[0]).permute(1, 2, 0).numpy() for image in images]
    return energy(np.stack(pictures))


def _aucs(live: np.ndarray, fake: np.ndarray, people: int, seed: int) -> list[float]:
    """Train on the first ``people``, test on the others; arrays are (people, images, 72)."""
    learned = np.concatenate([live[:people].reshape(-1, 72), fake[:people].reshape(-1, 72)])
    is_fake = np.repeat([False, True], [live[:people, :, 0].size, fake[:people, :, 0].size])
    probe = HistGradientBoostingClassifier(max_iter=60, max_depth=4, random_state=seed)
    probe.fit(learned, is_fake)
    live_score = probe.predict_proba(live[people:].reshape(-1, 72))[:, 1]
    aucs = []
    for at_strength in fake[people:].transpose(1, 0, 2):
        score = probe.predict_proba(at_strength)[:, 1]
        truth = np.repeat([False, True], [len(live_score), len(score)])
        aucs.append(float(roc_auc_score(truth, np.concatenate([live_score, score]))))
    return aucs
