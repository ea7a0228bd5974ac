"""What every method in the table keeps to, at its laptop size or smaller.

A new method is tested here by its row alone; tests of what is its own are in a file of its name.
"""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

from lasoftmoe.data.dataset import FaceDataset
from lasoftmoe.detector import FACTS, MAPS, Detector
from lasoftmoe.experiment import find_run, load_config, run
from lasoftmoe.experiment.config import experiment_kind, known_experiments
from lasoftmoe.experiment.preflight import step_cost
from lasoftmoe.methods import (
    METHODS,
    MODULES,
    PRESETS,
    build_detector,
    build_shape,
    method_config,
    parameter_count,
    preset_settings,
)
from lasoftmoe.paths import ROOT
from tests.lasoftmoe.tiny import write_tiny_dataset

KINDS = list(METHODS)
SIZE = 32


def experiment_of(kind):
    """The first experiment of a method that trains."""
    return next(n for n in known_experiments() if n != "zero_shot" and experiment_kind(n) == kind)


def config_of(kind):
    return method_config(kind, preset_settings(kind, "laptop"))


def make(kind, seed=0) -> Detector:
    return build_detector(config_of(kind), seed)


def batch_for(detector, images=16):
    """Live images that are dark and attacks that are bright, with everything a batch can hold."""
    generator = torch.Generator().manual_seed(0)
    is_attack = torch.arange(images) % 2 == 0
    pixels = torch.randint(0, 100, (images, 3, SIZE, SIZE), generator=generator)
    pixels = (pixels + 100 * is_attack[:, None, None, None]).to(torch.uint8)
    names = [f"image-{i}" for i in range(images)]
    types = ["print" if attack else "live" for attack in is_attack]
    batch = {"image": pixels, "is_attack": is_attack, "attack_type": types, "id": names}
    extra = {"family": ["physical" if a else "live" for a in is_attack], "subject": names}
    for name in MAPS:
        extra[name] = torch.full((images, 1, SIZE, SIZE), 200, dtype=torch.uint8)
        extra[f"has_{name}"] = torch.ones(images, dtype=torch.bool)
    wanted = [k for k in extra if k.removeprefix("has_") in detector.needs]
    return batch | {name: extra[name] for name in wanted}


def loss_of(detector, batch):
    loss = detector.training_loss(batch)
    terms = loss if isinstance(loss, dict) else {"loss": loss}
    assert terms and all(isinstance(name, str) and value.ndim == 0 for name, value in terms.items())
    return sum(terms.values())


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_its_row_says_what_it_is(kind):
    method = METHODS[kind]
    assert method.config.kind == kind and MODULES[kind] == f"lasoftmoe.methods.{kind}"
    assert method.paper and dataclasses.is_dataclass(method.config)
    assert sorted(preset_settings(kind, p) != {} for p in ("laptop", "a100")) == [True, True]
    weights = method.weights(config_of(kind))
    assert weights is None or weights.name
    assert method.weights(config_of(kind).unloaded()) is None or weights.field


def test_it_needs_what_a_batch_can_bring(kind):
    assert set(make(kind).needs) <= {*MAPS, *FACTS}


def test_the_loss_is_finite_and_reaches_every_group(kind):
    detector = make(kind).train()
    loss = loss_of(detector, batch_for(detector))
    assert loss.isfinite()
    loss.backward()
    for name, group in detector.parameter_groups().items():
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in group.parameters), name


def test_attacks_score_higher_after_some_steps(kind):
    detector = make(kind).train()
    batch = batch_for(detector)
    optimizer = torch.optim.AdamW([p for p in detector.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss_of(detector, batch).backward()
        optimizer.step()
    with torch.no_grad():
        scores = detector.eval().attack_score(batch["image"])
    attack, live = scores[batch["is_attack"]], scores[~batch["is_attack"]]
    assert attack.mean() > live.mean()
    assert (attack[:, None] > live).float().mean() > 0.9


def test_a_score_is_one_number_for_each_image_and_of_that_image_alone(kind):
    detector = make(kind).eval()
    images = batch_for(detector)["image"]
    with torch.no_grad():
        scores = detector.attack_score(images)
        alone = torch.cat([detector.attack_score(images[i : i + 1]) for i in range(3)])
    assert scores.shape == (16,) and scores.isfinite().all()
    assert torch.allclose(alone, scores[:3], atol=1e-4)


def test_bytes_and_fractions_score_alike(kind):
    detector = make(kind).eval()
    images = batch_for(detector)["image"]
    with torch.no_grad():
        assert torch.allclose(
            detector.attack_score(images), detector.attack_score(images.float() / 255), atol=1e-5
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_it_scores_in_every_floating_type(kind, dtype):
    detector = make(kind).eval()
    images = batch_for(detector)["image"]
    with torch.no_grad():
        expected = detector.attack_score(images)
        scores = detector.to(dtype).attack_score(images)
    assert scores.dtype == dtype and scores.isfinite().all()
    spread = expected.std().clamp(min=1e-3)
    loose = 1e-3 if dtype == torch.float64 else 3.0
    assert ((scores.float() - expected).abs() <= loose * spread + 0.05 * expected.abs()).all()


def test_the_score_sends_gradients_to_the_image(kind):
    detector = make(kind).eval()
    images = (batch_for(detector)["image"].float() / 255).requires_grad_()
    detector.attack_score(images).sum().backward()
    assert images.grad.isfinite().all() and images.grad.abs().max() > 0


def test_groups_are_a_partition_of_what_is_trained(kind):
    detector = make(kind)
    grouped = [id(p) for g in detector.parameter_groups().values() for p in g.parameters]
    trained = [id(p) for p in detector.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained) and len(set(grouped)) == len(grouped)
    assert all(group.rate > 0 for group in detector.parameter_groups().values())


def test_what_is_frozen_stays(kind):
    detector = make(kind).train()
    frozen = next(detector.parameters()).requires_grad_(False)
    before = frozen.clone()
    groups = [g.parameters for g in detector.parameter_groups().values()]
    optimizer = torch.optim.SGD([p for group in groups for p in group], lr=0.1)
    loss_of(detector, batch_for(detector)).backward()
    optimizer.step()
    assert torch.equal(frozen, before)


def test_the_seed_fixes_the_weights_and_spares_the_global_generator(kind):
    state = torch.random.get_rng_state()
    config = config_of(kind).unloaded()
    first, again, other = (build_detector(config, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_weights_make_the_round_trip(kind):
    first, second = make(kind, 0).eval(), make(kind, 1).eval()
    second.load_state_dict(first.state_dict())
    images = batch_for(first)["image"]
    with torch.no_grad():
        assert torch.equal(first.attack_score(images), second.attack_score(images))


def test_settings_are_plain_values_that_make_the_same_config(kind):
    settings = make(kind).settings()
    assert method_config(kind, settings) == config_of(kind)


def test_its_shape_is_built_without_allocating(kind):
    shape = build_shape(method_config(kind, preset_settings(kind, "a100")))
    assert all(p.device.type == "meta" for p in shape.parameters())
    assert parameter_count(kind, "a100") == sum(p.numel() for p in shape.parameters())
    assert parameter_count(kind, "laptop") == sum(p.numel() for p in make(kind).parameters())


@pytest.mark.parametrize("preset", ["laptop", "a100"])
def test_its_cost_is_counted_before_a_run(kind, preset):
    small = {"training": {"batch_size": 2, "eval_batch_size": 2}}
    cost = step_cost(load_config(experiment_of(kind), preset, 0, small))
    assert cost.trained > 0 and cost.activation_bytes > 0
    assert cost.train_flops > 2 * cost.score_flops > 0


def test_presets_have_their_file(kind):
    assert (PRESETS / f"{kind}.yaml").is_file()
    assert {path.stem for path in PRESETS.glob("*.yaml")} == set(METHODS)


def test_augment_and_prepare_take_what_training_gives_them(kind, tiny_folder, splits):
    detector = make(kind)
    batch = batch_for(detector)
    changed = detector.augment(batch, torch.Generator().manual_seed(0))
    assert set(batch) <= set(changed) and changed["image"].shape[0] == 16
    assert detector.prepare(splits["train"]) is None


@pytest.fixture(scope="module")
def folder_with_maps(tmp_path_factory):
    return write_tiny_dataset(tmp_path_factory.mktemp("maps") / "tiny", size=SIZE, maps=True)


def overrides(folder):
    data = {"folder": str(folder), "image_size": SIZE}
    return {"data": data, "training": {"epochs": 1, "batch_size": 16, "shift_pixels": 1}}


def test_it_runs_as_an_experiment_and_is_found_again(kind, folder_with_maps, runs):
    name = experiment_of(kind)
    done = run(name, "laptop", 0, overrides(folder_with_maps))
    assert done.report["steps"] == len(done.log) > 0 and "loss" in done.log
    rates = {f"lr_{group}" for group in make(kind).parameter_groups()}
    assert rates <= set(done.log)
    again = find_run(load_config(name, "laptop", 0, overrides(folder_with_maps)))
    assert again.folder == done.folder
    dev: FaceDataset = done.datasets()["dev"]
    with torch.no_grad():
        scores = done.detector().attack_score(dev.batch([0, 1])["image"])
    stored = done.scores.loc[done.scores["split"] == "dev", "attack_score"].to_numpy()[:2]
    assert torch.allclose(scores.double(), torch.tensor(stored), atol=1e-4)


@pytest.mark.slow
def test_two_processes_train_as_one(kind, folder_with_maps, tmp_path):
    """One step on two halves of a batch changes the weights as one step on all of it."""
    command = [sys.executable, "-m", "tests.lasoftmoe.methods.one_step", experiment_of(kind)]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    results = []
    for number, start in enumerate((command, [*launch, *command[1:]])):
        out = tmp_path / f"{number}.safetensors"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*start, str(folder_with_maps), str(out)],
            env=environment | {"LASOFTMOE_RUNS": str(tmp_path / "runs")},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        results.append(out)
    from safetensors.torch import load_file

    one, two = (load_file(path) for path in results)
    for name, value in one.items():
        assert torch.allclose(value.double(), two[name].double(), atol=2e-4), name
