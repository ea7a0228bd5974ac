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

What every function here does at the edges: equal scores are decided alike, and count one half in
the AUC; constant scores have AUC and EER 0.5. An empty list, one class only and scores that are NaN
or infinite are refused, since no rate of them would mean anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lasoftmoe.metrics.ranking import Ranking, above, at_least, midway
from lasoftmoe.metrics.report import UNSTATED, Report

Scores = NDArray[np.float32] | NDArray[np.float64]
Flags = NDArray[np.bool_]


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
        threshold_source: what to write into the report, such as "dev EER"; by default "own EER"
            or, for a threshold whose origin is not stated, "given".

    Raises:
        ValueError: empty input, one class only, scores that are not finite, lengths that differ,
            an attack without a type.
    """
    scores, attacks = _check(attack_score, is_attack)
    ranking = Ranking(scores, attacks)
    source = threshold_source
    if threshold is None:
        threshold, default = _eer_threshold(ranking), "own EER"
    elif math.isnan(threshold):
        raise ValueError("threshold is NaN; give a number, or None for the EER threshold")
    else:
        default = UNSTATED
    called_attack = at_least(scores, float(threshold))
    caught = int(np.count_nonzero(called_attack & attacks))
    rejected = int(np.count_nonzero(called_attack)) - caught
    pooled = (ranking.n_attack - caught) / ranking.n_attack
    bpcer = rejected / ranking.n_live
    per_type = _apcer_per_type(called_attack, attacks, attack_type)
    worst = max(per_type.values()) if per_type else None
    return Report(
        apcer=pooled,
        bpcer=bpcer,
        acer=(pooled + bpcer) / 2,
        acc=(caught + ranking.n_live - rejected) / scores.size,
        auc=ranking.auc(),
        eer=_eer(ranking),
        threshold=float(threshold),
        threshold_source=default if source is None else source,
        tpr_at_1_percent_fpr=_tpr(ranking, _cut_at_bpcer(ranking, 0.01)),
        n_live=ranking.n_live,
        n_attack=ranking.n_attack,
        apcer_per_type=per_type,
        apcer_worst=worst,
        acer_worst=None if worst is None else (worst + bpcer) / 2,
    )


def auc(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Chance that a random attack scores above a random live image; a tie counts one half."""
    return Ranking(*_check(attack_score, is_attack)).auc()


def eer(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Equal error rate: where APCER meets BPCER on the ROC curve.

    The curve is the polygon through all operating points, so between two neighboring points both
    rates are interpolated linearly. Constant scores give 0.5.
    """
    return _eer(Ranking(*_check(attack_score, is_attack)))


def eer_threshold(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """The threshold at which APCER and BPCER are closest.

    Every threshold between two neighboring scores decides alike; their midpoint is returned, as it
    leaves most room on both sides for scores not seen yet. Where two thresholds leave the same
    gap between the rates, the one with the smaller ACER wins, then the lower one (it lets fewer
    attacks pass).
    """
    return _eer_threshold(Ranking(*_check(attack_score, is_attack)))


def threshold_at_bpcer(attack_score: ArrayLike, is_attack: ArrayLike, bpcer: float = 0.01) -> float:
    """The lowest threshold, midway between scores, that rejects at most ``bpcer`` of live images.

    Of all thresholds that keep the promise to live users it is the one that catches most attacks.
    """
    ranking = Ranking(*_check(attack_score, is_attack))
    return ranking.threshold(_cut_at_bpcer(ranking, bpcer))


def tpr_at_fpr(attack_score: ArrayLike, is_attack: ArrayLike, fpr: float = 0.01) -> float:
    """Share of attacks caught at the last operating point that rejects at most ``fpr`` of live.

    No interpolation: with fewer than 1 / ``fpr`` live images none of them may be rejected.
    """
    ranking = Ranking(*_check(attack_score, is_attack))
    return _tpr(ranking, _cut_at_bpcer(ranking, fpr))


def operating_points(
    attack_score: ArrayLike, is_attack: ArrayLike
) -> tuple[Scores, NDArray[np.float64], NDArray[np.float64]]:
    """Every distinct decision that a threshold can make: thresholds, APCER and BPCER, each (k,).

    Thresholds rise. The first calls everything an attack, the last calls everything live, the
    ones between lie midway between neighboring distinct scores.
    """
    scores, attacks = _check(attack_score, is_attack)
    values = np.unique(scores)
    inner = midway(values[:-1], values[1:])
    thresholds = np.concatenate([values[:1], inner, [above(values[-1])]])
    attack_scores, live_scores = np.sort(scores[attacks]), np.sort(scores[~attacks])
    apcer = np.searchsorted(attack_scores, thresholds, side="left") / len(attack_scores)
    bpcer = 1 - np.searchsorted(live_scores, thresholds, side="left") / len(live_scores)
    return thresholds, apcer, bpcer


def per_video(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a video, with the mean attack score of its images.

    Args:
        scores: as ``lasoftmoe.evaluation.score`` gives them, with a column ``video`` of words that
            name a video of the whole dataset. An image whose ``video`` is empty stands for itself.

    Returns:
        id (the video, or the image without one), attack_score, is_attack, attack_type, subject,
        images (how many), and split where the scores have it; in order of first appearance.

    Raises:
        ValueError: no column video; the images of a video differ in class, type, subject or split.
    """
    if "video" not in scores:
        raise ValueError("the scores have no column 'video': the dataset's manifest lacks it")
    facts = [c for c in ("split", "is_attack", "attack_type", "subject") if c in scores]
    alone = scores["video"].isna() | (scores["video"] == "")
    # In two parts, lest the id of an image be the name of a video.
    keys = [alone.rename("alone"), scores["video"].where(~alone, scores["id"]).rename("id")]
    groups = scores.groupby(keys, sort=False)
    mixed = groups[facts].nunique(dropna=False).gt(1)
    if mixed.to_numpy().any():
        row, column = np.argwhere(mixed.to_numpy())[0]
        raise ValueError(
            f"the images of video {mixed.index[row][1]!r} differ in {facts[column]}; "
            "a video must be named alike only within one subject, type and split"
        )
    table = (
        groups[facts]
        .first()
        .assign(attack_score=groups["attack_score"].mean(), images=groups.size())
    )
    table = table.reset_index("alone", drop=True).reset_index()
    order = ["split"] * ("split" in facts) + ["id", "attack_score", *facts, "images"]
    return table[list(dict.fromkeys(order))]


def _eer(ranking: Ranking) -> float:
    high = _crossing(ranking)
    low = ranking.previous_cut(high)
    gap_low, gap_high = _gap(ranking, low), _gap(ranking, high)
    missed_low, missed_high = ranking.below(low)[0], ranking.below(high)[0]
    step = -gap_low / (gap_high - gap_low)
    return (missed_low + step * (missed_high - missed_low)) / ranking.n_attack


def _eer_threshold(ranking: Ranking) -> float:
    high = _crossing(ranking)
    low = ranking.previous_cut(high)

    def errors(cut: int) -> int:  # proportional to APCER + BPCER
        missed, accepted = ranking.below(cut)
        return missed * ranking.n_live + (ranking.n_live - accepted) * ranking.n_attack

    return ranking.threshold(
        min((low, high), key=lambda cut: (abs(_gap(ranking, cut)), errors(cut), cut))
    )


def _crossing(ranking: Ranking) -> int:
    """The lowest cut with APCER >= BPCER; never cut 0, where they are 0 and 1."""
    pairs = ranking.n_attack * ranking.n_live
    return ranking.first_cut(
        lambda missed, accepted: missed * ranking.n_live + accepted * ranking.n_attack >= pairs
    )


def _gap(ranking: Ranking, cut: int) -> int:
    """APCER - BPCER times the number of pairs: whole numbers compare without rounding."""
    missed, accepted = ranking.below(cut)
    return missed * ranking.n_live - (ranking.n_live - accepted) * ranking.n_attack


def _cut_at_bpcer(ranking: Ranking, bpcer: float) -> int:
    if not 0 <= bpcer <= 1:
        raise ValueError(f"fpr or bpcer is a fraction between 0 and 1, got {bpcer}")
    allowed = math.floor(bpcer * ranking.n_live + 1e-9)  # 0.29 x 100 is 28.999999999999996
    return ranking.first_cut(lambda _, accepted: ranking.n_live - accepted <= allowed)


def _tpr(ranking: Ranking, cut: int) -> float:
    return (ranking.n_attack - ranking.below(cut)[0]) / ranking.n_attack


def _apcer_per_type(
    called_attack: Flags, attacks: Flags, attack_type: Sequence[str] | None
) -> dict[str, float]:
    if attack_type is None:
        return {}
    types = pd.Series(attack_type).to_numpy() if len(attack_type) else np.array([])
    if types.shape != attacks.shape:
        raise ValueError(f"attack_type has {types.size} entries for {attacks.size} scores")
    codes, names = pd.factorize(types[attacks], sort=False)
    for code, what in [(-1, "missing"), *((i, "'live'") for i in np.flatnonzero(names == "live"))]:
        if (codes == code).any():
            row = int(np.flatnonzero(attacks)[np.argmax(codes == code)])
            raise ValueError(f"row {row} is marked as an attack but its attack_type is {what}")
    missed = np.bincount(codes, weights=~called_attack[attacks])
    rates = dict(zip(map(str, names), (missed / np.bincount(codes)).tolist(), strict=True))
    return {name: rates[name] for name in sorted(rates)}


def _check(attack_score: ArrayLike, is_attack: ArrayLike) -> tuple[Scores, Flags]:
    """Both columns as arrays of the right type, or an error that says what is wrong with them.

    Single precision stays what it is, everything else becomes double precision.
    """
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
    if scores.dtype.kind not in "biufO":
        raise ValueError(f"attack_score must hold numbers, got {scores.dtype}")
    scores = scores.astype(np.float32 if scores.dtype == np.float32 else np.float64, copy=False)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"attack_score[{row}] is {scores[row]}; every score must be finite")
    if flags.all() or not flags.any():
        found = "attacks" if flags.all() else "live images"
        raise ValueError(f"only {found} among {flags.size} scores; both classes are needed")
    return scores, flags
