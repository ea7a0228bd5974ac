"""Report of one list of scores at one threshold, as text, JSON, a table, or LaTeX.

Every form names the source of the threshold, because error rates depend on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

UNSTATED = "given"
HEADLINE = ("ACER", "ACC", "AUC", "EER")
"""Results that the paper's tables show; in lower case, attributes of :class:`Report`."""
PERCENT = (*HEADLINE, "APCER", "BPCER", "ACER worst type")


@dataclass(frozen=True)
class Report:
    """Results of one list of scores at one threshold; all rates are fractions.

    ``apcer_worst`` and ``acer_worst`` are ``None`` if attack types were not given.
    ``threshold_source`` says where the threshold comes from, such as "dev EER". "own EER" means
    that it was chosen on these very scores, which flatters them. "given" means that the caller did
    not say.

    Raises:
        ValueError: If ``threshold_source`` is empty.
    """

    apcer: float
    bpcer: float
    acer: float
    acc: float
    auc: float
    eer: float
    threshold: float
    threshold_source: str
    tpr_at_1_percent_fpr: float
    n_live: int
    n_attack: int
    apcer_per_type: dict[str, float] = field(default_factory=dict)
    apcer_worst: float | None = None
    acer_worst: float | None = None

    def __post_init__(self) -> None:
        if not self.threshold_source.strip():
            raise ValueError("threshold_source is empty; say where the threshold comes from")

    @property
    def worst_type(self) -> str | None:
        """Attack type missed most often; among equals, the first by name."""
        rates = self.apcer_per_type
        return min(rates, key=lambda name: (-rates[name], name)) if rates else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """Return a JSON object; ``Report(**json.loads(text))`` restores the report."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_frame(self, name: str = "") -> pd.DataFrame:
        """Return one row, ready to stack: results in percent, the threshold, and its source."""
        worst = math.nan if self.acer_worst is None else self.acer_worst
        rates = (self.acer, self.acc, self.auc, self.eer, self.apcer, self.bpcer, worst)
        row = {key: 100 * rate for key, rate in zip(PERCENT, rates, strict=True)}
        row |= {"threshold": self.threshold, "threshold from": self.threshold_source}
        return pd.DataFrame(row, index=[name])

    def to_text(self) -> str:
        """Return six or seven lines to read."""
        lines = [
            f"ACER  {self.acer:7.2%}   (APCER {self.apcer:.2%}, BPCER {self.bpcer:.2%})",
            f"ACC   {self.acc:7.2%}",
            f"AUC   {self.auc:7.2%}",
            f"EER   {self.eer:7.2%}",
            f"TPR   {self.tpr_at_1_percent_fpr:7.2%}   at 1% of live images rejected",
        ]
        if self.acer_worst is not None:
            rates = f"APCER {self.apcer_worst:.2%} of {self.worst_type}, BPCER {self.bpcer:.2%}"
            lines.append(f"ACER  {self.acer_worst:7.2%}   of the worst type ({rates})")
        stated = self.threshold_source != UNSTATED
        source = f"from {self.threshold_source}" if stated else "given, its source is not stated"
        counts = f"{self.n_live} live, {self.n_attack} attacks"
        lines.append(f"threshold {self.threshold:.4g} {source}; {counts}")
        return "\n".join(lines)

    def to_latex(self, name: str = "detector", caption: str | None = None) -> str:
        """Return a table of one row; see :func:`reports_to_latex`."""
        return reports_to_latex({name: self}, caption)

    def __str__(self) -> str:
        return self.to_text()


def reports_to_latex(reports: Mapping[str, Report], caption: str | None = None) -> str:
    """Return a LaTeX table (package booktabs) with one row per report, in percent.

    Args:
        reports: Reports by name of the detector. Names and threshold sources are escaped.
        caption: LaTeX source, inserted unchanged.

    Raises:
        ValueError: If there is no report, or one does not say where its threshold comes from.
    """
    if not reports:
        raise ValueError("no reports to make a table of")
    unstated = [name for name, report in reports.items() if report.threshold_source == UNSTATED]
    if unstated:
        raise ValueError(
            f"the threshold of {', '.join(map(repr, unstated))} has no stated source; name it: "
            "evaluate(..., threshold_source='dev EER')"
        )
    table = pd.concat([report.to_frame(name) for name, report in reports.items()])
    table = table.drop(columns="threshold").rename(columns={key: f"{key} (%)" for key in PERCENT})
    style = table.style.format(precision=2, na_rep="--", escape="latex")
    style = style.format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    columns = "l" + "r" * len(PERCENT) + "l"
    return style.to_latex(
        hrules=True, column_format=columns, caption=caption, position_float="centering"
    )
