"""Presets open with what the records say."""

from __future__ import annotations

import json

import pytest
import yaml

from lasoftmoe.records.recorded import FOLDER, read_recorded
from tools.preset_lines import BEGINNINGS, MISSING, outcomes, preset_files, preset_lines, with_lines


@pytest.mark.parametrize("path", preset_files(), ids=lambda path: "/".join(path.parts[-3:]))
def test_a_preset_opens_with_what_is_recorded(path):
    text = path.read_text("utf-8")
    assert text == with_lines(text, path), "run `python -m tools.preset_lines`"
    assert text.count(BEGINNINGS[0]) == text.count(BEGINNINGS[1]) == text.count(BEGINNINGS[2]) > 0


def test_lines_follow_the_record(tmp_path):
    laptop = preset_files()[0]
    assert preset_lines(laptop, "laptop", tmp_path)[1:] == [b + MISSING for b in BEGINNINGS[1:]]
    outcomes.cache_clear()
    record = json.loads((FOLDER / "table6.json").read_text("utf-8"))
    for run in record["runs"]:
        run["test"]["acer"] = 0.25
        run["train_cpu_seconds"] = 33.0
    (tmp_path / "table6.json").write_text(json.dumps(record), "utf-8")
    command, time, result = preset_lines(laptop, "laptop", tmp_path)
    assert command.startswith("# Command: lasoftmoe run table6")
    assert "vanilla 33, soft_moe 33, la_soft_moe 33" in time
    assert "vanilla 25.0%, soft_moe 25.0%, la_soft_moe 25.0%" in result


def test_rows_that_change_the_preset_do_not_count(tmp_path):
    """Each prompt is a row of the same experiment, with an override."""
    record = (FOLDER / "prompts.json").read_text("utf-8")
    (tmp_path / "prompts.json").write_text(record, "utf-8")
    assert "la_soft_moe" in set(read_recorded("prompts", tmp_path).table["experiment"])
    assert outcomes("laptop", tmp_path) == {}


def test_a_gpu_record_gives_the_time_of_the_a100_preset(tmp_path):
    a100 = preset_files()[1]
    time = preset_lines(a100, "a100", tmp_path)[1]
    assert time == f"# Time: {MISSING}: python -m benchmarks.gpu --only preset_la_soft_moe"
    facts = {"device": "cuda", "tiny": False, "summary": "", "hardware": "NVIDIA H100"}
    facts |= {"date": "2026-11-28T10:00:00+00:00", "commit": "0" * 40, "command": "x"}
    facts |= {"versions": {"python": "3.12", "torch": "2.14"}, "rows": [{"steps_per_second": 7.5}]}
    for name in ("vanilla", "soft_moe", "la_soft_moe"):
        (tmp_path / f"gpu_preset_{name}.json").write_text(json.dumps(facts), "utf-8")
    assert preset_lines(a100, "a100", tmp_path)[1] == (
        "# Time: steps per second: vanilla 7.5, soft_moe 7.5, la_soft_moe 7.5 (NVIDIA H100)"
    )


def test_lines_are_replaced_and_change_no_value():
    for path in preset_files():
        text = path.read_text("utf-8")
        changed = text.replace("# Time: ", "# Time: 99 ")
        assert changed != text and with_lines(changed, path) == text
        bare = [line for line in text.splitlines() if not line.startswith(BEGINNINGS)]
        assert yaml.safe_load(text) == yaml.safe_load("\n".join(bare))
