"""The benchmark runs, writes what it says, and computes its ratios as it should."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import moe
from benchmarks.growth import BASE, SWEEPS
from benchmarks.layers import Job, Shapes, layers
from benchmarks.timing import Method, Rounds, in_turns
from lasoftmoe.moe import MoEConfig
from lasoftmoe.moe.cost import cost_table
from lasoftmoe.plots.cost_growth import cost_growth


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """What the command wrote at tiny sizes."""
    threads = torch.get_num_threads()
    out = tmp_path_factory.mktemp("benchmark") / "record.json"
    arguments = ["--quick", "--threads", "1", "--clock", "process", "--rounds", "2"]
    assert moe.main([*arguments, "--growth-rounds", "1", "--tower", "--out", str(out)]) == 0
    torch.set_num_threads(threads)
    assert list(out.parent.iterdir()) == [out]
    return json.loads(out.read_text())


def test_ratios_are_medians_over_rounds():
    timed = Rounds({"a": [2.0, 4.0, 9.0], "b": [1.0, 1.0, 1.0]}, [1.0, 2.0, 3.0], 10.0)
    assert timed.median("a") == 4
    assert timed.rate == 5
    assert timed.ratio("a", "b") == 4
    # rounds of 2 / 1, 4 / 2 and 9 / 3 times the product; 5 FLOPs are half a product
    assert timed.over_floor("a", 5.0) == 4


def test_steps_take_turns():
    calls = []
    steps = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    timed = in_turns(steps, Method(3, torch.device("cpu"), product_size=4, repeats=2))
    assert calls == list("aabb") * 5  # two rounds of warming up
    assert [len(seconds) for seconds in timed.seconds.values()] == [3, 3]
    assert len(timed.product_seconds) == 3


@pytest.mark.parametrize("name", ["soft, rank 8", "la, rank 8", "la stable, rank 8"])
def test_counted_flops_are_three_times_the_cost_table(name):
    """Forward once, backward twice: that is what the floor of a training pass is made of."""
    shapes = Shapes(batch=2, tokens=17, dim=24, experts=2, slots=3, rank=8)
    job = Job(layers(shapes)[name](), torch.randn(2, 17, 24, requires_grad=True), torch.float32)
    config = MoEConfig(
        kind=name[: name.index(",")].split()[0],
        variant="paper" if name.startswith("la,") else "stable",
        num_experts=2,
        slots_per_expert=3,
        rank=8,
    )
    cost = cost_table(24, 17, config)["multiply_adds"].sum()
    assert job.flops(job.train) == 3 * 2 * 2 * cost
    assert job.flops(job.forward) == 2 * 2 * cost


def test_the_record_says_where_it_comes_from(record):
    assert record["command"].startswith("python -m benchmarks.moe --quick")
    for field in ("date", "commit", "hardware", "versions", "threads", "load_before"):
        assert record[field] is not None
    names = {row["layer"] for row in record["layers"]}
    assert {"mlp", "soft", "la", "la, rank 8"} <= names
    assert all(row["seconds"] > 0 and row["over_floor"] > 0 for row in record["layers"])
    assert [row["tower"] for row in record["towers"]] == ["vanilla", "la, rank 8, 3 slots"]
    assert record["towers"][0]["over_vanilla"] == 1
    assert len(record["targets"]) >= 2


def test_the_report_names_what_was_missed(record):
    record = {**record, "clock": "wall", "load_before": 5.0}
    text = moe.report(record)
    assert "NOISY: the load was 5.0" in text
    assert "MISSED" in text  # tiny layers are nowhere near their floor
    assert "NOISY" not in moe.report({**record, "load_before": 0.1})


def test_growth_is_measured_beside_its_prediction(record):
    sweeps = {row["sweep"] for row in record["growth"]}
    assert sweeps == {*SWEEPS, "attention"}
    for row in record["growth"]:
        assert row["measured"] > 0 and row["predicted"] > 0
    tokens = [
        r["predicted"] for r in record["growth"] if (r["sweep"], r["layer"]) == ("tokens", "la")
    ]
    assert len(tokens) == len(SWEEPS["tokens"])
    assert BASE.tokens in SWEEPS["tokens"] and BASE.slots in SWEEPS["slots"]


def test_growth_is_drawn(record):
    figure = cost_growth(record, "Cost follows the FLOPs")
    assert figure.get_suptitle() == "Cost follows the FLOPs"
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "tokens per image",
        "slots per expert",
        "experts",
    ]
    assert len(figure.axes[0].lines) == 2 * 3  # three kinds, measured and predicted
    (attention,) = cost_growth(record, "x", ["attention"]).axes
    assert "softmax attention" in [text.get_text() for text in attention.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("record_", "title", "message"),
    [({}, "x", "has no experts, slots, tokens"), ({}, "", "needs a title")],
)
def test_growth_that_cannot_be_drawn(record_, title, message):
    with pytest.raises(ValueError, match=message):
        cost_growth(record_, title)


@pytest.mark.parametrize(
    "arguments", [["--clock", "process"], ["--rounds", "0"], ["--device", "tpu"]]
)
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        moe.main(arguments)
    assert stop.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said(capsys):
    assert moe.main(["--device", "cuda"]) == 2
    assert "no GPU" in capsys.readouterr().err
