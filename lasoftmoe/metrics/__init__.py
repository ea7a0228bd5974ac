"""Error rates, ranking metrics, and reports of detectors.

Intervals and their statistics are in ``metrics.intervals`` and ``metrics.statistics``.
"""

from lasoftmoe.metrics.rates import (
    auc,
    eer,
    eer_threshold,
    evaluate,
    operating_points,
    per_video,
    threshold_at_bpcer,
    tpr_at_fpr,
)
from lasoftmoe.metrics.report import HEADLINE, Report, reports_to_latex

__all__ = [
    "HEADLINE",
    "Report",
    "auc",
    "eer",
    "eer_threshold",
    "evaluate",
    "operating_points",
    "per_video",
    "reports_to_latex",
    "threshold_at_bpcer",
    "tpr_at_fpr",
]
