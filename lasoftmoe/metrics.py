"""Error rates of presentation attack detection, as ISO/IEC 30107-3 names them.

One convention holds everywhere: ``attack_score`` is higher for attacks, and an input is called an
attack where its score is at least the threshold. Rates are fractions, not percent.

====== ==========================================================================
APCER  share of attacks called live (per attack type; pooled over all attacks)
BPCER  share of live (bona fide) images called attacks
ACER   mean of APCER and BPCER
EER    the common value of APCER and BPCER where the two curves cross
====== ==========================================================================

The paper does not say whether its ACER pools all attacks or takes the worst type as the standard
asks, so a :class:`Report` carries both readings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Report:
    """The figures of one score list at one threshold; all rates are fractions.

    ``apcer_worst`` and ``acer_worst`` are ``None`` where attack types were not given.
    ``threshold_source`` says where the threshold came from; ``"own EER"`` means it was chosen on
    these very scores, which flatters them.
    """

    apcer: float
    bpcer: float
    acer: float
    acc: float
    auc: float
    eer: float
    threshold: float
    threshold_source: str
    tpr_at_1_percent_fpr: float
    n_live: int
    n_attack: int
    apcer_per_type: dict[str, float] = field(default_factory=dict)
    apcer_worst: float | None = None
    acer_worst: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, ready for JSON."""
        return asdict(self)

    def to_frame(self, name: str = "") -> pd.DataFrame:
        """One row of headline figures in percent, for tables that compare methods."""
        row = {
            "ACER": self.acer,
            "ACC": self.acc,
            "AUC": self.auc,
            "EER": self.eer,
            "APCER": self.apcer,
            "BPCER": self.bpcer,
            "ACER worst type": math.nan if self.acer_worst is None else self.acer_worst,
        }
        return pd.DataFrame({key: 100 * value for key, value in row.items()}, index=[name])

    def __str__(self) -> str:
        lines = [
            f"ACER  {self.acer:7.2%}   (APCER {self.apcer:.2%}, BPCER {self.bpcer:.2%})",
            f"ACC   {self.acc:7.2%}",
            f"AUC   {self.auc:7.2%}",
            f"EER   {self.eer:7.2%}",
            f"TPR   {self.tpr_at_1_percent_fpr:7.2%}   at 1% of live images rejected",
        ]
        if self.acer_worst is not None:
            worst = max(self.apcer_per_type, key=lambda name: self.apcer_per_type[name])
            lines.append(f"worst {self.apcer_worst:7.2%}   APCER, {worst}")
        lines.append(
            f"threshold {self.threshold:.4g} from {self.threshold_source}; "
            f"{self.n_live} live, {self.n_attack} attacks"
        )
        return "\n".join(lines)


def evaluate(
    attack_score: ArrayLike,
    is_attack: ArrayLike,
    threshold: float | None = None,
    attack_type: Sequence[str] | None = None,
    threshold_source: str | None = None,
) -> Report:
    """All figures of one score list.

    Args:
        attack_score: (n,) finite numbers, higher = more likely an attack.
        is_attack: (n,) booleans.
        threshold: score from which on an input is called an attack; ``None`` takes the EER
            threshold of these scores themselves.
        attack_type: (n,) words; entries of live images are ignored.
        threshold_source: what to write into the report; by default "given" or "own EER".

    Raises:
        ValueError: empty input, one class only, scores that are not finite, lengths that differ.
    """
    scores, attacks = _check(attack_score, is_attack)
    if threshold is None:
        threshold, threshold_source = eer_threshold(scores, attacks), threshold_source or "own EER"
    elif math.isnan(threshold):
        raise ValueError("threshold is NaN; give a number, or None for the EER threshold")
    called_attack = scores >= threshold
    pooled = float(np.mean(~called_attack[attacks]))
    bpcer = float(np.mean(called_attack[~attacks]))
    per_type = _apcer_per_type(called_attack, attacks, attack_type)
    worst = max(per_type.values()) if per_type else None
    return Report(
        apcer=pooled,
        bpcer=bpcer,
        acer=(pooled + bpcer) / 2,
        acc=float(np.mean(called_attack == attacks)),
        auc=auc(scores, attacks),
        eer=eer(scores, attacks),
        threshold=float(threshold),
        threshold_source=threshold_source or "given",
        tpr_at_1_percent_fpr=tpr_at_fpr(scores, attacks, 0.01),
        n_live=int((~attacks).sum()),
        n_attack=int(attacks.sum()),
        apcer_per_type=per_type,
        apcer_worst=worst,
        acer_worst=None if worst is None else (worst + bpcer) / 2,
    )


def auc(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Chance that a random attack scores above a random live image; a tie counts one half."""
    scores, attacks = _check(attack_score, is_attack)
    live = np.sort(scores[~attacks])
    below = np.searchsorted(live, scores[attacks], side="left")
    not_above = np.searchsorted(live, scores[attacks], side="right")
    return float((below + not_above).mean() / (2 * len(live)))


def eer(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Equal error rate: where APCER meets BPCER on the ROC curve.

    The curve is the polygon through all operating points, so between two neighboring points both
    rates are interpolated linearly. Constant scores give 0.5.
    """
    _, apcer, bpcer = operating_points(attack_score, is_attack)
    gap = apcer - bpcer  # rises strictly from -1 (everything an attack) to 1 (everything live)
    after = int(np.argmax(gap >= 0))
    step = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(apcer[after - 1] + step * (apcer[after] - apcer[after - 1]))


def eer_threshold(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """The threshold at which APCER and BPCER are closest.

    Every threshold between two neighboring scores decides alike; their midpoint is returned, as it
    leaves most room on both sides for scores not seen yet. Where two thresholds leave the same
    gap between the rates, the one with the smaller ACER wins, then the lower one (it lets fewer
    attacks pass).
    """
    thresholds, apcer, bpcer = operating_points(attack_score, is_attack)
    # Rounding hides noise of 1e-17 that would otherwise decide between equal candidates.
    gap, total = np.round(np.abs(apcer - bpcer), 12), np.round(apcer + bpcer, 12)
    return float(thresholds[np.lexsort((thresholds, total, gap))[0]])


def tpr_at_fpr(attack_score: ArrayLike, is_attack: ArrayLike, fpr: float = 0.01) -> float:
    """Share of attacks caught at the last operating point that rejects at most ``fpr`` of live."""
    if not 0 <= fpr <= 1:
        raise ValueError(f"fpr is a fraction between 0 and 1, got {fpr}")
    _, apcer, bpcer = operating_points(attack_score, is_attack)
    return float(1 - apcer[bpcer <= fpr].min())


def operating_points(
    attack_score: ArrayLike, is_attack: ArrayLike
) -> tuple[Scores, Scores, Scores]:
    """Every distinct decision that a threshold can make: thresholds, APCER and BPCER, each (k,).

    Thresholds rise. The first calls everything an attack, the last calls everything live, the
    ones between lie midway between neighboring distinct scores.
    """
    scores, attacks = _check(attack_score, is_attack)
    values = np.unique(scores)
    low, high = values[:-1], values[1:]
    middle = low / 2 + high / 2
    middle = np.where((low < middle) & (middle < high), middle, high)  # neighboring floats
    thresholds = np.concatenate([values[:1], middle, [np.nextafter(values[-1], np.inf)]])
    attack_scores, live_scores = np.sort(scores[attacks]), np.sort(scores[~attacks])
    apcer = np.searchsorted(attack_scores, thresholds, side="left") / len(attack_scores)
    bpcer = 1 - np.searchsorted(live_scores, thresholds, side="left") / len(live_scores)
    return thresholds, apcer, bpcer


def _apcer_per_type(
    called_attack: Flags, attacks: Flags, attack_type: Sequence[str] | None
) -> dict[str, float]:
    if attack_type is None:
        return {}
    types = np.asarray(attack_type, dtype=object)
    if types.shape != attacks.shape:
        raise ValueError(f"attack_type has {types.size} entries for {attacks.size} scores")
    names = sorted({str(name) for name in types[attacks]})
    if "live" in names:
        row = int(np.flatnonzero(attacks & (types == "live"))[0])
        raise ValueError(f"row {row} is marked as an attack but its attack_type is 'live'")
    return {name: float(np.mean(~called_attack[attacks & (types == name)])) for name in names}


def _check(attack_score: ArrayLike, is_attack: ArrayLike) -> tuple[Scores, Flags]:
    """Both columns as arrays of the right type, or an error that says what is wrong with them."""
    scores, flags = np.asarray(attack_score), np.asarray(is_attack)
    if scores.ndim != 1 or flags.shape != scores.shape:
        raise ValueError(
            f"attack_score and is_attack must be two columns of one length, got shapes "
            f"{scores.shape} and {flags.shape}"
        )
    if scores.size == 0:
        raise ValueError("no scores: at least one live image and one attack are needed")
    if flags.dtype != bool:
        if flags.dtype.kind not in "iuf" or not np.isin(flags, (0, 1)).all():
            raise ValueError(
                f"is_attack must hold booleans, got {flags.dtype} such as {flags[0]!r}; "
                "from labels: is_attack = label == 'fake'"
            )
        flags = flags.astype(bool)
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"attack_score[{row}] is {scores[row]}; every score must be finite")
    if flags.all() or not flags.any():
        found = "attacks" if flags.all() else "live images"
        raise ValueError(f"only {found} among {flags.size} scores; both classes are needed")
    return scores, flags
