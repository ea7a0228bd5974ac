"""Error rates of presentation attack detection, named as in ISO/IEC 30107-3.

One convention holds everywhere: ``attack_score`` is higher for attacks, and an image is called an
attack if its score is at least the threshold. Rates are fractions, not percent.

====== ==========================================================================
APCER  share of attacks called live (for each attack type, or pooled over all)
BPCER  share of live (bona fide) images called attacks
ACER   mean of APCER and BPCER
EER    the common value of APCER and BPCER where the two curves cross
====== ==========================================================================

The paper does not say whether its ACER pools all attacks or takes the worst type, as the standard
requires. A :class:`Report` therefore has both.

Equal scores are decided alike and count one half in the AUC. Constant scores have AUC and EER 0.5.
Empty lists, lists with one class only, and scores that are not finite are refused because no rate
of them would mean anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lasoftmoe.metrics.columns import Flags, Scores, finite_scores, score_columns
from lasoftmoe.metrics.ranking import Ranking, at_least
from lasoftmoe.metrics.report import UNSTATED, Report


def evaluate(
    attack_score: ArrayLike,
    is_attack: ArrayLike,
    threshold: float | None = None,
    attack_type: Sequence[str] | None = None,
    threshold_source: str | None = None,
) -> Report:
    """Compute all results of one list of scores.

    Args:
        attack_score: Finite numbers (n,), higher for attacks. Like ``is_attack``, an array, a
            column, a list, or a tensor of any floating type.
        is_attack: Booleans (n,).
        threshold: Score at or above which an image is called an attack. ``None`` means the EER
            threshold of these very scores.
        attack_type: Strings (n,); ignored for live images.
        threshold_source: Where the threshold comes from, such as "dev EER". By default, "own EER"
            without a threshold and "given" with one.

    Raises:
        ValueError: If the input is empty or has one class only, a score is not finite, lengths
            differ, or an attack has no type.
    """
    scores, attacks = score_columns(attack_score, is_attack)
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
    """Return the chance that a random attack scores above a random live image.

    A tie counts one half.
    """
    return Ranking(*score_columns(attack_score, is_attack)).auc()


def eer(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Return the equal error rate, at which APCER meets BPCER on the ROC curve.

    The curve is the polygon through all operating points, so both rates are interpolated linearly
    between two neighboring points. Constant scores give 0.5.
    """
    return _eer(Ranking(*score_columns(attack_score, is_attack)))


def eer_threshold(attack_score: ArrayLike, is_attack: ArrayLike) -> float:
    """Return the threshold at which APCER and BPCER are closest.

    All thresholds between two neighboring scores decide alike. Their midpoint leaves the most room
    on both sides for new scores. If two thresholds have equal gaps between the rates, the one with
    the smaller ACER wins, then the lower one, which lets fewer attacks pass.
    """
    return _eer_threshold(Ranking(*score_columns(attack_score, is_attack)))


def threshold_at_bpcer(attack_score: ArrayLike, is_attack: ArrayLike, bpcer: float = 0.01) -> float:
    """Return the lowest threshold, midway between scores, with a BPCER of at most ``bpcer``.

    Of all thresholds that keep this promise to live users, it catches the most attacks.
    """
    ranking = Ranking(*score_columns(attack_score, is_attack))
    return float(ranking.thresholds()[_cut_at_bpcer(ranking, bpcer)])


def tpr_at_fpr(attack_score: ArrayLike, is_attack: ArrayLike, fpr: float = 0.01) -> float:
    """Return the share of attacks caught when at most ``fpr`` of live images are rejected.

    Nothing is interpolated. With fewer than 1 / ``fpr`` live images, none may be rejected.
    """
    ranking = Ranking(*score_columns(attack_score, is_attack))
    return _tpr(ranking, _cut_at_bpcer(ranking, fpr))


def operating_points(
    attack_score: ArrayLike, is_attack: ArrayLike
) -> tuple[Scores, NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds, APCER, and BPCER, each (k + 1,), for all decisions on k distinct scores.

    Thresholds rise. The first calls everything an attack, the last calls everything live, and the
    others are midway between neighboring scores.
    """
    ranking = Ranking(*score_columns(attack_score, is_attack))
    apcer = ranking.missed / ranking.n_attack
    bpcer = 1 - ranking.accepted / ranking.n_live
    return ranking.thresholds(), apcer, bpcer


def per_video(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the attack scores of each video's images.

    Args:
        scores: Table of ``lasoftmoe.evaluation.score`` with a column ``video`` of names, unique in
            the dataset. An image without a video counts as a video of its own.

    Returns:
        One row per video in order of first appearance: id (of the video, or of an image without
        one), attack_score, is_attack, attack_type, subject, images (their number), and split if
        the scores have it.

    Raises:
        ValueError: If there is no column video, a score is not finite, or the images of a video
            differ in class, type, subject, or split.
    """
    if "video" not in scores:
        raise ValueError("the scores have no column 'video': the dataset's manifest lacks it")
    finite = finite_scores(scores["attack_score"], ids=scores["id"].tolist())
    scores = scores.assign(attack_score=finite)
    facts = [c for c in ("split", "is_attack", "attack_type", "subject") if c in scores]
    alone = scores["video"].isna() | (scores["video"] == "")
    # Two keys, because an image id may equal a video name.
    keys = [alone.rename("alone"), scores["video"].where(~alone, scores["id"]).rename("id")]
    groups = scores.groupby(keys, sort=False)
    mixed = groups[facts].nunique(dropna=False).gt(1)
    if mixed.to_numpy().any():
        row, column = np.argwhere(mixed.to_numpy())[0]
        raise ValueError(
            f"the images of video {mixed.index[row][1]!r} differ in {facts[column]}; "
            "give videos of different subjects, types, or splits different names"
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
    gaps, high = _gaps(ranking), _crossing(ranking)
    low = high - 1
    step = -gaps[low] / (gaps[high] - gaps[low])
    missed = ranking.missed[low] + step * (ranking.missed[high] - ranking.missed[low])
    return float(missed / ranking.n_attack)


def _eer_threshold(ranking: Ranking) -> float:
    gaps, high = np.abs(_gaps(ranking)), _crossing(ranking)
    rejected = ranking.n_live - ranking.accepted
    errors = ranking.missed * ranking.n_live + rejected * ranking.n_attack  # as APCER + BPCER
    cut = min((high - 1, high), key=lambda cut: (gaps[cut], errors[cut], cut))
    return float(ranking.thresholds()[cut])


def _gaps(ranking: Ranking) -> NDArray[np.int64]:
    """Return APCER - BPCER at each cut times the number of pairs; integers compare exactly."""
    rejected = ranking.n_live - ranking.accepted
    return ranking.missed * ranking.n_live - rejected * ranking.n_attack


def _crossing(ranking: Ranking) -> int:
    """Return the lowest cut with APCER >= BPCER; never cut 0, at which they are 0 and 1."""
    return int(np.argmax(_gaps(ranking) >= 0))


def _cut_at_bpcer(ranking: Ranking, bpcer: float) -> int:
    if not 0 <= bpcer <= 1:
        raise ValueError(f"fpr or bpcer is a fraction between 0 and 1, got {bpcer}")
    allowed = math.floor(bpcer * ranking.n_live + 1e-9)  # 0.29 x 100 is 28.999999999999996
    return int(np.argmax(ranking.n_live - ranking.accepted <= allowed))


def _tpr(ranking: Ranking, cut: int) -> float:
    return float((ranking.n_attack - ranking.missed[cut]) / ranking.n_attack)


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
