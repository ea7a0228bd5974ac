"""Upper bound of caption retrieval, which no model can exceed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

Words = Mapping[str, str]


def oracle_recall(attributes: Sequence[Words], said: Sequence[Words]) -> float:
    """Return the R@1 in one gallery of an oracle that knows every attribute of every image.

    Among the captions that say nothing false about an image, the oracle takes the one with the
    most information (in bits: rarer words have more). It guesses between equals.

    Args:
        attributes: All true attributes, one mapping per image.
        said: The attributes that each image's own caption mentions.
    """
    bits = [_information(words, attributes) for words in said]
    return sum(_chance(i, attributes[i], said, bits) for i in range(len(said))) / len(said)


def shared_captions(said: Sequence[Words]) -> float:
    """Return the share of captions that say exactly the same as another one."""
    times = Counter(frozenset(words.items()) for words in said)
    return sum(count for count in times.values() if count > 1) / len(said)


def _information(words: Words, gallery: Sequence[Words]) -> float:
    shares = (
        sum(other[name] == word for other in gallery) / len(gallery) for name, word in words.items()
    )
    return -sum(math.log2(share) for share in shares)


def _chance(i: int, truth: Words, said: Sequence[Words], bits: Sequence[float]) -> float:
    fitting = [j for j, words in enumerate(said) if all(truth[k] == v for k, v in words.items())]
    most = max(bits[j] for j in fitting)  # its own caption always fits
    best = [j for j in fitting if math.isclose(bits[j], most)]
    return (i in best) / len(best)
