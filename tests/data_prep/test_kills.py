"""A few kills of each command; ``python -m tests.data_prep.kills`` makes as many as one likes."""

import json
import os
import subprocess
import sys

import pytest

from lasoftmoe.paths import ROOT
from tests.data_prep.kills import COMMANDS


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_build_goes_on_and_nothing_is_lost(command, tmp_path):
    # in a process that does nothing else: a fork of one with threads can wait forever for a lock
    series = [sys.executable, "-m", "tests.data_prep.kills", "--kills", "2", "--json"]
    done = subprocess.run(
        [*series, str(tmp_path / "outcome.json"), command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (outcome,) = json.loads((tmp_path / "outcome.json").read_text("utf-8"))
    assert outcome["kills"] >= 2 and outcome["datasets"] >= 2
