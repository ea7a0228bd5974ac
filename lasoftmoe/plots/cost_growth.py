"""Plots of the layers' cost, from a record of ``python -m benchmarks.moe --out``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lasoftmoe.plots import LINES, PALETTE, style

TIMES = ("measured", "predicted")
MARKERS = ("o", "s", "^", "D")
SIZES = {
    "tokens": "tokens per image",
    "slots": "slots per expert",
    "experts": "experts",
    "attention": "tokens per image",
}
LABELS = {
    "soft": "Soft MoE",
    "la": "La-SoftMoE",
    "topk": "top-1",
    "linear": "linear attention",
    "softmax": "softmax attention",
}


def cost_growth(
    record: dict[str, Any], title: str, sweeps: Sequence[str] = ("tokens", "slots", "experts")
) -> Figure:
    """Plot measured training time (markers) over time predicted from FLOPs (lines), log-log.

    Args:
        record: Parsed JSON of a benchmark, with its ``growth``.
        title: The finding.
        sweeps: Sizes to show, one panel each; ``"attention"`` compares linear with softmax
            attention over the logits.

    Raises:
        ValueError: If the title is empty or the record lacks a sweep.
    """
    if not title:
        raise ValueError("a figure needs a title that states its finding")
    rows = pd.DataFrame(record.get("growth", []), columns=["sweep", "size", "layer", *TIMES])
    missing = set(sweeps) - set(rows["sweep"])
    if missing:
        raise ValueError(
            f"the record has no {', '.join(sorted(missing))}; known: {', '.join(SIZES)}; was the "
            "benchmark run with --growth-rounds 0?"
        )
    with style():
        figure, panels = plt.subplots(
            1, len(sweeps), figsize=(3.4 * len(sweeps), 3.4), layout="constrained", squeeze=False
        )
    for axes, sweep in zip(panels[0], sweeps, strict=True):
        _panel(axes, rows[rows["sweep"] == sweep], SIZES[sweep])
    panels[0][0].set_ylabel("forward and backward, ms")
    figure.suptitle(title)
    plt.close(figure)  # a notebook shows the returned figure; an open one, it would show again
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    for i, (layer, points) in enumerate(rows.groupby("layer", sort=False)):
        name, color = LABELS.get(layer, layer), PALETTE[i]
        axes.plot(
            points["size"], 1e3 * points["predicted"], LINES[i], color=color, label=f"{name}, FLOPs"
        )
        axes.plot(points["size"], 1e3 * points["measured"], MARKERS[i], color=color, label=name)
    ticks = sorted(rows["size"].unique())
    axes.set(xscale="log", yscale="log", xlabel=label)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=7)
