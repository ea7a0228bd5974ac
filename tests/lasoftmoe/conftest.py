"""Fixtures of the engine's tests: a tiny dataset, and runs that go to a temporary folder."""

import pytest
import torch

from lasoftmoe.data import open_dataset
from tests.lasoftmoe.tiny import TinyDetector, write_tiny_dataset

torch.set_num_threads(1)  # for models of this size more threads only wait for each other


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return write_tiny_dataset(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """An empty runs folder of the test's own."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("LASOFTMOE_RUNS", str(folder))
    return folder


@pytest.fixture
def splits(tiny_folder, runs):
    return open_dataset(tiny_folder, "p1")


@pytest.fixture
def tiny_runs(runs, tiny_folder, monkeypatch):
    """Runs of the tiny detector on the tiny dataset; returns ``run(name, **overrides)``."""
    from lasoftmoe.experiment import runs as experiment

    monkeypatch.setattr(experiment, "build_detector", lambda config, seed: TinyDetector(seed))

    def run(name="vanilla", seed=0, epochs=2, **training):
        training = {"epochs": epochs, "batch_size": 8, "shift_pixels": 1, **training}
        overrides = {"data": {"folder": str(tiny_folder), "image_size": 16}}
        if name != "zero_shot":
            overrides["training"] = training
        return experiment.run(name, "laptop", seed, overrides)

    return run
