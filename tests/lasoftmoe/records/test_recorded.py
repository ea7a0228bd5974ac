"""Recorded files say where they come from, keep to the schema, and read back as written."""

import copy
import json
from types import SimpleNamespace

import pandas as pd
import pytest

from lasoftmoe import metrics
from lasoftmoe.experiment import Run, read_run
from lasoftmoe.experiment.tables import load_table, run_table
from lasoftmoe.metrics.intervals import acer_difference
from lasoftmoe.records.comparison import FORMATS, caption, comparison
from lasoftmoe.records.recorded import (
    FOLDER,
    Origin,
    RecordError,
    check_record,
    read_recorded,
    recorded_names,
    runs_record,
    write_recorded,
)

TABLE = load_table("table6")


@pytest.fixture(scope="module")
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
        yield run_table(TABLE, "laptop", (0, 1), overrides)


@pytest.fixture(scope="module")
def record(runs):
    return runs_record(TABLE, runs, "lasoftmoe run table6 --seeds 2")


@pytest.mark.parametrize("name", recorded_names())
def test_every_committed_file_keeps_to_the_schema(name):
    recorded = read_recorded(name)
    assert recorded.origin.command and recorded.facts


@pytest.mark.parametrize("name", recorded_names())
def test_no_committed_file_names_a_path_of_the_machine(name):
    text = (FOLDER / f"{name}.json").read_text()
    for path in ("/work", "/home", "/root", "\\Users"):
        assert path not in text


def test_what_is_written_reads_back(record, tmp_path):
    written = write_recorded(record, tmp_path / "table6.json")
    again = read_recorded("table6", tmp_path)
    assert again.table.equals(written.table) and again.origin == written.origin
    assert again.table[["row", "seed"]].value_counts().eq(1).all() and len(again.table) == 8
    assert again.facts["dataset"]["images"] == {"train": 32, "dev": 16, "test": 16}
    assert again.source == f"recorded: laptop, {again.origin.date[:10]}, 2 seeds"


def test_one_row_of_one_seed_is_a_record_without_differences(runs):
    alone = runs_record(TABLE, {"vanilla": runs["vanilla"][:1]}, "lasoftmoe run vanilla --seeds 1")
    recorded = check_record("vanilla", alone)
    assert recorded.source.endswith(", 1 seed") and recorded.differences.empty
    assert len(recorded.intervals) == 2


def test_figures_are_those_of_the_runs(record, runs):
    table = check_record("table6", record).table.set_index(["row", "seed"])
    for row, of_row in runs.items():
        for run in of_row:
            found = table.loc[(row, run.config.seed)]
            assert found["acer"] == run.report["test"]["acer"]
            assert found["dev_auc"] == run.report["dev"]["auc"]
            assert read_run(run.folder.parent / found["run"]).report == run.report
            test = run.scores[run.scores["split"] == "test"]
            prints = test[~test["is_attack"] | (test["attack_type"] == "print")]
            auc = metrics.auc(prints["attack_score"], prints["is_attack"])
            assert found["auc_per_type"]["print"] == pytest.approx(auc)


def test_what_happens_to_reprocessed_live_images_is_recorded_where_it_is_known(runs, monkeypatch):
    plain = runs_record(TABLE, {"vanilla": runs["vanilla"]}, "x")
    assert {entry["metric"] for entry in plain["intervals"]} == {"acer", "auc"}
    assert plain["runs"][0]["live_rejected"] == {}

    def dealt(run):
        test = run.scores[run.scores["split"] == "test"]
        table = test[["id"]].assign(nuisance=["none", "jpeg"] * (len(test) // 2))
        return {"test": SimpleNamespace(table=table)}

    monkeypatch.setattr(Run, "datasets", dealt)
    record = runs_record(TABLE, {"vanilla": runs["vanilla"]}, "x")
    recorded = check_record("table6", record)
    found = recorded.intervals.set_index("metric").loc["reprocessed_gap"]
    rejected = pd.DataFrame(recorded.table["live_rejected"].tolist())
    assert set(rejected) == {"none", "jpeg"}
    assert found["estimate"] == pytest.approx((rejected["jpeg"] - rejected["none"]).mean())
    assert found["low"] <= found["estimate"] <= found["high"]
    text = comparison(TABLE, {"here": recorded}).to_string()
    assert "gap" not in text.lower()


def test_differences_are_paired_for_all_seeds_and_for_each(record, runs):
    recorded = check_record("table6", record)
    assert len(recorded.differences) == 3 * 2 * 3  # rows, metrics; both seeds, seed 0, seed 1
    pair = [
        (run.scores[run.scores["split"] == "test"], run.report["threshold"])
        for run in (runs["soft_moe"][1], runs["vanilla"][1])
    ]
    expected = acer_difference(*pair)
    assert recorded.difference("soft_moe", seed=1) == expected
    together = recorded.difference("soft_moe", "auc")
    each = [recorded.difference("soft_moe", "auc", seed).estimate for seed in (0, 1)]
    assert together.estimate == pytest.approx(sum(each) / 2)
    with pytest.raises(KeyError, match="no difference in acer of 'vanilla'"):
        recorded.difference("vanilla")


def test_the_curve_is_the_log_made_thin(record, runs):
    curve = record["runs"][0]["curve"]
    log = runs["vanilla"][0].log
    assert curve["step"] == log["step"].tolist()  # few enough steps to keep them all
    assert curve["loss"] == pytest.approx(log["loss"].tolist(), abs=1e-4)
    assert curve["dev_auc"] == log["dev_auc"].dropna().tolist()


def broken(record, **changes):
    """The record with values changed by path, such as ``runs__0__test__acer=2``."""
    result = copy.deepcopy(record)
    for path, value in changes.items():
        *parents, last = (int(key) if key.isdigit() else key for key in path.split("__"))
        place = result
        for key in parents:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": None}, "commit"),
        ({"commit": "main"}, "'main' is not 40 hexadecimal digits"),
        ({"date": "yesterday"}, "'yesterday' is not in ISO 8601"),
        ({"date": "2026-11-21T10:00:00"}, "names no time zone"),
        ({"hardware": " "}, "hardware is empty"),
        ({"versions": {"python": "3.11"}}, "versions lack torch"),
        ({"runs__0__test__acer": 2.0}, "acer"),
        ({"runs__0__test__threshold_source": "test EER"}, "threshold_source"),
        ({"runs__0__seed": -1}, "seed"),
        ({"runs__2__row": "vanilla"}, "unique"),
        ({"runs__0__curve__loss": [1.0]}, "curve"),
        ({"runs__0__train_cpu_seconds": None}, "train_cpu_seconds"),
        ({"differences__0__low": 0.9, "differences__0__high": -0.9}, "SchemaError"),
        ({"differences__0__metric": "accuracy"}, "metric"),
        ({"differences__0__row": "hard_moe"}, "differences of rows without runs: hard_moe"),
        ({"reference": "hard_moe"}, "'hard_moe' has no runs"),
        ({"dataset__checksum": ""}, "no checksum"),
    ],
)
def test_what_breaks_the_schema_is_refused_with_its_place(record, changes, message, tmp_path):
    path = tmp_path / "table6.json"
    path.write_text(json.dumps(broken(record, **changes)))
    with pytest.raises(RecordError, match=message) as caught:
        read_recorded("table6", tmp_path)
    assert str(path) in str(caught.value)


def test_a_broken_record_is_not_written(record, tmp_path):
    with pytest.raises(RecordError):
        write_recorded(broken(record, commit="main"), tmp_path / "table6.json")
    assert not list(tmp_path.iterdir())


def test_files_without_runs_need_their_origin_only(record, tmp_path):
    origin = {key: record[key] for key in ("commit", "date", "command", "hardware", "versions")}
    write_recorded({**origin, "layers": [1, 2]}, tmp_path / "benchmark.json")
    recorded = read_recorded("benchmark", tmp_path)
    assert recorded.table.empty and recorded.facts == {"layers": [1, 2]}
    with pytest.raises(RecordError, match=r"no .*table9\.json; recorded are benchmark"):
        read_recorded("table9", tmp_path)


def test_nothing_is_recorded_outside_of_a_checkout(monkeypatch):
    monkeypatch.setattr("lasoftmoe.records.recorded.provenance.commit", lambda: None)
    with pytest.raises(RecordError, match="from a git checkout only"):
        Origin.now("lasoftmoe run table6")


def test_no_runs_and_runs_on_other_data_are_no_record(runs):
    with pytest.raises(RecordError, match="table6 has no finished run"):
        runs_record(TABLE, {}, "command")
    other = copy.deepcopy(runs["vanilla"][0])
    other.report["dataset"]["checksum"] = "else"
    with pytest.raises(RecordError, match="differ in data or preset"):
        runs_record(TABLE, {"vanilla": [*runs["vanilla"], other]}, "command")


def test_ours_and_the_papers_stand_side_by_side_with_their_sources(record):
    recorded = check_record("table6", record)
    table = comparison(TABLE, {"this machine": recorded})
    assert table["source"].value_counts().to_dict() == {
        "this machine": 4, "reported by the paper, Table 6": 3,
    }  # fmt: skip
    paper = table[table["source"].str.startswith("reported")].set_index("method")
    assert paper.loc["la_soft_moe", "ACER"] == "0.32"
    ours = table[table["source"] == "this machine"].set_index("method")
    assert ours.loc["vanilla", "ACER - vanilla"] == "-"
    assert ours.loc["soft_moe", "ACER - vanilla"] == str(recorded.difference("soft_moe"))
    assert "[" in ours.loc["soft_moe", "AUC"] and ours.loc["soft_moe", "seeds"] == "0, 1"
    assert "not comparable with ours" in caption(TABLE)


@pytest.mark.parametrize(
    ("form", "sign"),
    [("text", "la_soft_moe"), ("markdown", "| --- |"), ("latex", r"la\_soft\_moe")],
)
def test_every_form_holds_every_figure(record, form, sign):
    table = comparison(TABLE, {"this machine": check_record("table6", record)})
    text = FORMATS[form](table, caption(TABLE))
    assert sign in text
    for value in table["ACER"]:
        assert value in text
