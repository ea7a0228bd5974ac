"""A preparation that is killed at any moment goes on, and nothing is lost or done twice."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from data_prep.cli import main
from data_prep.manifest import validate
from tests.data_prep.releases.jfsfdb import video

PEOPLE = 8


def release(root):
    for person in range(PEOPLE):
        split = "Test" if person % 3 == 0 else "Train"
        for kind in (1, 2, 3):
            video(root / f"{split}/{person:03d}/{person:03d}-1-{kind}-1-1.mov", person)
    return root


def command(root, out, workers):
    """The arguments of one and the same preparation."""
    places = ["jfsfdb", "siw", "--root", str(root), "--out", str(out)]
    return [*places, "--frames", "3", "--size", "48", "--allow-missing", "--workers", str(workers)]


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def done(out):
    return len(list((out / ".work").glob("*.json"))) - 1


def kill_once(root, out, workers, draw):
    """Start a preparation and kill it, with its workers, after a few more units."""
    target = done(out) + draw.randint(1, 7)
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", *command(root, out, workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and done(out) < target:
        time.sleep(0.002)
    time.sleep(draw.random() * 0.03)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_at_random_moments_ends_like_an_undisturbed_run(tmp_path):
    root, out, draw = release(tmp_path / "release"), tmp_path / "killed", random.Random(0)
    assert main(command(root, tmp_path / "whole", 1)) == 0
    for workers in (1, 2):
        kill_once(root, out, workers, draw)
        assert not (out / "dataset.json").exists()
    assert 0 < done(out) < 3 * PEOPLE
    assert main(command(root, out, 1)) == 0
    assert contents(out) == contents(tmp_path / "whole")
    validate(out)
