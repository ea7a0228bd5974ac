"""The plan for ten million videos is computed, and the page shows what was computed."""

import dataclasses
import re

from benchmarks.scaling import PLAN, Assumptions, Rates, measured, table, with_table

RATES = Rates(3.6, 100_000, 36.0, 1.01, 1000)
SMALL = Assumptions(
    videos=1000,
    video_bytes=10**6,
    frames=10,
    faces_found=0.5,
    cores=2,
    efficiency=0.5,
    core_hour=1.0,
    gigabyte_month=1.0,
    months=2,
    shard_size=5 * 10**6,
    part=100,
)


def values(text):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return {name: value for name, value, _ in rows[2:]}


def test_numbers_of_a_small_plan_by_hand():
    found = values(table(RATES, SMALL))
    assert found["faces as files"] == "0.0 TB"  # 5,000 faces of 100 kB: 0.5 GB
    assert found["core-hours, preparing"] == "1"
    assert found["core-hours, packing"] == "0"
    assert found["hours on all cores"] == "1.0"
    assert found["shards"] == "101" and found["shards per part"] == "10"
    assert found["cost of computing"] == "$1" and found["cost of storing shards"] == "$1"
    assert found["parts"] == "10"


def test_twice_the_videos_cost_twice_as_much():
    once, twice = Assumptions(), Assumptions(videos=2 * 10**7)
    for name in ("cost of computing", "hours on all cores", "shards"):
        told = [values(table(RATES, given))[name] for given in (once, twice)]
        number, double = (float(re.sub(r"[^0-9.]", "", value)) for value in told)
        assert abs(double - 2 * number) <= 2


def test_page_shows_the_computed_table_and_the_assumptions():
    text = PLAN.read_text("utf-8")
    assert with_table(text, table(measured())) == text
    given = dataclasses.asdict(Assumptions())
    for told in (
        f"{given['cores']}, each",
        f"${given['core_hour']}",
        f"{given['part']:,}",
        "256 MB",
    ):
        assert told in text
