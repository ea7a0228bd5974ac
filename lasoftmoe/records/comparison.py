"""Comparison of our results with the paper's: each row with its source and intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from lasoftmoe.experiment.tables import Table
from lasoftmoe.metrics import HEADLINE
from lasoftmoe.records.recorded import Recorded
from lasoftmoe.records.reported import reported

NONE = "-"


def comparison(table: Table, sources: Mapping[str, Recorded]) -> pd.DataFrame:
    """Return a table of strings in percent, ready to print.

    Args:
        table: The rows to show, and the paper's table that belongs to them.
        sources: A record for each label, such as "this machine".

    Returns:
        Columns method, source, seeds, ACER, ACC, AUC, EER, and the paired difference in ACER from
        the reference row. Values are means over seeds. ACER, AUC, and the difference have
        intervals over test subjects and seeds.
    """
    rows = [
        _our_row(method, label, record)
        for label, record in sources.items()
        for method in table.rows
        if (record.table["row"] == method).any()
    ]
    frame = pd.DataFrame(rows + _paper_rows(table))
    return frame.fillna(NONE)


def caption(table: Table) -> str:
    """Return a caption that tells how to read the table."""
    text = (
        f"{table.title}. Test, percent; threshold from the dev EER; [95% interval over test "
        "subjects and seeds]; attacks pooled."
    )
    if table.paper:
        text += f" The paper's rows are on {reported(table.paper).data}: not comparable with ours."
    return text


FORMATS: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "text": lambda frame, title: f"{title}\n{frame.to_string(index=False)}",
    "markdown": lambda frame, title: f"{title}\n\n{_markdown(frame)}",
    "latex": lambda frame, title: _latex(frame, title),
}
"""Formats of a comparison: ``FORMATS[name](frame, caption)`` returns the text."""


def _our_row(method: str, label: str, record: Recorded) -> dict[str, str]:
    runs = record.table[record.table["row"] == method]
    row = {"method": method, "source": label, "seeds": _seeds(runs["seed"].tolist())}
    row |= {name: f"{100 * runs[name.lower()].mean():.2f}" for name in HEADLINE}
    for entry in record.intervals[record.intervals["row"] == method].to_dict("records"):
        if entry["metric"].upper() in HEADLINE:
            row[entry["metric"].upper()] = _interval(entry)
    reference = record.facts["reference"]
    if method != reference:
        row[f"ACER - {reference}"] = str(record.difference(method))
    return row


def _paper_rows(table: Table) -> list[dict[str, str]]:
    if table.paper is None:
        return []
    paper = reported(table.paper)
    return [
        {"method": name, "source": paper.source}
        | {metric: f"{paper.results.loc[row.paper, metric]:.2f}" for metric in HEADLINE}
        for name, row in table.rows.items()
        if row.paper
    ]


def _seeds(seeds: list[int]) -> str:
    whole = seeds == list(range(seeds[0], seeds[0] + len(seeds))) and len(seeds) > 2
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _interval(entry: Mapping[str, float]) -> str:
    estimate, low, high = (100 * entry[key] for key in ("estimate", "low", "high"))
    return f"{estimate:.2f} [{low:.1f}, {high:.1f}]"


def _markdown(frame: pd.DataFrame) -> str:
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _latex(frame: pd.DataFrame, title: str) -> str:
    style = frame.style.hide(axis="index").format(escape="latex")
    style = style.format_index(escape="latex", axis=1)
    for letter in "&%$#_":
        title = title.replace(letter, f"\\{letter}")
    return style.to_latex(hrules=True, caption=title, position_float="centering")
