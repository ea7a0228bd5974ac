"""The one door for reading: regular files only, within limits, errors with file and place."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.cli import main
from data_prep.errors import MissingFile, ReadError, printable, shown
from data_prep.limits import LIMITS, limit, limits_set
from data_prep.media.images import inspect_image
from data_prep.media.video import VideoError, probe
from data_prep.reading import (
    digest_file,
    open_regular,
    read_bytes,
    read_json,
    read_json_lines,
    read_lines,
    read_table,
    read_text,
    read_yaml,
)
from data_prep.releases.jfsfdb.clips import read_hdf5
from tests.data_prep.small import write_small


@contextmanager
def at_most(seconds: int):
    """Fail, rather than wait, where something blocks."""

    def stop(*_):
        raise AssertionError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


READERS = {
    "bytes": read_bytes,
    "digest": digest_file,
    "text": read_text,
    "lines": lambda path: list(read_lines(path)),
    "json": read_json,
    "yaml": read_yaml,
    "table": read_table,
    "hdf5": lambda path: list(read_hdf5(path, 2)),
    "video": probe,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_named_pipe_is_an_error_at_once(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        at_most(10),
        pytest.raises((ReadError, VideoError), match=r"pipe: expected a regular .*pipe"),
    ):
        READERS[reader](tmp_path / "pipe")


@pytest.mark.parametrize("reader", READERS)
def test_what_is_not_there_is_named(reader, tmp_path):
    with pytest.raises((MissingFile, VideoError), match=r"none: no such file"):
        READERS[reader](tmp_path / "none")


def test_devices_folders_and_nulls_are_errors(tmp_path):
    for path, told in (
        ("/dev/zero", "found a device"),
        (tmp_path, "found a folder"),
        (f"{tmp_path}/a\0b", "cannot be opened"),
    ):
        with pytest.raises(ReadError, match=told):
            open_regular(path)


def test_a_device_is_not_even_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(ReadError, match="found a device"):
        open_regular("/dev/zero")


def test_a_device_that_takes_a_files_place_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    regular = (tmp_path / "a.png").stat()
    monkeypatch.setattr(os, "stat", lambda *_, **__: regular)
    with pytest.raises(ReadError, match="found a device"):
        open_regular("/dev/zero")


def test_a_pipe_in_a_dataset_stops_check_without_waiting(tmp_path, capsys):
    write_small(tmp_path)
    (tmp_path / "images/ben-live.png").unlink()
    os.mkfifo(tmp_path / "images/ben-live.png")
    with at_most(20):
        assert main(["check", str(tmp_path)]) == 2
        assert "found a named pipe" in inspect_image(tmp_path / "images/ben-live.png").error
    assert "ben-live.png: expected a regular file, found a named pipe" in capsys.readouterr().err


def test_a_sparse_file_is_refused_by_its_size_and_the_limit_can_be_raised(tmp_path):
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(LIMITS["image_bytes"] + 1)
    with pytest.raises(ReadError, match=r"limit image_bytes is 268,435,456.*--limit image_bytes="):
        read_bytes(path)
    with limits_set([f"image_bytes={2**29}"]):
        assert limit("image_bytes") == 2**29
        assert len(read_bytes(path)) == LIMITS["image_bytes"] + 1
    assert limit("image_bytes") == LIMITS["image_bytes"]


@pytest.mark.parametrize(
    "pair", ["pixels=3", "image_pixels", "image_pixels=-1", "image_pixels=1e9"]
)
def test_a_limit_that_is_none_is_told_with_the_names(pair, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(tmp_path), "--limit", pair])
    assert stopped.value.code == 2
    assert "expected NAME=NUMBER with a name of: image_bytes" in capsys.readouterr().err


def test_the_command_line_raises_and_lowers_limits(tmp_path, capsys):
    write_small(tmp_path)
    assert main(["check", str(tmp_path), "--limit", "image_pixels=63"]) == 2
    assert "8 x 8, has 64 pixels; the limit image_pixels is 63" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 0


JSON = {
    '{"a": 1, "b": {"c": 1, "c": 2}}': "the key 'c' occurs twice in one table",
    '{"a": NaN}': "NaN is no number",
    '{"a": -Infinity}': "-Infinity is no number",
    f'{{"a": {"9" * 5000}}}': "an integer of 5,000 digits",
    "[" * 100_000: "nested too deeply",
    "[" * 80 + "]" * 80: "nested deeper than the limit nesting, 64",
    "{": "not readable JSON",
}


@pytest.mark.parametrize("text", JSON, ids=range(len(JSON)))
def test_json_says_what_is_wrong_and_where(text, tmp_path):
    (tmp_path / "a.json").write_text(text, "utf-8")
    with pytest.raises(ReadError, match=JSON[text]) as failed:
        read_json(tmp_path / "a.json")
    assert "a.json" in str(failed.value) and len(str(failed.value)) < 500


def test_json_within_the_limits_is_read(tmp_path):
    text = "\ufeff" + "[" * 60 + '{"a": [1, null, "x"]}' + "]" * 60
    (tmp_path / "a.json").write_text(text, "utf-8")
    value = read_json(tmp_path / "a.json")
    for _ in range(60):
        (value,) = value
    assert value == {"a": [1, None, "x"]}


YAML = {
    "a: &x [1]\nb: *x": r"a\.yaml, line 1: .*anchors and aliases",
    "a: 1\nb: 2\na: 3": r"a\.yaml, line 3: .*the key 'a' occurs twice",
    "a: " + "[" * 100 + "]" * 100: "nested deeper than the limit nesting",
    "a: !!python/object/apply:os.system ['true']": r"line 1: .*could not determine a constructor",
    "a: [1": "line 1",
    f"a: {'9' * 5000}": "cannot be read as YAML",
}


@pytest.mark.parametrize("text", YAML, ids=range(len(YAML)))
def test_yaml_says_what_is_wrong_and_where(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text, "utf-8")
    with pytest.raises(ReadError, match=YAML[text]):
        read_yaml(tmp_path / "a.yaml")


def test_nested_aliases_cost_nothing(tmp_path):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "a.yaml").write_text("\n".join(lines), "utf-8")
    with at_most(10), pytest.raises(ReadError, match="anchors and aliases are not read"):
        read_yaml(tmp_path / "a.yaml")


def test_lines_have_numbers_and_a_limit(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa b\r\n\n c\u2028d \n".encode())
    assert list(read_lines(path)) == [(1, "a b"), (3, "c\u2028d")]
    path.write_text("a\n" + "9" * 60_000, "utf-8")
    with pytest.raises(
        ReadError, match=r"list.txt, line 2: has more than 8,192 characters; the limit"
    ):
        list(read_lines(path))
    path.write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(ReadError, match=r"list.txt, line 3: not UTF-8"):
        list(read_lines(path))


def test_lists_and_json_of_countless_items_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a\n" * 3_000_001)
    with pytest.raises(ReadError, match=r"a\.txt has more than 3,000,000 items; the limit"):
        for _ in read_lines(tmp_path / "a.txt"):
            pass
    (tmp_path / "a.json").write_text("[" + "{}," * 1_500_000 + "{}]")
    with pytest.raises(ReadError, match=r"a\.json has 3,000,002 items; the limit text_items"):
        read_json(tmp_path / "a.json")
    with limits_set(["text_items=3000002"]):
        assert len(read_json(tmp_path / "a.json")) == 1_500_001


def test_lines_of_json_have_numbers_and_limits(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": NaN}\n[1]\n{\n', "utf-8")
    lines = read_json_lines(path, float)
    assert [next(lines)[0], next(lines)] == [1, (2, [1])]
    with pytest.raises(ReadError, match=r"a\.jsonl, line 3 is not readable JSON"):
        next(lines)
    with pytest.raises(ReadError, match=r"line 1 .*NaN is no number"):
        next(read_json_lines(path))
    with limits_set(["record_characters=4"]), pytest.raises(ReadError, match="more than 4 char"):
        next(read_json_lines(path))


def test_a_table_is_estimated_before_it_is_unpacked(tmp_path):
    words = pd.DataFrame({"id": ["x" * 1000] * 50_000, "n": range(50_000)})
    words.to_parquet(tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 500_000
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), words)
    with (
        limits_set(["table_bytes=40000000"]),
        pytest.raises(
            ReadError,
            match=r"a.parquet has 5\d,\d{3},\d{3} bytes; the limit table_bytes is 40,000,000",
        ),
    ):
        read_table(tmp_path / "a.parquet")
    with limits_set(["table_rows=49999"]), pytest.raises(ReadError, match="has 50,000 rows"):
        read_table(tmp_path / "a.parquet")


NESTED = {
    "list": pa.array([["x" * 1000] * 50] * 2),
    "large list": pa.array([["x"]] * 2, pa.large_list(pa.string())),
    "list of one length": pa.array([["x"]] * 2, pa.list_(pa.string(), 1)),
    "struct": pa.array([{"a": "x"}] * 2),
    "map": pa.array([[("a", "x")]] * 2, pa.map_(pa.string(), pa.string())),
}


@pytest.mark.parametrize("kind", NESTED)
def test_nested_columns_are_refused(kind, tmp_path):
    table = pa.table({"id": ["a", "b"], "deep": NESTED[kind]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ReadError, match=r"a\.parquet: the column 'deep' holds .*expected one"):
        read_table(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", ["id"])["id"].tolist() == ["a", "b"]


ROWS = 50_000
REPEATED = {
    "string": pa.array(["x" * 1000] * ROWS),
    "large string": pa.array(["x" * 1000] * ROWS, pa.large_string()),
    "string view": pa.array(["x" * 1000] * ROWS, pa.string_view()),
    "large binary": pa.array([b"x" * 1000] * ROWS, pa.large_binary()),
    "bytes of one length": pa.array([b"x" * 1000] * ROWS, pa.binary(1000)),
    "dictionary": pa.array(["x" * 1000] * ROWS).dictionary_encode(),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_every_repeated_text_is_counted(kind, tmp_path):
    pq.write_table(pa.table({"an.id": REPEATED[kind]}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 500_000
    with limits_set(["table_bytes=40000000"]), pytest.raises(ReadError, match="limit table_bytes"):
        read_table(tmp_path / "a.parquet")
    assert len(read_table(tmp_path / "a.parquet")) == ROWS


def test_columns_of_equal_names_are_refused(tmp_path):
    table = pa.table([["x"] * ROWS, ["x" * 1000] * ROWS], names=["id", "id"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ReadError, match="two columns have the same name"):
        read_table(tmp_path / "a.parquet")


def test_many_columns_of_one_number_are_counted(tmp_path):
    numbers = pa.table({f"n{number}": pa.array(np.zeros(ROWS)) for number in range(100)})
    pq.write_table(numbers, tmp_path / "a.parquet", compression="zstd")
    with limits_set(["table_bytes=30000000"]), pytest.raises(ReadError, match="has 4"):
        read_table(tmp_path / "a.parquet")


def test_a_small_file_of_many_rows_is_refused(tmp_path):
    part = pa.table({"n": pa.array(np.zeros(1_000_000, np.int8))})
    with pq.ParquetWriter(tmp_path / "a.parquet", part.schema, compression="zstd") as writer:
        for _ in range(11):
            writer.write_table(part)
    with pytest.raises(ReadError, match=r"11,000,000 rows; the limit table_rows is 10,000,000"):
        read_table(tmp_path / "a.parquet")


def test_values_in_messages_are_short_and_printable():
    assert shown("a\x1b[2Jb") == r"'a\x1b[2Jb'"
    assert len(shown("x" * 50_000_000)) < 150
    assert shown(10**6000) == "a number of 19,932 bits"
    assert printable("ok\n\x1b]0;t\x07\udcff") == "ok\n\\x1b]0;t\\x07\\udcff"
    assert len(printable("y" * 10**6)) < 5_000


def test_an_error_of_a_command_holds_no_control_codes(tmp_path, capsys):
    assert main(["check", str(tmp_path / "a\x1b[2Jb")]) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told and r"a\x1b[2Jb" in told


def test_every_limit_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text("utf-8")
    for name in LIMITS:
        assert f"| `{name}` |" in page


def test_a_table_with_text_that_is_not_utf8_is_refused(tmp_path):
    pd.DataFrame({"id": ["zebra", "b"]}).to_parquet(tmp_path / "a.parquet", compression=None)
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"zebra", b"zeb\xffa"))
    with pytest.raises(ReadError, match=r"a\.parquet is not a readable parquet table .*UTF8"):
        read_table(tmp_path / "a.parquet")
