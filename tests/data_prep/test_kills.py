"""A few kills of each command; ``python -m tests.data_prep.kills`` makes as many as one likes."""

import pytest

from tests.data_prep.kills import COMMANDS, run_series


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_build_goes_on_and_nothing_is_lost(command, tmp_path):
    recipes = 1 if command == "synthetic" else 2
    outcome = run_series(command, 2, 0, tmp_path, recipes)
    assert outcome.good, outcome
    assert outcome.kills >= 2 and outcome.datasets >= recipes
