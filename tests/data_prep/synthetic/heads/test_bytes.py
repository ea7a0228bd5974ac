"""The same bytes on every processor, in any number of processes."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import pytest

from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.heads.people import sample_people
from data_prep.synthetic.heads.renderer import render
from data_prep.synthetic.heads.session import sample_sessions

SEED, SIZE = 3, 96
LIGHT = "c3556b245d59cb42"
"""Of the radiance and maps of four people."""
IMAGES = "6acbf3314438daac"
"""Of the same, photographed."""


def digests(numbers: Sequence[int]) -> list[tuple[str, str]]:
    """Checksums of light and maps, and of images, of some people."""
    return [_digest(number) for number in numbers]


def _digest(number: int) -> tuple[str, str]:
    sessions = sample_sessions(1, SEED, number)
    drawn = render(sample_people(1, SEED, number), sessions, SIZE)
    light = hashlib.sha256()
    for values in vars(drawn).values():
        light.update(np.ascontiguousarray(values.numpy()).tobytes())
    images = to_bytes(capture(drawn.radiance, sessions, SIZE // 2)).numpy()
    return light.hexdigest()[:16], hashlib.sha256(images.tobytes()).hexdigest()[:16]


def combined(pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    return tuple(
        hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
        for parts in zip(*pairs, strict=True)
    )


def test_checksums_of_a_few_images() -> None:
    """A change of the drawing must be meant: then record the new checksums here."""
    assert combined(digests(range(4))) == (LIGHT, IMAGES)


@pytest.mark.slow
def test_one_and_two_workers_draw_alike() -> None:
    numbers = range(4, 10)
    jobs = [joblib.delayed(_digest)(number) for number in numbers]
    assert joblib.Parallel(n_jobs=2)(jobs) == digests(numbers)


def without_vector_units() -> dict[str, str]:
    """Environment in which numpy uses none of the processor's optional vector units."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(n for n in __cpu_dispatch__ if __cpu_features__[n])
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        without_vector_units(),
        {"OPENBLAS_CORETYPE": "Sandybridge"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_other_processors_draw_alike(environment: dict[str, str]) -> None:
    root = Path(__file__).parents[4]
    module = "tests.data_prep.synthetic.heads.test_bytes"
    program = f"from {module} import *; print(*combined(digests(range(4))))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [LIGHT, IMAGES]
