"""Scores of a dataset and their error rates; the threshold always comes from dev."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch

from lasoftmoe import metrics
from lasoftmoe.data import Faces, batches
from lasoftmoe.detector import Detector
from lasoftmoe.metrics import Report
from lasoftmoe.progress import progress_bar

FACTS = ("id", "is_attack", "attack_type", "family", "subject")
DEV_EER = "dev EER"
DEV_BPCER = "dev BPCER 1%"
# Name in reports -> function from dev's scores and classes to a threshold.
THRESHOLDS = {DEV_EER: metrics.eer_threshold, DEV_BPCER: metrics.threshold_at_bpcer}


@dataclass(frozen=True)
class Evaluation:
    """Reports on dev and test at one threshold, and their scores.

    ``scores`` has the columns of :func:`score` after a column split.
    """

    dev: Report
    test: Report
    scores: pd.DataFrame


@torch.no_grad()
def score(
    detector: Detector, dataset: Faces, batch_size: int = 128, progress: bool = True
) -> pd.DataFrame:
    """Score every image, in the dataset's order.

    Returns:
        Columns id, attack_score (higher = more likely an attack), is_attack, attack_type, family,
        subject, and, if the manifest has it, video (see ``lasoftmoe.metrics.per_video``).

    Raises:
        ValueError: If a score is not finite.
    """
    device = next(detector.parameters()).device
    was_training = detector.training
    detector.eval()
    loader = batches(dataset, batch_size)
    bar = progress_bar(loader, desc=f"score {dataset.split}", leave=False, disable=not progress)
    scores = torch.cat([detector.attack_score(b["image"].to(device)).float().cpu() for b in bar])
    detector.train(was_training)
    facts = [*FACTS, *({"video"} & set(dataset.table))]
    table = dataset.table[facts].copy()
    table.insert(1, "attack_score", scores.double().numpy())
    broken = table.loc[~torch.isfinite(scores).numpy(), "id"]
    if len(broken):
        raise ValueError(
            f"{len(broken)} of {len(table)} scores are not finite, the first for image "
            f"{broken.iloc[0]!r}; the detector's weights have probably diverged"
        )
    return table


def report_scores(
    scores: pd.DataFrame, threshold: float | None, source: str | None = None
) -> Report:
    """Return the metrics of a table that ``score`` returned."""
    return metrics.evaluate(
        scores["attack_score"], scores["is_attack"], threshold, scores["attack_type"], source
    )


def evaluate_detector(
    detector: Detector,
    dev: Faces,
    test: Faces,
    batch_size: int = 128,
    progress: bool = True,
) -> Evaluation:
    """Choose the threshold at dev's equal error rate, then report dev and test with it."""
    parts = {
        "dev": score(detector, dev, batch_size, progress),
        "test": score(detector, test, batch_size, progress),
    }
    scores = pd.concat([t.assign(split=split) for split, t in parts.items()], ignore_index=True)
    return from_scores(scores[["split", *parts["dev"].columns]])


def from_scores(scores: pd.DataFrame, source: str = DEV_EER) -> Evaluation:
    """Recompute an evaluation from stored scores, to check a run's results later.

    Args:
        scores: See :class:`Evaluation`.
        source: Which threshold of dev, ``DEV_EER`` or ``DEV_BPCER``.

    Raises:
        ValueError: If ``source`` is neither.
    """
    if source not in THRESHOLDS:
        raise ValueError(f"no rule for a threshold from {source!r}; known: {list(THRESHOLDS)}")
    dev, test = (scores[scores["split"] == split] for split in ("dev", "test"))
    threshold = THRESHOLDS[source](dev["attack_score"], dev["is_attack"])
    return Evaluation(
        report_scores(dev, threshold, source), report_scores(test, threshold, source), scores
    )
