"""Plots of scores, images, and routing, and the table that compares sources.

Every function takes a ``title`` that states the finding, labels axes with units, and never
distinguishes things by color alone: line styles, markers, or hatches repeat it. It returns the
figure, so a notebook shows it once and a test can inspect it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from lasoftmoe.metrics import HEADLINE

if TYPE_CHECKING:
    from torch import Tensor

PALETTE = sns.color_palette("colorblind")
"""Ten colors that color-blind readers can tell apart. All figures of the book use them."""
BLUE, ORANGE, GREEN, VERMILION, PINK, _, _, _, _, SKY = PALETTE.as_hex()
LINES = ("-", "--", "-.", ":")


@contextmanager
def style():
    """Give the look of these plots to those that a chapter draws itself."""
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.9):
        yield


def score_histogram(
    scores: pd.DataFrame, title: str, threshold: float | None = None, bins: int = 40
) -> Figure:
    """Plot how the scores of live images and of attacks overlap.

    Args:
        scores: Table with the columns attack_score and is_attack, such as ``Run.scores``.
        title: The finding.
        threshold: Drawn as a vertical line.
        bins: Number of bars over the whole range.
    """
    figure, axes = _axes(title)
    edges = np.histogram_bin_edges(scores["attack_score"], bins).tolist()
    groups = (("live", False, PALETTE[0], ""), ("attack", True, PALETTE[1], "//"))
    for label, is_attack, color, hatch in groups:
        values = scores.loc[scores["is_attack"] == is_attack, "attack_score"]
        share = np.full(len(values), 100 / max(len(values), 1))
        axes.hist(values, edges, weights=share, label=label, color=color, alpha=0.6, hatch=hatch)
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label="threshold")
    axes.set(xlabel="attack score", ylabel="share of each class in %")
    axes.legend()
    return figure


def results_table(rows: Sequence[Mapping[str, Any]], caption: str) -> Styler:
    """Show results in percent side by side, each row labeled with its source.

    Args:
        rows: Each with ``method``, ``source`` ("paper", "recorded: A100, 2026-11", "this machine:
            laptop"), and any of ACER, ACC, AUC, EER in percent. A missing result shows as a dash.
        caption: The finding.

    Raises:
        ValueError: If a row has no method or no source.
    """
    for row in rows:
        if not row.get("method") or not row.get("source"):
            raise ValueError(f"every row needs a method and a source, got {dict(row)}")
    table = pd.DataFrame(rows).set_index(["method", "source"])
    table = table.reindex(columns=[*HEADLINE, *[c for c in table if c not in HEADLINE]])
    return table.style.format(precision=2, na_rep="–").set_caption(caption)


def result_row(method: str, source: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """Make a row of ``results_table`` from fractions, such as ``run.report["test"]``."""
    return {"method": method, "source": source} | {
        name: 100 * report[name.lower()] for name in HEADLINE
    }


def image_grid(images: Tensor, captions: Sequence[str], title: str, columns: int = 7) -> Figure:
    """Show images, each with a caption.

    Args:
        images: uint8 (n, 3, height, width).
        captions: One text per image.
        title: The finding.
        columns: Number of images in a row.
    """
    figure, cells = _cells(len(images), columns, title)
    for axes, image, caption in zip(cells, images, captions, strict=True):
        axes.imshow(image.permute(1, 2, 0).numpy())
        axes.set_title(caption, fontsize=8)
    return figure


def token_grid(weights: Tensor) -> Tensor:
    """Turn weights of tokens (..., tokens) into square maps (..., side, side).

    Raises:
        ValueError: If the tokens do not fill a square, with or without the class token.
    """
    tokens = weights.shape[-1]
    for patches in (tokens, tokens - 1):
        side = round(patches**0.5)
        if side and side * side == patches:
            grid = weights[..., tokens - patches :].detach().float().cpu()
            return grid.unflatten(-1, (side, side))
    raise ValueError(
        f"{tokens} tokens do not fill a square of patches, with or without a class token"
    )


def _axes(title: str, width: float = 6.0, height: float = 3.6) -> tuple[Figure, Axes]:
    if not title:
        raise ValueError("a figure needs a title that states its finding")
    with style():
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.set_title(title)
    plt.close(figure)  # a notebook shows the returned figure; an open one, it would show again
    return figure, axes


def _cells(n: int, columns: int, title: str) -> tuple[Figure, list[Axes]]:
    if not title:
        raise ValueError("a figure needs a title that states its finding")
    rows, columns = -(-n // columns), min(n, columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.5 * columns, 1.7 * rows), layout="constrained", squeeze=False
    )
    figure.suptitle(title)
    for axes in grid.flat:
        axes.set_axis_off()
    plt.close(figure)
    return figure, list(grid.flat)[:n]
