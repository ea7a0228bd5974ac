"""Progress bars: shown by default, hidden by the environment, in a notebook too."""

import pytest
from tqdm.notebook import tqdm_notebook

from lasoftmoe import progress


@pytest.mark.parametrize(
    ("value", "hidden"), [(None, False), ("", False), ("0", False), ("1", True)]
)
def test_the_environment_hides_bars(monkeypatch, value, hidden):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if value is not None:
        monkeypatch.setenv("TQDM_DISABLE", value)
    assert progress.progress_bar(range(3)).disable is hidden


def test_a_notebook_heeds_the_environment(monkeypatch):
    monkeypatch.setattr(progress, "tqdm", tqdm_notebook)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    bar = progress.progress_bar(range(3), desc="train")
    assert bar.disable and not hasattr(bar, "container")


def test_one_bar_can_be_hidden_and_still_counts(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert list(progress.progress_bar(range(3), disable=True)) == [0, 1, 2]
