"""Damaged files of every kind: our own errors only, bounded memory, nothing written elsewhere."""

import json
import os
import subprocess
import sys

import pytest

from tests.data_prep.fuzzing import GROWTH

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


@pytest.mark.slow
def test_damaged_files_raise_our_errors_and_take_bounded_memory(tmp_path, request):
    count = request.config.getoption("--fuzz")
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.data_prep.fuzzing"]
    ended = subprocess.run(
        [*command, str(tmp_path / "files"), "0", "0", str(count)],
        capture_output=True,
        text=True,
        env={**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"},
    )
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, f"died at {lines[-1:]}: {ended.stderr[-2000:]}"
    result = json.loads(lines[-1])
    print(result)
    assert result["broken"] == []
    assert result["outside"] == []
    assert result["grown"] < GROWTH
    assert result["read"] < count  # the damage shows
