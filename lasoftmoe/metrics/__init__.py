"""Error rates, ranking metrics, and intervals of detectors."""

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
from lasoftmoe.metrics.report import Report, reports_to_latex

__all__ = [
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
