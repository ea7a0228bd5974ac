"""Plots of scores, images, routing, training, and costs."""

from lasoftmoe.plots.scores import (
    LINES,
    PALETTE,
    image_grid,
    result_row,
    results_table,
    score_histogram,
    style,
    token_grid,
)

__all__ = [
    "LINES",
    "PALETTE",
    "image_grid",
    "result_row",
    "results_table",
    "score_histogram",
    "style",
    "token_grid",
]
