"""How often a caption can be found at all: what bounds retrieval whatever the model sees."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

Words = Mapping[str, str]


def oracle_recall(attributes: Sequence[Words], said: Sequence[Words]) -> float:
    """R@1 in one gallery of somebody who knows every attribute of every image.

    Of the captions that say nothing false of an image, the oracle takes the one that says most
    (in bits, by how rare its words are in the gallery); among equals it guesses.

    Args:
        attributes: all that is true, image by image.
        said: what the image's own caption mentions of it.
    """
    bits = [_information(words, attributes) for words in said]
    return sum(_chance(i, attributes[i], said, bits) for i in range(len(said))) / len(said)


def shared_captions(said: Sequence[Words]) -> float:
    """Share of the captions that say just what another one of the gallery says."""
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
