"""Two processes train as one does; started as a user starts them, by ``accelerate launch``."""

import os
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from lasoftmoe.experiment import read_run, runs_table
from lasoftmoe.paths import ROOT
from lasoftmoe.training.processes import (
    SharedBatchNorm,
    gather,
    known_weights,
    process_count,
    share_batch_norms,
)
from tests.lasoftmoe import two_processes
from tests.lasoftmoe.methods import one_step
from tests.lasoftmoe.tiny import write_tiny_dataset

LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
LAUNCH += ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no", "--module"]


def launch(*arguments):
    """Start two processes (gloo, since there is no GPU) and wait for them."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    child = subprocess.run(
        [*LAUNCH, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    return child


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Gradients, weights and logs of one process and of two."""
    folder = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASOFTMOE_RUNS", str(folder / "runs"))
        data = write_tiny_dataset(folder / "data", subjects=12, size=24)
        one = two_processes.results(data)
        launch("tests.lasoftmoe.two_processes", data, folder / "two.safetensors")
    return one, load_file(folder / "two.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("loss", two_processes.LOSSES)
@pytest.mark.parametrize(
    ("part", "tolerance"), [("gradient", 1e-11), ("weight", 1e-7), ("log", 1e-9)]
)
def test_two_processes_give_what_one_gives(both, loss, part, tolerance):
    one, two = (
        {name: value for name, value in found.items() if name.startswith(f"{loss}/{part}")}
        for found in both
    )
    assert one.keys() == two.keys() and (part == "log" or len(one) > 50)
    # Where a gradient is zero but for rounding, only its size beside the others means something.
    scale = max(value.double().nan_to_num().abs().max() for value in one.values())
    for name, value in one.items():
        difference = (value.double() - two[name].double()).nan_to_num().abs().max()
        assert difference <= tolerance * scale, name


@pytest.mark.slow
def test_a_run_under_accelerate_launch_is_one_run(tmp_path, monkeypatch):
    data = write_tiny_dataset(tmp_path / "data", subjects=12, size=24)
    runs = tmp_path / "runs"
    monkeypatch.setenv("LASOFTMOE_RUNS", str(runs))
    child = launch(
        "lasoftmoe", "run", "vanilla", "--data.folder", data, "--data.image_size", 24,
        "--training.epochs", 1, "--training.batch_size", 4, "--training.tensorboard", "true",
    )  # fmt: skip
    assert child.stdout.count("vanilla, preset laptop, seed 0") == 1
    table = runs_table()
    assert len(table) == 1
    run = read_run(runs / table["run"][0])
    assert run.report["processes"] == 2 and len(run.log) == 24 // 8
    assert list((run.folder / "tensorboard").glob("events*"))
    assert not [path for path in runs.glob(".partial/*") if path.is_file()]


@pytest.mark.slow
def test_two_processes_share_batch_norms_in_bf16(tmp_path, monkeypatch):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "runs"))
    data, out = write_tiny_dataset(tmp_path / "data", size=32), tmp_path / "two.safetensors"
    launch("tests.lasoftmoe.methods.one_step", "resnet", data, out, "bf16")
    one_step.main("resnet", str(data), str(tmp_path / "one.safetensors"), "bf16")
    one, two = load_file(tmp_path / "one.safetensors"), load_file(out)
    statistics = [name for name in one if "running" in name]
    assert len(statistics) > 20
    for name in statistics:
        assert two[name].dtype == torch.float32
        assert torch.allclose(one[name], two[name], rtol=0.05, atol=0.02), name


@pytest.mark.parametrize(
    "options", [{"affine": False}, {"momentum": None}, {"track_running_stats": False}]
)
def test_a_batch_norm_that_cannot_be_shared_on_cpus_is_refused(options):
    (option,) = options
    with pytest.raises(ValueError, match=f"batch norm has {option}="):
        share_batch_norms(nn.Sequential(nn.BatchNorm2d(3, **options)))


def test_a_batch_norm_that_does_more_than_normalize_is_refused():
    network = timm.create_model("mobilenetv3_small_050")  # its batch norms hold activations
    with pytest.raises(ValueError, match="BatchNormAct2d, which does more than normalize"):
        share_batch_norms(network)


def test_known_weights_make_a_mean_over_known_images():
    known = torch.tensor([True, False, True, True])
    errors = torch.tensor([1.0, 50.0, 2.0, 6.0])
    assert (errors * known_weights(known)).mean() == 3
    assert known_weights(torch.zeros(3, dtype=torch.bool)).tolist() == [0, 0, 0]
    assert torch.equal(known_weights(torch.ones(3, dtype=torch.bool)), torch.ones(3))


def test_alone_nothing_is_gathered():
    rows = torch.randn(3, 4, requires_grad=True)
    assert process_count() == 1 and gather(rows) is rows


def test_shared_batch_norm_alone_is_batch_norm():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Sequential(nn.BatchNorm2d(5), nn.ReLU()))
    images = torch.randn(4, 3, 8, 8)
    expected = model(images)
    weights = list(model.parameters())
    share_batch_norms(model)
    shared = model[1][0]
    assert type(shared) is SharedBatchNorm
    assert all(a is b for a, b in zip(weights, model.parameters(), strict=True))
    assert torch.equal(model.train()(images), expected)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    share_batch_norms(model)
    assert model[1][0] is shared and before.keys() == model.state_dict().keys()
