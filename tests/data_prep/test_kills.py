"""A few kills of each command; ``python -m tests.data_prep.kills`` makes as many as one likes."""

import os
import re
import subprocess
import sys

import pytest

from lasoftmoe.paths import ROOT
from tests.data_prep.kills import COMMANDS


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_build_goes_on_and_nothing_is_lost(command):
    # in a process that does nothing else: a fork of one with threads can wait forever for a lock
    kills = [sys.executable, "-m", "tests.data_prep.kills", "--kills", "2", command]
    done = subprocess.run(
        kills,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r": [2-9]\d* kills .* [1-9]\d* datasets came to their end, 0 with", done.stdout
    )
