"""Recorded files say where they come from, keep to the schema, and read back as written."""

import copy
import json
import os

import pytest

from lasoftmoe.records.recorded import (
    FOLDER,
    RecordError,
    parse_record,
    read_recorded,
    recorded_names,
    write_recorded,
)


@pytest.mark.parametrize("name", recorded_names())
def test_every_committed_file_keeps_to_the_schema(name):
    recorded = read_recorded(name)
    assert recorded.origin.command and recorded.facts
    assert recorded.origin.commit, "records of the package come from a checkout"
    if len(recorded.table):
        assert recorded.table["commit"].notna().all()


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
        ({"commit": None}, "TypeError.*commit"),
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


def test_results_measured_outside_of_a_checkout_say_so(record, tmp_path):
    elsewhere = {**record, "commit": None, "no_commit": "/x is not a checkout"}
    elsewhere["runs"] = [{**run, "commit": None} for run in record["runs"]]
    recorded = write_recorded(elsewhere, tmp_path / "table6.json")
    assert recorded.origin.commit is None
    assert read_recorded("table6", tmp_path).origin.no_commit == "/x is not a checkout"
    with pytest.raises(RecordError, match="no_commit does not say why"):
        parse_record("table6", {**elsewhere, "no_commit": ""})


def test_the_file_of_a_benchmark_needs_an_origin_too(record, tmp_path):
    made = {key: record[key] for key in ("commit", "date", "command", "hardware")}
    with pytest.raises(RecordError, match="versions"):
        write_recorded({**made, "layers": [1]}, tmp_path / "benchmark.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 9999, None])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "table6.json"
    os.mkfifo(path) if content is None else path.write_text(content)
    with pytest.raises(RecordError, match=r"table6\.json"):
        read_recorded("table6", tmp_path)
