"""Plot in a notebook that grows while a detector is trained."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
from IPython.display import DisplayHandle, display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lasoftmoe.plots import PALETTE, style

SECONDS_BETWEEN_DRAWINGS = 1.0
SMOOTHING_STEPS = 10


class LivePlot:
    """Plot of the loss and, if the log has it, the AUC on dev, drawn at most once per second.

    It is a callback for ``train(on_step=...)`` and ``experiment.run(on_step=...)``::

        with LivePlot("Eq. 1 stops at its floor") as plot:
            run = experiment.run("vanilla", on_step=plot)

    The figure is finished when the block ends, and a page built from the notebook shows this last
    state. A run loaded from cache takes no steps; give its log to ``training_curve``.
    """

    def __init__(self, title: str = "training", floor: float | None = None) -> None:
        """Start an empty plot; ``floor``, a lower bound of the loss, is drawn as a line."""
        self.title, self.floor = title, floor
        self.rows: list[dict[str, Any]] = []
        self._drawn = 0.0
        self._handle: DisplayHandle | None = None

    def __call__(self, row: dict[str, Any]) -> None:
        """Add one step's row of the log."""
        self.rows.append(row)
        if time.monotonic() - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._draw()

    def __enter__(self) -> LivePlot:
        return self

    def __exit__(self, *_: object) -> None:
        if self.rows:
            self._draw()

    def _draw(self) -> None:
        figure = training_curve(pd.DataFrame(self.rows), self.title, self.floor)
        if self._handle is None:
            self._handle = display(figure, display_id=True)
        else:
            self._handle.update(figure)
        self._drawn = time.monotonic()


def training_curve(log: pd.DataFrame, title: str, floor: float | None = None) -> Figure:
    """Plot each step's loss and a running mean, with the AUC on dev on a second axis.

    Args:
        log: Result of ``train``, or ``Run.log``.
        title: The finding.
        floor: Lower bound of the loss, drawn as a line.
    """
    with style():
        figure, axes = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
        axes.plot(log["step"], log["loss"], color=PALETTE[0], alpha=0.35, linewidth=0.8)
        smooth = log["loss"].rolling(SMOOTHING_STEPS, min_periods=1).mean()
        label = f"loss, mean of {SMOOTHING_STEPS} steps"
        axes.plot(log["step"], smooth, color=PALETTE[0], label=label)
        if floor is not None:
            axes.axhline(floor, color="black", linestyle=":", label=f"floor {floor:.2f}")
            low, high = axes.get_ylim()
            axes.set_ylim(min(low, floor - 0.05 * (high - floor)), high)  # off the frame
        axes.set(title=title, xlabel="step", ylabel="loss")
        if "dev_auc" in log and log["dev_auc"].notna().any():
            _dev_auc(axes, log.dropna(subset="dev_auc"))
        axes.legend(loc="upper right")
    plt.close(figure)  # a notebook shows the returned figure; an open one, it would show again
    return figure


def _dev_auc(axes: plt.Axes, rows: pd.DataFrame) -> None:
    right = axes.twinx()
    right.plot(rows["step"], 100 * rows["dev_auc"], "s--", color=PALETTE[1])
    right.grid(False)
    right.set(ylabel="AUC on dev in % (dashed)", ylim=(40, 101))
