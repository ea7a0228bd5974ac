"""Runs of a table with a tiny detector, and their record."""

import pytest

from lasoftmoe.experiment.tables import load_table, run_table
from lasoftmoe.records.from_runs import runs_record

TABLE = load_table("table6")


@pytest.fixture(scope="session")
def runs(tmp_path_factory, tiny_folder):
    """Table 6 with two seeds of a tiny detector; a seed makes a difference, the method none."""
    from lasoftmoe.experiment import runs as experiment
    from tests.lasoftmoe.tiny import TinyDetector

    overrides = {
        "data": {"folder": str(tiny_folder), "image_size": 16},
        "training": {"epochs": 1, "batch_size": 8, "dev_auc": True},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASOFTMOE_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setattr(experiment, "build_detector", lambda config, seed: TinyDetector(seed))
        return run_table(TABLE, "laptop", (0, 1), overrides)


@pytest.fixture(scope="session")
def record(runs):
    return runs_record(TABLE, runs, "lasoftmoe run table6 --seeds 2")
