"""Figures show the numbers they were given, with labels, and not by color alone."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

from lasoftmoe import plots

mpl.use("Agg")


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    is_attack = np.arange(200) % 2 == 1
    return pd.DataFrame({"attack_score": rng.normal(is_attack, 1.0), "is_attack": is_attack})


def labels_of(figure):
    axes = figure.axes[0]
    return axes.get_title(), axes.get_xlabel(), axes.get_ylabel()


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_histogram_shows_shares_of_each_class_and_the_threshold(scores):
    figure = plots.score_histogram(scores.iloc[:150], "They overlap", threshold=0.3)
    assert labels_of(figure) == ("They overlap", "attack score", "share of each class in %")
    assert sorted(legend_of(figure)) == ["attack", "live", "threshold"]
    axes = figure.axes[0]
    heights = [sum(bar.get_height() for bar in bars) for bars in axes.containers]
    assert heights == pytest.approx([100, 100])
    assert axes.lines[0].get_xdata()[0] == 0.3
    hatches = {bars[0].get_hatch() or "" for bars in axes.containers}
    assert len(hatches) == 2


def test_results_table_labels_every_row_with_its_source():
    report = {"acer": 0.1, "acc": 0.9, "auc": 0.95, "eer": 0.12}
    rows = [
        {"method": "vanilla", "source": "paper, Table 6", "ACER": 0.91, "ACC": 98.87},
        plots.result_row("vanilla", "this machine: laptop", report),
    ]
    styled = plots.results_table(rows, "Not the same data")
    assert styled.data.index.tolist() == [
        ("vanilla", "paper, Table 6"),
        ("vanilla", "this machine: laptop"),
    ]
    assert styled.data.columns.tolist() == ["ACER", "ACC", "AUC", "EER"]
    page = styled.to_html()
    assert "10.00" in page and "–" in page and "Not the same data" in page
    with pytest.raises(ValueError, match="source"):
        plots.results_table([{"method": "vanilla", "ACER": 1.0}], "Where from?")


def test_image_grid_shows_each_image_under_its_caption():
    images = torch.randint(0, 255, (5, 3, 8, 8), dtype=torch.uint8)
    figure = plots.image_grid(images, list("abcde"), "Five faces", columns=3)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == list("abcde")
    assert np.array_equal(shown[3].images[0].get_array(), images[3].permute(1, 2, 0))


def test_token_grid_leaves_the_class_token_out():
    weights = torch.arange(10.0)
    assert plots.token_grid(weights).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert plots.token_grid(torch.zeros(2, 64)).shape == (2, 8, 8)
    assert plots.token_grid(torch.zeros(2, 4, 197)).shape == (2, 4, 14, 14)
    with pytest.raises(ValueError, match="12 tokens do not fill a square"):
        plots.token_grid(torch.zeros(12))


def test_a_figure_without_a_finding_is_refused(scores):
    with pytest.raises(ValueError, match="title"):
        plots.score_histogram(scores, "")
    with pytest.raises(ValueError, match="title"):
        plots.image_grid(torch.zeros(1, 3, 2, 2), ["a"], "")
