"""Everything that a GPU is for is made in small on the CPU, so that it works when there is one."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import measurements
from benchmarks.gpu.measurements import MEASUREMENTS, Measurement
from benchmarks.gpu.setting import Disagreement, Setting, Unavailable, relative_error
from lasoftmoe.records.gpu import QUESTIONS, gpu_command, gpu_record, gpu_table
from lasoftmoe.records.recorded import FOLDER, read_recorded

TINY = ["--device", "cpu", "--tiny"]


def measured(name, out, tmp_path, *more):
    """Make one measurement in small; return its record."""
    arguments = [*TINY, "--only", name, "--out", str(out), "--work", str(tmp_path / "work")]
    assert command.main([*arguments, *more]) == 0
    return read_recorded(f"gpu_{name}", out)


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """Two measurements that take no time; returns how often each was made."""
    made = {"first": 0, "second": 0}

    def make(name, setting):
        made[name] += 1
        setting.require_close("one", 0.01, 0.1)
        return {"rows": [{"value": made[name]}], "summary": f"{name} made"}

    stubs = tuple(
        Measurement(name, minutes, lambda setting, name=name: make(name, setting), ("README.md",))
        for name, minutes in (("first", 1.0), ("second", 3.0))
    )
    monkeypatch.setattr(command, "MEASUREMENTS", stubs)
    monkeypatch.setattr(command, "NAMES", list(made))
    return made


def run(tmp_path, *more):
    return command.main([*TINY, "--out", str(tmp_path), "--work", str(tmp_path / "work"), *more])


def test_the_list_is_that_of_the_records():
    assert [measurement.name for measurement in MEASUREMENTS] == list(QUESTIONS)
    for measurement in MEASUREMENTS:
        assert measurement.digest() == measurement.digest()
        assert len(measurement.digest()) == 16


def test_each_record_is_written_at_once_and_made_once(stub, tmp_path, capsys):
    assert run(tmp_path) == 0
    record = read_recorded("gpu_first", tmp_path)
    assert record.facts["rows"] == [{"value": 1}] and record.facts["summary"] == "first made"
    assert record.facts["compared"] == [{"what": "one", "error": 0.01, "at_most": 0.1}]
    assert record.facts["device"] == "cpu" and record.facts["tiny"] is True
    assert record.origin.command == "python -m benchmarks.gpu --only first"
    assert run(tmp_path) == 0
    assert stub == {"first": 1, "second": 1}
    assert "recorded  first" in capsys.readouterr().out
    assert run(tmp_path, "--again", "--only", "second") == 0
    assert stub == {"first": 1, "second": 2}


def test_other_code_is_measured_again(stub, tmp_path, monkeypatch):
    assert run(tmp_path, "--only", "first") == 0
    monkeypatch.setattr(Measurement, "digest", lambda self: "other code")
    assert run(tmp_path, "--only", "first") == 0
    assert stub["first"] == 2


def test_nothing_starts_that_the_time_does_not_suffice_for(stub, tmp_path, capsys):
    assert run(tmp_path, "--minutes", "2") == 1
    assert stub == {"first": 1, "second": 0}
    out = capsys.readouterr().out
    assert "measured  first" in out and "missing   second: may take 3 minutes, 2.0 are left" in out
    assert run(tmp_path, "--list") == 1
    assert "missing   second: not recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [Disagreement("bf16"), Unavailable("2 GPUs"), ImportError("pydantic"), ValueError("x")]
)
def test_a_failure_is_told_and_costs_no_other_measurement(
    stub, tmp_path, capsys, monkeypatch, error
):
    def fails(setting):
        raise error

    first = Measurement("first", 1.0, fails, ("README.md",))
    monkeypatch.setattr(command, "MEASUREMENTS", (first, command.MEASUREMENTS[1]))
    assert run(tmp_path) == 1
    assert stub == {"first": 0, "second": 1}
    assert not (tmp_path / "gpu_first.json").exists()
    out = capsys.readouterr().out
    assert "missing   first: " in out and type(error).__name__ in out and str(error) in out


def test_an_error_above_its_bound_is_a_disagreement(tmp_path):
    setting = Setting(torch.device("cpu"), True, tmp_path)
    setting.require_close("close", 0.1, 0.2)
    for wrong in (0.3, float("nan")):
        with pytest.raises(Disagreement, match="far: the relative error is"):
            setting.require_close("far", wrong, 0.2)
    assert relative_error([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 5.0])]) == pytest.approx(
        34**-0.5
    )
    assert relative_error([torch.zeros(1)], [torch.zeros(1)]) == 0
    assert relative_error([torch.ones(1)], [torch.zeros(1)]) == 1


def test_records_of_the_package_are_of_a_gpu(capsys, tmp_path):
    with pytest.raises(SystemExit):
        command.main(TINY)
    assert "name another folder: --out" in capsys.readouterr().err
    for path in FOLDER.glob("gpu_*.json"):
        facts = json.loads(path.read_text())
        assert facts["device"] == "cuda" and not facts["tiny"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said(capsys, tmp_path):
    assert command.main(["--out", str(tmp_path)]) == 2
    assert "torch sees no GPU here" in capsys.readouterr().err


def test_the_book_says_what_is_not_yet_recorded(tmp_path):
    table = gpu_table(tmp_path)
    assert list(table.index) == list(QUESTIONS)
    assert table.loc["memory", "result"] == f"not yet recorded: {gpu_command('memory')}"
    with pytest.raises(KeyError, match="known: memory"):
        gpu_record("speed")


def test_the_book_shows_a_record_with_its_card(tmp_path):
    facts = {"device": "cuda", "tiny": False, "summary": "all agree", "hardware": "NVIDIA H100"}
    facts |= {"date": "2026-11-28T10:00:00+00:00", "commit": "0" * 40, "command": "x"}
    facts["versions"] = {"python": "3.12", "torch": "2.14"}
    (tmp_path / "gpu_layers_agree.json").write_text(json.dumps(facts))
    row = gpu_table(tmp_path).loc["layers_agree"]
    assert (row["result"], row["card"]) == ("all agree", "NVIDIA H100, 2026-11-28")
    for changed in ({"device": "cpu"}, {"tiny": True}):
        (tmp_path / "gpu_layers_agree.json").write_text(json.dumps(facts | changed))
        assert gpu_table(tmp_path).loc["layers_agree", "result"].startswith("not yet recorded")


# --- each measurement in small ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_layers_agree(tmp_path):
    record = measured("layers_agree", tmp_path, tmp_path)
    names = {row["layer"] for row in record.facts["rows"]}
    assert {"mlp", "top-k", "soft", "la", "la, rank 8", "la stable, rank 8"} <= names
    assert len(record.facts["rows"]) == len(names) * 4 == len(record.facts["compared"])
    single = [row for row in record.facts["rows"] if row["precision"] == "float32"]
    assert all(row["error"] < 1e-4 for row in single), single
    assert {row["layer"] for row in record.facts["rows"] if row["way"] == "compiled"} == names


def test_a_wrong_layer_is_found(tmp_path, monkeypatch):
    from benchmarks.gpu import agreement

    monkeypatch.setattr(
        agreement, "layers", lambda shapes: {"wrong": lambda: torch.nn.Linear(32, 32)}
    )
    right = agreement.on_device
    monkeypatch.setattr(
        agreement, "on_device", lambda *arguments: [1.1 * t for t in right(*arguments)]
    )
    with pytest.raises(Disagreement, match="wrong, float32, eager"):
        agreement.layers_agree(Setting(torch.device("cpu"), True, tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name",
    [
        *("memory", "layer_speed", "tower_step", "rendering"),
        *("layer_speed_compiled", "tower_step_compiled"),
    ],
)
def test_speeds_are_measured_after_results_are_compared(name, tmp_path):
    record = measured(name, tmp_path, tmp_path)
    assert record.facts["compared"] and record.facts["rows"] and record.facts["summary"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vanilla", "soft_moe", "la_soft_moe"])
def test_the_preset_trains_is_killed_and_resumes(name, tmp_path):
    record = measured(f"preset_{name}", tmp_path, tmp_path)
    first, second = record.facts["rows"]
    assert (first["loss_function"], second["loss_function"]) == (
        "clip_contrastive",
        "class_prompt_cross_entropy",
    )
    for row in (first, second):
        assert row["steps"] == len(row["loss"]) == 8
        assert row["killed_at"] == 4 and row["resumed_at"] == 4
        assert row["steps_per_second"] > 0 and 0 <= row["test_auc"] <= 1


@pytest.mark.slow
def test_processes_agree(tmp_path):
    record = measured("processes_agree", tmp_path, tmp_path)
    assert {row["kind"] for row in record.facts["rows"]} == {"ddp", "fsdp2"}
    assert all(row["error"] < 1e-9 for row in record.facts["rows"])


@pytest.mark.slow
def test_pretraining(tmp_path):
    record = measured("pretraining", tmp_path, tmp_path)
    assert record.facts["rows"][0]["steps"] > 3


@pytest.mark.slow
def test_table6_seeds(tmp_path, monkeypatch):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "runs"))  # restored after the test
    record = measured("table6_seeds", tmp_path, tmp_path)
    assert set(record.table["seed"]) == {0, 1} and len(record.table) == 8


def test_every_measurement_names_the_code_that_it_runs():
    for measurement in MEASUREMENTS:
        for name in measurement.code:
            assert (measurements.ROOT / name).exists(), name
