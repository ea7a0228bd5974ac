"""A record of runs holds their results, intervals, and curves."""

import copy
from types import SimpleNamespace

import pandas as pd
import pytest

from lasoftmoe import metrics
from lasoftmoe.experiment import Run, read_run
from lasoftmoe.metrics.intervals import acer_difference
from lasoftmoe.records.comparison import comparison
from lasoftmoe.records.from_runs import runs_record
from lasoftmoe.records.recorded import RecordError, parse_record
from tests.lasoftmoe.records.conftest import TABLE


def test_one_row_of_one_seed_is_a_record_without_differences(runs):
    alone = runs_record(TABLE, {"vanilla": runs["vanilla"][:1]}, "lasoftmoe run vanilla --seeds 1")
    recorded = parse_record("vanilla", alone)
    assert recorded.source.endswith(", 1 seed") and recorded.differences.empty
    assert len(recorded.intervals) == 2


def test_figures_are_those_of_the_runs(record, runs):
    table = parse_record("table6", record).table.set_index(["row", "seed"])
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
    recorded = parse_record("table6", record)
    found = recorded.intervals.set_index("metric").loc["reprocessed_gap"]
    rejected = pd.DataFrame(recorded.table["live_rejected"].tolist())
    assert set(rejected) == {"none", "jpeg"}
    assert found["estimate"] == pytest.approx((rejected["jpeg"] - rejected["none"]).mean())
    assert found["low"] <= found["estimate"] <= found["high"]
    text = comparison(TABLE, {"here": recorded}).to_string()
    assert "gap" not in text.lower()


def test_differences_are_paired_for_all_seeds_and_for_each(record, runs):
    recorded = parse_record("table6", record)
    assert len(recorded.differences) == 3 * 2 * 3  # rows, metrics; both seeds, seed 0, seed 1
    pair = (runs["soft_moe"][1], runs["vanilla"][1])
    expected = acer_difference(*(run.test_scores() for run in pair))
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


def test_no_runs_and_runs_on_other_data_are_no_record(runs):
    with pytest.raises(RecordError, match="table6 has no finished run"):
        runs_record(TABLE, {}, "command")
    other = copy.deepcopy(runs["vanilla"][0])
    other.report["dataset"]["checksum"] = "else"
    with pytest.raises(RecordError, match="differ in dataset or preset"):
        runs_record(TABLE, {"vanilla": [*runs["vanilla"], other]}, "command")
