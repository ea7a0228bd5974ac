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

from data_prep.building.shards import write_shards
from data_prep.errors import DatasetError
from lasoftmoe.evaluation import from_scores, score
from lasoftmoe.experiment import RunError, broken_runs, load_config, read_run, runs_table
from lasoftmoe.experiment import runs as experiment
from lasoftmoe.metrics.intervals import bootstrap_interval
from lasoftmoe.paths import ROOT
from lasoftmoe.training import loop as training
from lasoftmoe.training.checkpoint import Checkpoint, CheckpointError
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
    assert (report["commit"] is None) == ("no_commit" in report)
    assert report["command"].startswith("lasoftmoe run vanilla --preset laptop --seed 4 ")
    assert "--training.epochs 2" in report["command"]
    assert set(report["test"]["apcer_per_type"]) == {"print", "fgsm"}
    json.dumps(report, allow_nan=False)


def test_figures_follow_from_the_stored_scores(tiny_runs):
    run = tiny_runs()
    again = from_scores(run.scores)
    assert again.test.to_dict() == run.report["test"]
    assert again.dev.to_dict() == run.report["dev"]
    assert set(run.scores["split"]) == {"dev", "test"}
    assert {"id", "attack_score", "is_attack", "attack_type", "subject"} <= set(run.scores)


def test_test_scores_come_with_the_threshold_of_dev(tiny_runs):
    run = tiny_runs()
    scored = run.test_scores()
    assert scored.threshold == run.report["threshold"]
    assert set(scored.scores["split"]) == {"test"} and len(scored.scores) == 16
    assert bootstrap_interval("acer", scored) == bootstrap_interval("acer", run.scores)


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


# --- damaged files ----------------------------------------------------------------------------


def put_pipe(path):
    path.unlink()
    os.mkfifo(path)


def put(text):
    return lambda path: path.write_text(text)


def change(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def without(column):
    return lambda path: pd.read_parquet(path).drop(columns=column).to_parquet(path)


def with_nan(path):
    scores = pd.read_parquet(path)
    scores.loc[0, "attack_score"] = float("nan")
    scores.to_parquet(path)


def shortened(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("report.json", put("{"), r"report\.json is not readable JSON"),
        ("report.json", put("[]"), r"report\.json: .*dictionary"),
        ("report.json", put("{}"), r"report\.json: name is missing"),
        ("report.json", put("[" * 9999), r"report\.json is not readable JSON"),
        (
            "report.json",
            change('"acer": ', '"acer": 7'),
            r"test\.acer is 7.*or equal to 1",
        ),
        ("report.json", change('"steps": ', '"steps": "many", "was": '), "steps is 'many'"),
        ("report.json", put_pipe, r"report\.json: expected a regular file, found a named pipe"),
        ("config.yaml", put("a: &a [1]\nb: *a\n"), r"config\.yaml, line 1: .*anchors and aliases"),
        ("config.yaml", change("seed: 0", "seed: many"), "seed is 'many'"),
        ("config.yaml", put_pipe, "found a named pipe"),
        ("log.csv", put(""), r"log\.csv: not a readable log"),
        ("log.csv", put("step,epoch,loss,dev_auc\n"), r"log\.csv: 0 rows are not the 8 steps"),
        ("log.csv", shortened, r"log\.csv: 7 rows are not the 8 steps of report\.json"),
        ("log.csv", put("hello\n"), r"log\.csv: lacks the columns step"),
        ("log.csv", put_pipe, "found a named pipe"),
        ("scores.parquet", put("hello"), r"scores\.parquet is not a readable parquet table"),
        ("scores.parquet", without("subject"), r"scores\.parquet: lacks the columns subject"),
        ("scores.parquet", with_nan, "attack_score holds something else than finite numbers"),
        ("scores.parquet", put_pipe, "found a named pipe"),
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(tiny_runs, file, damage, message):
    run = tiny_runs()
    damage(run.folder / file)
    with pytest.raises(RunError, match=rf"{message}.*delete the folder .*{run.folder.name}"):
        read_run(run.folder)
    with pytest.raises(RunError, match="delete the folder"):
        tiny_runs()  # nor is it taken from the cache


def test_a_broken_run_does_not_hide_the_others(tiny_runs):
    whole, broken = tiny_runs(seed=0), tiny_runs(seed=1)
    (broken.folder / "report.json").write_text("{")
    assert runs_table()["run"].tolist() == [whole.folder.name]
    assert list(broken_runs()) == [broken.folder.name]
    assert "not readable JSON" in broken_runs()[broken.folder.name]


def test_a_checkpoint_with_an_emptied_log_changes_no_result(tiny_runs, runs, monkeypatch):
    real, steps = training._Loop.step, []

    def stops(self, *arguments):
        if len(steps) == 6:
            raise KeyboardInterrupt
        steps.append(0)
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training._Loop, "step", stops)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs()
    saved = Checkpoint(next(runs.glob(".partial/*.safetensors")))
    tensors, header = saved._read()
    for log in ([], header["log"][:2]):
        saved._replace(tensors, {"state": json.dumps({**header, "log": log, "steps": len(log)})})
        with pytest.raises(CheckpointError, match="delete it to train from the beginning"):
            tiny_runs()
    saved.path.unlink()
    assert tiny_runs().report["steps"] == 8


@pytest.mark.parametrize("damage", [put("hello"), put_pipe])
def test_damaged_weights_of_a_run_are_named(tiny_runs, damage):
    run = tiny_runs()
    damage(run.folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        run.detector()


def test_looking_for_a_run_verifies_the_dataset_once_and_after_a_change(
    tiny_runs, tmp_path, monkeypatch
):
    folder, read = write_tiny_dataset(tmp_path / "own"), []
    real = experiment.read_dataset
    monkeypatch.setattr(experiment, "read_dataset", lambda f: read.append(f) or real(f))
    config = load_config("vanilla", "laptop", overrides={"data": {"folder": str(folder)}})
    assert experiment.find_run(config) is None and experiment.find_run(config) is None
    assert len(read) == 1
    protocol = folder / "protocols" / "p1.parquet"
    pd.read_parquet(protocol).iloc[1:].to_parquet(protocol)
    with pytest.raises(DatasetError, match="p1"):
        experiment.find_run(config)


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


def test_a_run_reads_a_packed_dataset(tiny_runs, tiny_folder, tmp_path):
    write_shards(tiny_folder, tmp_path / "packed", workers=1)
    data = {"folder": str(tmp_path / "packed"), "image_size": 16, "reader": "shards"}
    training = {"epochs": 1, "batch_size": 8, "shift_pixels": 1}
    run = experiment.run("vanilla", "laptop", 0, {"data": data, "training": training})
    assert run.folder != tiny_runs(epochs=1).folder
    assert run.report["dataset"]["images"] == {"train": 32, "dev": 16, "test": 16}
    assert len(run.scores) == 32
    with pytest.raises(DatasetError, match="was packed with protocol 'p1', not 'p2'"):
        experiment.open_datasets(
            load_config("vanilla", "laptop", 0, {"data": {**data, "protocol": "p2"}})
        )
