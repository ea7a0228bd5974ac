"""Plots of scores, images, routing, training, and costs."""

from lasoftmoe.plots.scores import (
    BLUE,
    GREEN,
    LINES,
    ORANGE,
    PALETTE,
    PINK,
    SKY,
    VERMILION,
    image_grid,
    result_row,
    results_table,
    score_histogram,
    style,
    token_grid,
)

__all__ = [
    "BLUE",
    "GREEN",
    "LINES",
    "ORANGE",
    "PALETTE",
    "PINK",
    "SKY",
    "VERMILION",
    "image_grid",
    "result_row",
    "results_table",
    "score_histogram",
    "style",
    "token_grid",
]
