"""The live plot: seldom enough not to slow training down, complete at the end."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from lasoftmoe.plots import live_plot as live
from lasoftmoe.plots.live_plot import LivePlot, training_curve


class Screen:
    """Stands for the notebook: what was shown, and in which way."""

    def __init__(self):
        self.first, self.updates = [], []

    def display(self, figure, display_id):
        assert display_id
        self.first.append(figure)
        return self

    def update(self, figure):
        self.updates.append(figure)


@pytest.fixture
def screen(monkeypatch):
    screen, clock = Screen(), iter(0.3 * step for step in range(10_000))
    monkeypatch.setattr(live, "display", screen.display)
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    return screen


def row(step):
    return {"step": step, "loss": 1 / (step + 1)}


def test_it_updates_one_figure_about_once_a_second_and_ends_complete(screen):
    with LivePlot() as plot:
        for step in range(20):
            plot(row(step))
    assert len(screen.first) == 1
    assert 3 <= len(screen.updates) <= 8  # in some seven seconds of this clock
    last = screen.updates[-1].axes[0].lines[0]
    assert last.get_xdata().tolist() == list(range(20))
    assert not plt.get_fignums()


def test_a_run_that_is_read_back_draws_nothing(screen):
    with LivePlot():
        pass
    assert not screen.first


def test_curve_shows_floor_and_dev_auc():
    log = pd.DataFrame([row(step) for step in range(6)])
    log["dev_auc"] = [None, None, 0.7, None, None, 0.9]
    figure = training_curve(log, "The loss stops", floor=0.25)
    axes, right = figure.axes
    assert axes.get_title() == "The loss stops" and axes.get_xlabel() == "step"
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "floor 0.25"
    assert right.lines[0].get_ydata().tolist() == [70.0, 90.0]
    assert not plt.get_fignums()


def test_floor_below_the_curve_is_inside_the_frame():
    log = pd.DataFrame([row(step) for step in range(6)])
    axes = training_curve(log, "The loss stops", floor=0.05).axes[0]
    assert axes.get_ylim()[0] < 0.04
