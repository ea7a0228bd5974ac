"""What a run needs is counted before it starts, and equals what a real step needs."""

import dataclasses

import pandas as pd
import pytest
import torch

from lasoftmoe.cli.commands import _published_counts
from lasoftmoe.experiment import load_config, preflight
from lasoftmoe.experiment.preflight import StepCost, step_cost
from lasoftmoe.methods import build_detector


def lines(config, data):
    return [str(line) for line in preflight.dry_run(config, data, _published_counts(data))]


def lines_with(config, data, word):
    return [line for line in lines(config, data) if word in line]


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr(preflight, "_obtainable", lambda source: False)
    monkeypatch.setattr(preflight.torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("LASOFTMOE_DATA", raising=False)
    return monkeypatch


@pytest.fixture
def cheap(monkeypatch):
    cost = StepCost(10**6, 10**6, 2**30, 64 * 10**11, 10**10)
    monkeypatch.setattr(preflight, "step_cost", lambda config: cost)
    return cost


def test_the_papers_setting_is_checked_without_a_gpu(no_hub):
    found = lines(load_config("la_soft_moe", "a100"), None)
    assert [line.split()[0] for line in found] == ["MISSING"] * 3 + ["OK"] * 2
    assert "CUDA GPU" in found[0] and "openai" in found[1] and "`datasets`" in found[2]
    assert "393,660,993 parameters" in found[3]
    assert "6,550 steps" in found[4]


def test_parameters_are_those_of_the_detector():
    config = load_config("la_soft_moe_stable", "laptop")
    detector = build_detector(config.detector, 0)
    cost = step_cost(config)
    assert cost.parameters == cost.trained == sum(p.numel() for p in detector.parameters())
    frozen = dataclasses.replace(config.detector, freeze_text=True)
    assert step_cost(dataclasses.replace(config, detector=frozen)).trained < cost.trained


@pytest.mark.parametrize("name", ["vanilla", "la_soft_moe", "resnet"])
def test_activations_are_what_a_real_step_keeps(name):
    overrides = {"training": {"batch_size": 2}}
    config = load_config(name, "laptop", overrides=overrides)
    detector = build_detector(config.detector, 0).train()
    own = {p.untyped_storage().data_ptr() for p in detector.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = tensor
        return tensor

    size = config.data.image_size
    batch = {
        "image": torch.zeros(2, 3, size, size, dtype=torch.uint8),
        "is_attack": torch.tensor([True, False]),
    }
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        detector.training_loss(batch)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert step_cost(config).activation_bytes == pytest.approx(real, rel=0.02)


def test_work_grows_with_the_batch_and_backward_costs_twice_the_forward():
    small, large = (
        step_cost(load_config("vanilla", "laptop", overrides={"training": {"batch_size": size}}))
        for size in (8, 16)
    )
    assert large.train_flops > 1.8 * small.train_flops
    assert 2.5 < small.train_flops / (8 * small.score_flops) < 3.6


def test_bytes_of_a_weight_are_named(cheap):
    assert cheap.bytes == {
        "weights": 4 * 10**6, "gradients": 4 * 10**6, "optimizer": 8 * 10**6, "activations": 2**30,
    }  # fmt: skip


def test_too_little_memory_is_missing_and_says_what_to_lower(no_hub, monkeypatch):
    cost = StepCost(10**9, 10**9, 30 * 2**30, 10**12, 10**10)
    monkeypatch.setattr(preflight, "step_cost", lambda config: cost)
    (line,) = lines_with(load_config("vanilla", "a100"), None, "memory")
    assert line.startswith("MISSING") and "40 GiB" in line and "batch_size" in line


def test_work_follows_from_steps_and_operations(no_hub, cheap):
    (line,) = lines_with(load_config("vanilla", "a100"), None, "work:")
    # 6,550 steps of 6.4e12, and 6,000 * 51 + 21,506 images of 1e10
    operations = 6550 * 64e11 + (6000 * 51 + 21506) * 1e10
    assert f"{operations / 1e12:,.0f} TFLOP with scoring" in line


def test_counts_of_the_embedded_kind_are_shown_and_not_judged(no_hub, cheap, tiny_folder):
    config = load_config("vanilla", "laptop", overrides={"data": {"folder": str(tiny_folder)}})
    found = lines_with(config, tiny_folder, "of them live")
    assert found[0].split(maxsplit=1) == ["OK", "train: 32 images, 16 of them live"]
    assert all(line.startswith("OK") for line in lines(config, tiny_folder))


@pytest.mark.parametrize("off", [0, 1])
def test_counts_of_uniattackdata_are_held_against_the_published_table(
    no_hub, cheap, tiny_folder, monkeypatch, off
):
    published = _published_counts(None)
    counts = published.copy()
    counts.loc["dev", "attack"] -= off
    monkeypatch.setattr(preflight, "_counts", lambda config, data: counts)
    config = load_config("vanilla", "a100", overrides={"data": {"folder": str(tiny_folder)}})
    found = [str(line) for line in preflight.dry_run(config, tiny_folder, published)]
    train, dev, test = [line for line in found if "of them live" in line]
    assert "8,400 images, 3,000 of them live, as the paper's Table 1 says" in train
    assert "21,506 images, 4,500" in test
    assert dev.startswith("MISSING" if off else "OK")
    assert not off or "5,999 images, 1,500 of them live; the paper's Table 1 has 6,000" in dev


def test_published_counts_are_those_of_the_protocol():
    counts = _published_counts(None)
    assert counts.sum(axis=1).tolist() == [8400, 6000, 21506]
    assert isinstance(counts, pd.DataFrame) and counts["live"].tolist() == [3000, 1500, 4500]


def test_a_broken_dataset_is_one_missing_line(no_hub, cheap, tiny_folder, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    (broken / "manifest.parquet").write_bytes(b"nothing")
    config = load_config("vanilla", "laptop", overrides={"data": {"folder": str(broken)}})
    (line,) = lines_with(config, broken, "a dataset that can be read")
    assert line.startswith("MISSING") and "manifest.parquet" in line
