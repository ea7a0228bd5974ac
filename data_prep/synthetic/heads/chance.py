"""Random numbers by the thousand, from counters: for strands of hair and grain of skin.

Each number is a hash of its place in a named stream (SplitMix64: Steele et al., 2014), computed
with integers alone. No library can change the stream, and no order of drawing either. Numbers of
people and sessions, a few per row, come from ``fields.Draws``.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

Array = np.ndarray
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Chance:
    """A stream of random numbers for one purpose, such as the brows of one person.

    Args:
        seed: of the person or session.
        purpose: what the numbers are for; other purposes have other numbers.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
        self._start = int.from_bytes(digest[:8], "little")

    def _words(self, count: int) -> Array:
        """The next 64-bit words of the stream."""
        numbers = np.arange(1, count + 1, dtype=np.uint64)
        words = numbers * _STEP + np.uint64(self._start)
        self._start = (self._start + count * int(_STEP)) % 2**64
        words = (words ^ (words >> np.uint64(30))) * _FIRST
        words = (words ^ (words >> np.uint64(27))) * _SECOND
        return words ^ (words >> np.uint64(31))

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Numbers in [low, high), float32."""
        units = (self._words(math.prod(shape)) >> np.uint64(40)).astype(np.float32) * 2.0**-24
        return np.float32(low) + np.float32(high - low) * units.reshape(shape).astype(np.float32)

    def normal(self, *shape: int) -> Array:
        """Nearly normal numbers of unit variance, float32: sums of four uniform ones."""
        words = self._words(math.prod(shape))
        mask = np.uint64(0xFFFF)
        total = sum((words >> np.uint64(16 * k)) & mask for k in range(4)).astype(np.float32)
        # Four uniform numbers have mean 2 and variance 1 / 3.
        return ((total / 65536 - 2) * math.sqrt(3)).astype(np.float32).reshape(shape)

    def number(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return float(self.uniform(low, high, 1)[0])

    def index(self, below: int, *shape: int) -> Array:
        """Whole numbers from 0 to below ``below``."""
        return np.minimum((self.uniform(0, 1, *shape) * below).astype(np.int64), below - 1)
