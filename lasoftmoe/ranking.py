"""The scores of both classes in one order: the single sort that AUC, EER and thresholds share.

numpy sorts numbers several times faster than it sorts indices. So a score and its class are packed
into one 64-bit number, the class in the lowest bit, and nothing but these numbers is sorted. The
packing is exact; scores that leave no bit free are replaced by their ranks first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Scores worked on at a time: what is computed in between stays in the processor's cache.
BLOCK = 1 << 14

Keys = NDArray[np.int64] | NDArray[np.float64]
Decode = Callable[[np.int64], float]
Condition = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


class Ranking:
    """Scores in rising order with the class of each.

    A *cut* is a place in this order that does not part equal scores: what lies before it is called
    live, what lies after it an attack. Cut 0 calls everything an attack, cut n everything live.

    Attributes:
        n_attack, n_live: scores of each class.
    """

    def __init__(self, scores: NDArray[np.floating], is_attack: NDArray[np.bool_]) -> None:
        """``scores`` (n,) float32 or float64, finite, n > 0; ``is_attack`` (n,)."""
        self._dtype = scores.dtype
        self._keys, self._decode = _packed(scores, is_attack)
        self._keys.sort()
        self._bits = self._keys.view(np.int64)
        self._attacks_before_block, self._rank_sum, self._has_ties = self._scan()
        self.n_attack = int(self._attacks_before_block[-1])
        self.n_live = scores.size - self.n_attack

    def _scan(self) -> tuple[NDArray[np.int64], int, bool]:
        """Attacks before each block, sum of the attacks' places, whether the classes share scores.

        Places count from 0.
        """
        attacks, rank_sum, has_ties = [0], 0, False
        for start in range(0, self._bits.size, BLOCK):
            bits = self._bits[start : start + BLOCK + 1]  # one more, to see ties across blocks
            has_ties = has_ties or bool(((bits[1:] ^ bits[:-1]) == 1).any())
            places = np.flatnonzero(_class_bit(bits[:BLOCK]))
            rank_sum += int(places.sum()) + start * places.size
            attacks.append(attacks[-1] + places.size)
        return np.array(attacks), rank_sum, has_ties

    def auc(self) -> float:
        """Share of the pairs (live, attack) in which the attack scores higher; ties count half."""
        pairs_in_order = self._rank_sum - self.n_attack * (self.n_attack - 1) / 2
        if self._has_ties:
            pairs_in_order += self._correction_for_ties()
        return pairs_in_order / (self.n_attack * self.n_live)

    def _correction_for_ties(self) -> float:
        """What giving equal scores their mean place adds to the sum of the attacks' places."""
        attack = _class_bit(self._bits)
        starts = np.flatnonzero(np.diff(self._bits >> 1, prepend=~(self._bits[0] >> 1)))
        sizes = np.diff(starts, append=attack.size)
        attacks = np.add.reduceat(attack, starts, dtype=np.int64)
        mean_place = starts + (sizes - 1) / 2
        return float(attacks @ mean_place) - self._rank_sum

    def first_cut(self, condition: Condition) -> int:
        """The lowest cut that meets a condition, which every higher cut must meet as well.

        Args:
            condition: of the numbers of attacks and of live images below a cut, element by
                element; true for the cut n.
        """
        starts = np.minimum(np.arange(self._attacks_before_block.size) * BLOCK, self._bits.size)
        met = condition(self._attacks_before_block, starts - self._attacks_before_block)
        block = max(int(np.argmax(met)) - 1, 0)
        attack = _class_bit(self._bits[starts[block] : starts[block + 1]])
        attacks = self._attacks_before_block[block] + np.append(0, np.cumsum(attack))
        places = starts[block] + np.arange(attacks.size)
        place = int(places[np.argmax(condition(attacks, places - attacks))])
        if place in (0, self._bits.size):
            return place
        begin, end = self._equal_to(place)
        return place if place == begin else end

    def previous_cut(self, cut: int) -> int:
        """The next lower cut."""
        return self._equal_to(cut - 1)[0]

    def _equal_to(self, place: int) -> tuple[int, int]:
        """Where the scores begin and end that equal the one at a place."""
        pair = np.array([self._bits[place] & ~1, self._bits[place] | 1]).view(self._keys.dtype)
        begin = np.searchsorted(self._keys, pair.min(), side="left")
        return int(begin), int(np.searchsorted(self._keys, pair.max(), side="right"))

    def below(self, cut: int) -> tuple[int, int]:
        """Attacks and live images below a cut: the attacks missed, the live images accepted."""
        block = cut // BLOCK
        inside = np.count_nonzero(_class_bit(self._bits[block * BLOCK : cut]))
        attacks = int(self._attacks_before_block[block]) + inside
        return attacks, cut - attacks

    def threshold(self, cut: int) -> float:
        """The score from which on an image is called an attack, midway between its neighbors.

        It is a number of the scores' own type, so that comparing with them is exact.
        """
        size = self._bits.size
        ends = [self._decode(self._bits[i]) for i in (max(cut - 1, 0), min(cut, size - 1))]
        low, high = np.array(ends, self._dtype)
        if cut == 0:
            return float(low)
        return float(above(low) if cut == size else midway(low, high))


def midway(low: NDArray[np.floating], high: NDArray[np.floating]) -> NDArray[np.floating]:
    """The middle of two scores low < high; the higher one where no number lies between."""
    middle = low / 2 + high / 2
    return np.where((low < middle) & (middle < high), middle, high)


def above(score: np.floating) -> np.floating:
    """The next number above a score."""
    with np.errstate(over="ignore"):
        return np.nextafter(score, np.inf, dtype=score.dtype)


def _class_bit(bits: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (bits & 1).astype(bool)


def _packed(scores: NDArray[np.floating], is_attack: NDArray[np.bool_]) -> tuple[Keys, Decode]:
    """Numbers that sort as the scores do, with the class in the lowest bit, and the way back."""
    if scores.dtype == np.float32:
        return _pack_float32(scores, is_attack), lambda bits: float((bits & ~1).view(np.float64))
    sizes = np.abs(scores)
    smallest = np.min(sizes, where=sizes > 0, initial=np.inf)
    offset = np.float64(smallest).view(np.int64) - 1
    if np.float64(max(sizes.max(), smallest)).view(np.int64) - offset < 1 << 62:
        return _pack_float64(scores, is_attack, offset), lambda bits: _unpack_float64(bits, offset)
    values, ranks = np.unique(scores, return_inverse=True)
    return 2 * ranks + is_attack, lambda bits: float(values[bits >> 1])


def _pack_float32(scores: NDArray[np.float32], is_attack: NDArray[np.bool_]) -> NDArray[np.float64]:
    """As double precision, which leaves the last 29 bits of a float32 free."""
    keys = np.empty(scores.size, np.float64)
    for start in range(0, scores.size, BLOCK):
        part = slice(start, start + BLOCK)
        np.add(scores[part], 0.0, out=keys[part], dtype=np.float64)  # turns -0.0 into 0.0
        keys[part].view(np.int64)[...] |= is_attack[part]
    return keys


def _pack_float64(
    scores: NDArray[np.float64], is_attack: NDArray[np.bool_], offset: np.int64
) -> NDArray[np.int64]:
    """As whole numbers in the order of the scores.

    The bits of a double, read as an integer, rise with its absolute value. The numbers between 0
    and the smallest score in absolute value are not needed; taking them (``offset``) out of the
    code frees the bit that the class goes into.
    """
    keys = np.empty(scores.size, np.int64)
    for start in range(0, scores.size, BLOCK):
        part = slice(start, start + BLOCK)
        code = (scores[part] + 0.0).view(np.int64)  # turns -0.0 into 0.0
        code ^= (code >> 63) & np.int64(2**63 - 1)  # negative: the larger the bits, the lower
        code -= np.clip(code, -offset, offset)
        code <<= 1
        np.bitwise_or(code, is_attack[part], out=keys[part])
    return keys


def _unpack_float64(bits: np.int64, offset: np.int64) -> float:
    code = bits >> 1
    code += np.sign(code) * offset
    return float((code ^ ((code >> 63) & np.int64(2**63 - 1))).view(np.float64))
