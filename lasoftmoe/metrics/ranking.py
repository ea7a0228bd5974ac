"""The scores of both classes in one order: the single sort that AUC, EER and thresholds share.

numpy sorts numbers several times faster than it sorts indices. So a score and its class are packed
into one number of the score's own width, the class in the lowest bit, and nothing but these numbers
is sorted. The packing is exact: scores that leave no bit free take twice the width (float32), or
are replaced by their ranks first (float64).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Scores worked on at a time: what is computed in between stays in the processor's cache.
BLOCK = 1 << 16

Integers = NDArray[np.int64]
Keys = NDArray[np.int32] | NDArray[np.int64]
Decode = Callable[[np.signedinteger], float]
Condition = Callable[[Integers, Integers], NDArray[np.bool_]]


class Ranking:
    """Scores in rising order with the class of each; among equal scores, live images first.

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
        self._attacks_before_block, self._rank_sum, self._tied_pairs = self._scan()
        self.n_attack = int(self._attacks_before_block[-1])
        self.n_live = scores.size - self.n_attack

    def _scan(self) -> tuple[Integers, int, int]:
        """Attacks before each block, sum of the attacks' places, pairs (live, attack) of one score.

        Places count from 0.
        """
        attacks, rank_sum, tied_pairs, tied_places = [0], 0, 0, []
        for start in range(0, self._keys.size, BLOCK):
            places = np.flatnonzero(_is_attack(self._keys[start : start + BLOCK]))
            rank_sum += int(places.sum()) + start * places.size
            attacks.append(attacks[-1] + places.size)
            alone, others = self._ties(start)
            tied_pairs += alone
            tied_places.append(others)
        last_live = np.concatenate(tied_places)
        lengths = self._run_length(last_live, -1) * self._run_length(last_live + 1, 1)
        return np.array(attacks), rank_sum, tied_pairs + int(lengths.sum())

    def _ties(self, start: int) -> tuple[int, Integers]:
        """Scores in a block that both classes have.

        Returns:
            how many belong to one live image and one attack; of the others (and perhaps the very
            first and last), the place of the last live image.
        """
        first = max(start - 1, 0)
        keys = self._keys[first : start + BLOCK + 2]
        inside = keys[start - first :]
        ties = np.flatnonzero((inside[1:] ^ inside[:-1])[:BLOCK] == 1) + (start - first)
        more = keys[np.maximum(ties - 1, 0)] == keys[ties]
        more |= keys[np.minimum(ties + 2, keys.size - 1)] == keys[ties + 1]
        return ties.size - np.count_nonzero(more), first + ties[more]

    def _run_length(self, places: Integers, step: int) -> Integers:
        """How many equal keys in a row there are from each place on, backward (-1) or forward."""
        lengths, going = np.ones_like(places), np.arange(places.size)
        for _ in range(8):  # most runs are short, and a look beside costs less than a search
            beside = places[going] + step * lengths[going]
            known = np.clip(beside, 0, self._keys.size - 1)
            same = self._keys[known] == self._keys[places[going]]
            going = going[same & (known == beside)]
            lengths[going] += 1
        wanted, side = self._keys[places[going]], "left" if step < 0 else "right"
        ends = np.searchsorted(self._keys, wanted, side=side)
        lengths[going] = abs(ends - places[going]) + (step < 0)
        return lengths

    def auc(self) -> float:
        """Share of the pairs (live, attack) in which the attack scores higher; ties count half."""
        not_below = self._rank_sum - self.n_attack * (self.n_attack - 1) // 2
        return (not_below - self._tied_pairs / 2) / (self.n_attack * self.n_live)

    def first_cut(self, condition: Condition) -> int:
        """The lowest cut that meets a condition, which every higher cut must meet as well.

        Args:
            condition: of the numbers of attacks and of live images below a cut, element by
                element; true for the cut n.
        """
        starts = np.minimum(np.arange(self._attacks_before_block.size) * BLOCK, self._keys.size)
        met = condition(self._attacks_before_block, starts - self._attacks_before_block)
        block = max(int(np.argmax(met)) - 1, 0)
        attack = _is_attack(self._keys[starts[block] : starts[block + 1]])
        attacks = self._attacks_before_block[block] + np.append(0, np.cumsum(attack))
        places = starts[block] + np.arange(attacks.size)
        place = int(places[np.argmax(condition(attacks, places - attacks))])
        if place in (0, self._keys.size):
            return place
        begin, end = self._equal_to(place)
        return place if place == begin else end

    def previous_cut(self, cut: int) -> int:
        """The next lower cut."""
        return self._equal_to(cut - 1)[0]

    def _equal_to(self, place: int) -> tuple[int, int]:
        """Where the scores begin and end that equal the one at a place."""
        live, attack = self._keys[place] & ~1, self._keys[place] | 1
        begin = np.searchsorted(self._keys, live, side="left")
        return int(begin), int(np.searchsorted(self._keys, attack, side="right"))

    def below(self, cut: int) -> tuple[int, int]:
        """Attacks and live images below a cut: the attacks missed, the live images accepted."""
        block = cut // BLOCK
        inside = np.count_nonzero(_is_attack(self._keys[block * BLOCK : cut]))
        attacks = int(self._attacks_before_block[block]) + inside
        return attacks, cut - attacks

    def threshold(self, cut: int) -> float:
        """The score from which on an image is called an attack, midway between its neighbors.

        It is a number of the scores' own type, so that comparing with them is exact.
        """
        size = self._keys.size
        ends = [self._decode(self._keys[i]) for i in (max(cut - 1, 0), min(cut, size - 1))]
        low, high = np.array(ends, self._dtype)
        if cut == 0:
            return float(low)
        return float(above(low) if cut == size else midway(low, high))


def at_least(scores: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """``scores >= threshold``, without rounding the threshold to the precision of the scores."""
    with np.errstate(over="ignore"):
        bound = scores.dtype.type(threshold)
    return scores >= (above(bound) if float(bound) < threshold else bound)


def midway(low: NDArray[np.floating], high: NDArray[np.floating]) -> NDArray[np.floating]:
    """The middle of two scores low < high; the higher one where no number lies between."""
    middle = low / 2 + high / 2
    return np.where((low < middle) & (middle < high), middle, high)


def above(score: np.floating) -> np.floating:
    """The next number above a score."""
    with np.errstate(over="ignore"):
        return np.nextafter(score, np.inf, dtype=score.dtype)


def _is_attack(keys: Keys) -> NDArray[np.bool_]:
    return (keys & 1).astype(bool)


def _packed(scores: NDArray[np.floating], is_attack: NDArray[np.bool_]) -> tuple[Keys, Decode]:
    """Numbers that sort as the scores do, with the class in the lowest bit, and the way back."""
    offset, width = _unused_codes(scores), np.dtype(f"i{scores.itemsize}")
    if offset is None:
        if scores.dtype != np.float32:
            values, ranks = np.unique(scores, return_inverse=True)
            return 2 * ranks + is_attack, lambda key: float(values[key >> 1])
        offset, width = 0, np.dtype(np.int64)
    keys = _pack(scores, is_attack, offset, width)
    return keys, lambda key: _unpack(key, scores.dtype, offset)


def _unused_codes(scores: NDArray[np.floating]) -> int | None:
    """How many codes on either side of 0 can go, so that the rest leaves a bit; None: too few.

    They are those between 0 and the smallest score in absolute value.
    """
    bits = 8 * scores.itemsize
    largest, unused = 0, 1 << bits
    for start in range(0, scores.size, BLOCK):
        codes = np.abs(scores[start : start + BLOCK]).view(f"u{scores.itemsize}")
        largest = max(largest, int(codes.max()))
        codes -= 1  # a score of 0 wraps around and so never is the smallest
        unused = min(unused, int(codes.min()))
    unused = min(unused, largest)  # all scores are 0
    return unused if largest - unused < 1 << (bits - 2) else None


def _pack(
    scores: NDArray[np.floating], is_attack: NDArray[np.bool_], offset: int, width: np.dtype
) -> Keys:
    """Twice the code of each score, plus 1 for attacks.

    The bits of a floating-point number, read as an integer, rise with its absolute value. Flipping
    all but the sign of the negative ones puts them in order, too: that is the code.
    """
    integer = np.dtype(f"i{scores.itemsize}")
    keys = np.empty(scores.size, width)
    for start in range(0, scores.size, BLOCK):
        part = slice(start, start + BLOCK)
        code = (scores[part] + scores.dtype.type(0)).view(integer)  # turns -0.0 into 0.0
        code ^= (code >> (8 * scores.itemsize - 1)) & np.iinfo(integer).max
        if offset:
            code -= np.clip(code, -offset, offset)
        np.left_shift(code, 1, out=keys[part], dtype=width)
        keys[part] |= is_attack[part]
    return keys


def _unpack(key: np.signedinteger, dtype: np.dtype, offset: int) -> float:
    code = key >> 1
    code += np.sign(code) * offset
    integer = np.dtype(f"i{dtype.itemsize}")
    code = code.astype(integer)
    code ^= (code >> (8 * dtype.itemsize - 1)) & np.iinfo(integer).max
    return float(code.view(dtype))
