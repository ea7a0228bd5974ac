"""A run is done once, whole or not at all, and reads back as it was."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd
import pytest
import torch

from lasoftmoe.evaluation import from_scores, score
from lasoftmoe.experiment import read_run, runs_table
from lasoftmoe.experiment import runs as experiment
from lasoftmoe.paths import ROOT
from lasoftmoe.training import loop as training
from lasoftmoe.training.checkpoint import Checkpoint
from tests.lasoftmoe.tiny import TinyDetector, write_tiny_dataset

FILES = {"config.yaml", "log.csv", "scores.parquet", "report.json", "model.safetensors"}


def visible(runs):
    return [path.name for path in runs.iterdir() if not path.name.startswith(".")]


def hidden_files(runs):
    return [path for path in runs.glob(".partial/**/*") if path.is_file()]


def pretend_it_took(runs, **seconds):
    """Write other times into the checkpoint that an interrupted run left."""
    saved = Checkpoint(next(runs.glob(".partial/*.safetensors")))
    tensors, header = saved._read()
    saved._replace(tensors, {"state": json.dumps({**header, "seconds": seconds})})


def test_a_run_is_five_files_and_reads_back_identical(tiny_runs, runs):
    run = tiny_runs()
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert visible(runs) == [run.folder.name] and not hidden_files(runs)
    again = read_run(run.folder)
    assert (again.config, again.report) == (run.config, run.report)
    pd.testing.assert_frame_equal(again.scores, run.scores)
    pd.testing.assert_frame_equal(again.log, run.log)


def test_asked_twice_it_is_trained_once(tiny_runs, monkeypatch):
    first = tiny_runs()
    monkeypatch.setattr(experiment, "train", lambda *_, **__: pytest.fail("trained again"))
    second = tiny_runs()
    assert (second.folder, second.report) == (first.folder, first.report)


def test_report_has_what_is_needed_to_trust_and_repeat_it(tiny_runs):
    report = tiny_runs(seed=4).report
    assert report["threshold_source"] == report["test"]["threshold_source"] == "dev EER"
    assert report["threshold"] == report["dev"]["threshold"] == report["test"]["threshold"]
    assert (report["name"], report["preset"], report["seed"]) == ("vanilla", "laptop", 4)
    assert report["dataset"]["images"] == {"train": 32, "dev": 16, "test": 16}
    assert report["parameters"] == {"total": 117, "trained": 117, "moe": 5}
    assert report["steps"] == 8 and report["train_seconds"] > 0
    assert {"python", "torch", "open_clip_torch"} <= set(report["versions"])
    for key in ("hardware", "device", "threads", "date", "commit", "hash", "train_cpu_seconds"):
        assert key in report
    assert set(report["test"]["apcer_per_type"]) == {"print", "fgsm"}
    json.dumps(report, allow_nan=False)


def test_figures_follow_from_the_stored_scores(tiny_runs):
    run = tiny_runs()
    again = from_scores(run.scores)
    assert again.test.to_dict() == run.report["test"]
    assert again.dev.to_dict() == run.report["dev"]
    assert set(run.scores["split"]) == {"dev", "test"}
    assert {"id", "attack_score", "is_attack", "attack_type", "subject"} <= set(run.scores)


def test_reloaded_detector_scores_as_the_trained_one_did(tiny_runs):
    run = tiny_runs()
    stored = run.scores[run.scores["split"] == "test"].drop(columns="split")
    again = score(run.detector(), run.datasets()["test"], progress=False)
    pd.testing.assert_frame_equal(again, stored.reset_index(drop=True))
    report = run.evaluate_on(run.datasets()["test"])
    assert report.acer == run.report["test"]["acer"]
    assert report.threshold_source == f"dev EER of {run.folder.name}"


def test_zero_shot_trains_nothing(tiny_runs):
    run = tiny_runs("zero_shot")
    assert run.log.empty and list(run.log) and run.report["steps"] == 0
    start = TinyDetector(0)
    for a, b in zip(run.detector().parameters(), start.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_error_in_the_middle_leaves_no_run_but_the_last_checkpoint(tiny_runs, runs, monkeypatch):
    def fails(*_, **__):
        raise ValueError("scores went missing")

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "evaluate_detector", fails)
        with pytest.raises(ValueError, match="scores went missing"):
            tiny_runs()
    assert visible(runs) == []
    assert {path.name for path in hidden_files(runs)} >= {"log.csv"}
    monkeypatch.setattr(training._Loop, "step", lambda *_: pytest.fail("trained again"))
    assert tiny_runs().report["steps"] == 8
    assert not hidden_files(runs)


@pytest.mark.parametrize("moment", ["training", "writing"])
def test_an_interrupted_run_goes_on_to_the_same_result(
    tiny_runs, runs, monkeypatch, tmp_path, moment
):
    interrupt_at = {"training": "set_learning_rates", "writing": None}[moment]
    with monkeypatch.context() as patch:
        if interrupt_at:
            real = training.set_learning_rates

            def pull_the_plug(optimizer, config, step, total):
                if step == 6:
                    raise KeyboardInterrupt
                return real(optimizer, config, step, total)

            patch.setattr(training, interrupt_at, pull_the_plug)
        else:

            def no_report(*_):
                raise KeyboardInterrupt

            patch.setattr(experiment, "_report", no_report)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs()
    assert visible(runs) == [] and runs_table().empty
    pretend_it_took(runs, wall=7200.0, cpu=3600.0)
    resumed = tiny_runs()
    assert 7200 < resumed.report["train_seconds"] < 10_000
    assert 3600 < resumed.report["train_cpu_seconds"] < 5_000
    assert not hidden_files(runs)
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "elsewhere"))
    whole = tiny_runs()
    assert whole.folder != resumed.folder and whole.folder.name == resumed.folder.name
    assert whole.report["test"] == resumed.report["test"]
    pd.testing.assert_frame_equal(whole.scores, resumed.scores)
    pd.testing.assert_frame_equal(whole.log, resumed.log)


def test_another_seed_is_another_run(tiny_runs):
    assert tiny_runs(seed=0).folder != tiny_runs(seed=1).folder
    table = runs_table()
    assert table["seed"].tolist() == [0, 1] and set(table["name"]) == {"vanilla"}
    assert (table["ACER"] >= 0).all() and (table["AUC"] <= 100).all()


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no report\.json"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["zero_shot", "vanilla", "la_soft_moe_stable"])
def test_the_embedded_clip_goes_the_same_way(name, tiny_folder, runs):
    overrides = {"data": {"folder": str(tiny_folder), "image_size": 16}}
    if name != "zero_shot":
        overrides["training"] = {"epochs": 1, "batch_size": 16}
    run = experiment.run(name, "laptop", 0, overrides)
    assert (run.report["parameters"]["moe"] > 0) == (name == "la_soft_moe_stable")
    assert run.report["parameters"]["trained"] == run.report["parameters"]["total"]
    again = score(run.detector(), run.datasets()["dev"], progress=False)
    stored = run.scores.loc[run.scores["split"] == "dev", "attack_score"]
    assert again["attack_score"].tolist() == stored.tolist()


CHILD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from lasoftmoe.experiment import runs as experiment
    from tests.lasoftmoe.tiny import TinyDetector

    folder, marks, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    class Slow(TinyDetector):
        def training_loss(self, batch):
            time.sleep(seconds)
            return super().training_loss(batch)
    def build(config, seed):
        with marks.open("a") as file:
            file.write("built\\n")
        return Slow(seed)
    experiment.build_detector = build
    overrides = {"data": {"folder": folder, "image_size": 16},
                 "training": {"epochs": 3, "batch_size": 8}}
    print(experiment.run("vanilla", "laptop", 0, overrides).folder.name)
    """
)


def start_child(tiny_folder, runs, marks, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tiny_folder), str(marks), str(seconds)],
        cwd=ROOT,
        env={**os.environ, "LASOFTMOE_RUNS": str(runs), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_that_ask_for_one_run_train_it_once(tiny_folder, runs, tmp_path):
    marks = tmp_path / "marks"
    children = [start_child(tiny_folder, runs, marks, 0.1) for _ in range(2)]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert marks.read_text() == "built\n"
    assert len(visible(runs)) == 1


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_that_looks_finished(tiny_folder, runs, tmp_path):
    child = start_child(tiny_folder, runs, tmp_path / "marks", 0.2)
    deadline = time.monotonic() + 60
    while not list(runs.glob(".partial/*.safetensors")):  # until a first epoch is done
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert visible(runs) == []
    after = start_child(tiny_folder, runs, tmp_path / "marks", 0.0)
    _, errors = after.communicate(timeout=120)
    assert after.returncode == 0, errors
    assert len(visible(runs)) == 1
    assert len(read_run(runs / visible(runs)[0]).log) == 12


def test_dataset_elsewhere_with_the_same_content_is_the_same_run(tiny_runs, runs, tmp_path):
    first = tiny_runs()
    copy = write_tiny_dataset(tmp_path / "copy")
    overrides = {
        "data": {"folder": str(copy), "image_size": 16},
        "training": {"epochs": 2, "batch_size": 8, "shift_pixels": 1},
    }
    assert experiment.run("vanilla", "laptop", 0, overrides).folder == first.folder
