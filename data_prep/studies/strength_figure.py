"""Plot of the strength curves: one panel per type, with the dataset's strength marked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_prep.atomic import write_atomically
from data_prep.taxonomy import ATTACK_TYPES, FAMILIES

_COLUMNS = 5
_COLORS = dict(zip(FAMILIES, ("#0072b2", "#009e73", "#d55e00"), strict=True))
"""Okabe and Ito's palette, which color-blind people can distinguish."""
_CHANCE, _EASY, _HARD = 0.5, 0.9, 0.65


def finding(table: pd.DataFrame) -> str:
    """Summarize the curves at the dataset's strengths in one sentence."""
    shipped = table[table["shipped"]].set_index("type")["auc"]
    easy = [_word(name) for name in shipped.index[shipped >= _EASY]]
    hard = [_word(name) for name in shipped.index[shipped < _HARD]]
    return (
        f"As shipped, texture alone gives away {_list(easy)} (AUC of 90 % and more); "
        f"{_list(hard)} {'stay' if len(hard) > 1 else 'stays'} below 65 %"
    )


def draw_strength_curves(table: pd.DataFrame) -> Figure:
    """Draw the probe's AUC (%) over strength, one panel per type; rings mark the dataset's."""
    names = list(dict.fromkeys(table["type"]))
    rows = -(-len(names) // _COLUMNS)
    # Without pyplot, there is no global figure to close.
    figure = Figure(figsize=(12, 2.3 * rows + 0.8), layout="constrained")
    figure.subplots(rows, _COLUMNS, sharey=True)
    for panel, name in zip(figure.axes, names, strict=False):
        _draw_panel(panel, name, table[table["type"] == name])
    for panel in figure.axes[len(names) :]:
        panel.set_axis_off()
    figure.suptitle(finding(table), fontsize=12)
    figure.supylabel("AUC of the texture probe (%)", fontsize=10)
    return figure


def save_strength_curves(table: pd.DataFrame, path: Path) -> None:
    """Write the figure as PNG."""
    figure = draw_strength_curves(table)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=110))


def _draw_panel(panel: Axes, name: str, rows: pd.DataFrame) -> None:
    row = ATTACK_TYPES[name]
    color = _COLORS[row.family]
    panel.axhline(100 * _CHANCE, color="0.7", lw=0.8, zorder=0)
    panel.plot(rows["strength"], 100 * rows["auc"], "o-", color=color, ms=3, lw=1.4)
    shipped = rows[rows["shipped"]]
    panel.plot(
        shipped["strength"], 100 * shipped["auc"], "o", ms=10, mfc="none", mec="black", mew=1.2
    )
    panel.set_title(f"{_word(name)} ({row.family})", fontsize=9, color=color)
    panel.set_xlabel(row.strength_unit.split(" (")[0], fontsize=7)
    panel.set_ylim(40, 102)
    panel.set_xlim(left=0)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)


def _word(name: str) -> str:
    return name.replace("_", " ")


def _list(names: list[str]) -> str:
    if not names:
        return "no type"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
