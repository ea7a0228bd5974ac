"""What a t-SNE picture can show."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

pytestmark = pytest.mark.slow


def groups(gaps: tuple[float, float], seed: int = 0) -> np.ndarray:
    """Three clouds on a line, 60 points each in 10 dimensions, ``gaps`` apart."""
    points = np.random.default_rng(seed).normal(size=(180, 10))
    points[60:120, 0] += gaps[0]
    points[120:, 0] += sum(gaps)
    return points


def drawn_gaps(points: np.ndarray) -> tuple[float, float]:
    dots = TSNE(init="pca", random_state=0).fit_transform(points)
    centers = [part.mean(axis=0) for part in np.split(dots, 3)]
    first, second = (np.linalg.norm(a - b) for a, b in pairwise(centers))
    return float(first), float(second)


def test_a_gap_ten_times_as_wide_is_not_drawn_ten_times_as_wide():
    """A "big gap in the feature space" cannot be read off such a picture."""
    first, second = drawn_gaps(groups((20, 200)))
    assert second / first < 4


def test_the_border_of_one_set_of_features_moves_with_the_drawing():
    """A "clearest border" would have to move less between drawings than between methods."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    points = rng.normal(size=(120, 10)) + 0.8 * labels[:, None]
    found = []
    for perplexity in (3, 40):
        for seed in (0, 1):
            tsne = TSNE(perplexity=perplexity, init="random", random_state=seed)
            found.append(silhouette_score(tsne.fit_transform(points), labels))
    assert max(found) - min(found) > 0.05
