"""Error counts at every threshold, from one sort of the scores.

A *cut* is a place between two different scores, or at either end of the list. Images below it are
called live, all others attacks. Cut 0 calls everything an attack and the last cut everything live.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ranking:
    """What each cut decides, for a list of k distinct scores.

    Attributes:
        values: the distinct scores, rising, (k,).
        missed: attacks below each cut, (k + 1,).
        accepted: live images below each cut, (k + 1,).
        n_attack, n_live: images of each class.
    """

    def __init__(self, scores: NDArray[np.floating], is_attack: NDArray[np.bool_]) -> None:
        """Rank ``scores`` (n,), float32 or float64 and finite, n > 0, with ``is_attack`` (n,)."""
        order = np.argsort(scores)
        ordered = scores[order] + 0  # turns -0.0 into 0.0
        new = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        cuts = np.concatenate([[0], new, [scores.size]])
        self.values = ordered[cuts[:-1]]
        self.missed = np.append(0, np.cumsum(is_attack[order]))[cuts]
        self.accepted = cuts - self.missed
        self.n_attack, self.n_live = int(self.missed[-1]), int(self.accepted[-1])

    def auc(self) -> float:
        """Return the share of pairs (live, attack) that the attack wins; a tie counts one half."""
        twice_beaten = self.accepted[:-1] + self.accepted[1:]  # live images below, and at or below
        won = int((np.diff(self.missed) * twice_beaten).sum())
        return won / (2 * self.n_attack * self.n_live)

    def thresholds(self) -> NDArray[np.floating]:
        """Return a threshold for each cut, midway between its neighbors, in the scores' own type.

        Keeping the type makes comparisons with the scores exact.
        """
        inner = midway(self.values[:-1], self.values[1:])
        return np.concatenate([self.values[:1], inner, [above(self.values[-1])]])


def at_least(scores: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Return ``scores >= threshold`` without rounding the threshold to the scores' precision."""
    with np.errstate(over="ignore"):
        bound = scores.dtype.type(threshold)
    return scores >= (above(bound) if float(bound) < threshold else bound)


def midway(low: NDArray[np.floating], high: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the middle of scores low < high, or the higher one if no number lies between."""
    middle = low / 2 + high / 2
    return np.where((low < middle) & (middle < high), middle, high)


def above(score: np.floating) -> np.floating:
    """Return the next number above a score."""
    with np.errstate(over="ignore"):
        return np.nextafter(score, np.inf, dtype=score.dtype)
