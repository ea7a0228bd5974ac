"""The loop: reproducible to the bit, resumable, and it learns."""

import math
import re
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from lasoftmoe.data.moves import flip_and_shift, move_batch
from lasoftmoe.detector import Group
from lasoftmoe.evaluation import score
from lasoftmoe.experiment import load_config
from lasoftmoe.metrics import auc
from lasoftmoe.paths import ROOT
from lasoftmoe.training import loop as training
from lasoftmoe.training.checkpoint import Checkpoint, CheckpointError
from lasoftmoe.training.config import PAPER_LEARNING_RATE, TrainingConfig
from lasoftmoe.training.loop import LOG_COLUMNS, TrainingError, train
from lasoftmoe.training.optimizer import make_optimizer, schedule
from lasoftmoe.weights_files import load_weights, save_weights
from tests.lasoftmoe.tiny import TinyDetector

CONFIG = TrainingConfig(epochs=3, batch_size=8, learning_rate=0.01, shift_pixels=1)


def changed(**fields):
    return TrainingConfig(**{**vars(CONFIG), **fields})


def trained(splits, config=CONFIG, seed=0, **arguments):
    detector = TinyDetector()
    log = train(detector, splits["train"], splits["dev"], config, seed, **arguments)
    return detector, log


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_same_seed_same_bits_and_another_seed_others(splits):
    torch.manual_seed(1)
    first, log = trained(splits)
    torch.manual_seed(2)  # the caller's generator has no say
    second, again = trained(splits)
    assert same_weights(first, second)
    assert log.equals(again)
    assert not same_weights(first, trained(splits, seed=1)[0])


def test_the_callers_random_numbers_stay_as_they_were(splits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(splits)
    assert torch.equal(torch.rand(3), expected)


def test_it_learns(splits):
    detector, log = trained(splits, changed(epochs=30, learning_rate=0.1))
    assert log["loss"].iloc[-4:].mean() < 0.8 * log["loss"].iloc[:4].mean()
    table = score(detector, splits["test"], progress=False)
    assert auc(table["attack_score"], table["is_attack"]) > 0.95


def test_log_has_a_row_a_step(splits):
    rows = []
    detector, log = trained(splits, on_step=rows.append)
    columns = ["step", "epoch", "loss", "lr_clip", "lr_moe", "grad_norm", "dev_auc"]
    assert list(log) == columns
    assert log["step"].tolist() == list(range(12)) and log["epoch"].tolist() == [
        e for e in range(3) for _ in range(4)
    ]
    assert [row["loss"] for row in rows] == log["loss"].tolist()
    assert log["dev_auc"].isna().all()
    assert not detector.training


def test_no_epochs_change_nothing(splits):
    detector, log = trained(splits, changed(epochs=0))
    assert same_weights(detector, TinyDetector()) and log.empty and list(log) == LOG_COLUMNS


@pytest.mark.parametrize("epochs_before", [1, 2])
def test_a_training_cut_off_ends_with_the_same_bits(splits, tmp_path, epochs_before):
    whole, log = trained(splits)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")

    def pull_the_plug(row):
        if row["step"] == 4 * epochs_before + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(splits, on_step=pull_the_plug, checkpoint=checkpoint)
    steps = []
    resumed, log_resumed = trained(splits, on_step=steps.append, checkpoint=checkpoint)
    assert steps[0]["step"] == 4 * epochs_before
    assert same_weights(whole, resumed)
    assert log_resumed.equals(log)


def test_a_training_cut_off_within_an_epoch_goes_on_there(splits, tmp_path):
    config = changed(checkpoint_every=3, sampling="class_balanced")
    whole, log = trained(splits, config)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")

    def pull_the_plug(row):
        if row["step"] == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(splits, config, on_step=pull_the_plug, checkpoint=checkpoint)
    steps = []
    # neither worker processes nor the interval of checkpoints change the result
    config = changed(checkpoint_every=1, sampling="class_balanced", num_workers=1)
    resumed, log_resumed = trained(splits, config, on_step=steps.append, checkpoint=checkpoint)
    assert steps[0]["step"] == 8  # saved after 3, 4 (an epoch), 6 and 8 (an epoch)
    assert same_weights(whole, resumed)
    assert log_resumed.equals(log)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits():
    command = [sys.executable, "-m", "tests.lasoftmoe.kills", "--kills", "8"]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert child.returncode == 0, child.stderr
    assert re.search(r"[1-9]\d* trainings came to their end, 0 of them", child.stdout)


def test_a_checkpoint_of_other_choices_is_refused(splits, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    trained(splits, checkpoint=checkpoint)
    with pytest.raises(
        CheckpointError, match=r"epochs = 3, now 4, learning_rate = 0\.01, now 0\.1"
    ):
        trained(splits, changed(epochs=4, learning_rate=0.1), checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="seed = 0, now 1"):
        trained(splits, seed=1, checkpoint=checkpoint)


def test_a_finished_training_is_not_repeated(splits, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    first, log = trained(splits, checkpoint=checkpoint)
    again, log_again = trained(splits, checkpoint=checkpoint, on_step=lambda _: pytest.fail("step"))
    assert same_weights(first, again) and log.equals(log_again)


def test_best_epoch_on_dev_is_kept_also_across_a_cut(splits, tmp_path, monkeypatch):
    scripted = [0.6, 0.9, 0.7]
    at_epoch_ends = []

    def scripted_auc(*_):
        return scripted[len(at_epoch_ends)]  # dev is looked at before on_step

    def note_weights(row):
        if row["step"] % 4 == 3:
            at_epoch_ends.append([p.detach().clone() for p in detector.parameters()])
        if row["step"] == cut_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.metrics, "auc", scripted_auc)
    config = changed(keep_epoch="best_on_dev")
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    detector, cut_at = TinyDetector(), 9
    with pytest.raises(KeyboardInterrupt):
        train(detector, splits["train"], splits["dev"], config, 0, note_weights, checkpoint)
    detector, cut_at = TinyDetector(), None
    log = train(detector, splits["train"], splits["dev"], config, 0, note_weights, checkpoint)
    assert log["dev_auc"].dropna().tolist() == scripted
    assert log.loc[log["dev_auc"].notna(), "step"].tolist() == [3, 7, 11]
    kept = list(detector.parameters())
    assert all(torch.equal(a, b) for a, b in zip(kept, at_epoch_ends[1], strict=True))
    assert not torch.equal(kept[0], at_epoch_ends[2][0])


def test_loss_that_is_not_finite_names_the_step(splits):
    class Diverging(TinyDetector):
        calls = 0

        def training_loss(self, batch):
            self.calls += 1
            return super().training_loss(batch) * (math.nan if self.calls == 6 else 1)

    with pytest.raises(TrainingError, match="the loss is nan at step 5 of 12"):
        train(Diverging(), splits["train"], None, CONFIG, 0)


def test_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(splits, tmp_path):
    class Diverging(TinyDetector):
        calls = 0

        def training_loss(self, batch):
            self.calls += 1
            loss = super().training_loss(batch)
            if self.calls == 6:
                self.moe.weight.register_hook(lambda gradient: gradient * math.nan)
            return loss

    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    detector = Diverging()
    with pytest.raises(TrainingError, match="the norm of the gradient is nan at step 5 of 12"):
        train(detector, splits["train"], None, changed(checkpoint_every=1), 0, None, checkpoint)
    assert all(p.isfinite().all() for p in detector.parameters())
    steps = []
    train(
        TinyDetector(), splits["train"], None, CONFIG, 0, steps.append, checkpoint
    )  # the last good state is there to go on from
    assert steps[0]["step"] == 5


def test_the_papers_rate_is_named_and_used_by_its_preset():
    a100 = load_config("la_soft_moe", "a100").training
    assert a100.learning_rate == PAPER_LEARNING_RATE == 1e-6
    assert a100.optimizer == "adam" and a100.rates == {}


def test_class_balanced_training_sees_both_classes_alike(splits):
    seen = []

    class Watching(TinyDetector):
        def training_loss(self, batch):
            seen.append(int(batch["is_attack"].sum()))
            return super().training_loss(batch)

    rare = splits["train"]
    rare.is_attack[: len(rare) - 3] = False
    train(Watching(), rare, None, changed(sampling="class_balanced"), 0)
    assert seen == [4] * 12


def test_what_cannot_be_trained_is_refused(splits):
    with pytest.raises(TrainingError, match="32 training images do not fill one batch of 64"):
        trained(splits, changed(batch_size=64))
    with pytest.raises(TrainingError, match="dev_set is None"):
        train(TinyDetector(), splits["train"], None, changed(dev_auc=True), 0)
    with pytest.raises(TrainingError, match="no parameter"):
        train(TinyDetector().requires_grad_(False), splits["train"], None, CONFIG, 0)
    with pytest.raises(TrainingError, match="names the group 'head'; this detector has: clip, moe"):
        train(TinyDetector(), splits["train"], None, changed(rates={"head": 0.1}), 0)


def test_both_groups_get_their_rate_and_frozen_weights_none(splits):
    config = changed(rates={"moe": 0.1}, warmup_fraction=0.0, schedule="constant")
    detector = TinyDetector()
    detector.stem.bias.requires_grad_(False)
    optimizer = make_optimizer(detector, config)
    rates = {group["name"]: (group["lr"], len(group["params"])) for group in optimizer.param_groups}
    assert rates == {"clip": (0.01, 1), "moe": (0.1, 2)}
    _, log = trained(splits, config)
    assert set(log["lr_clip"]) == {0.01} and set(log["lr_moe"]) == {0.1}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_optimizer_is_the_one_named(name, kind):
    optimizer = make_optimizer(TinyDetector(), changed(optimizer=name, weight_decay=0.2))
    assert type(optimizer) is kind and optimizer.param_groups[0]["weight_decay"] == 0.2


def test_schedule_warms_up_then_falls_along_a_cosine():
    config = TrainingConfig(warmup_fraction=0.1)
    shares = [schedule(config, step, 100) for step in range(100)]
    assert shares[0] == 0.1 and shares[9] == 1.0 and shares[10] == 1.0
    assert shares[55] == pytest.approx(0.5)
    assert 0 < shares[99] < 0.001
    assert all(a >= b for a, b in pairwise(shares[9:]))
    flat = TrainingConfig(warmup_fraction=0.0, schedule="constant")
    assert {schedule(flat, step, 5) for step in range(5)} == {1.0}


def test_a_staircase_falls_at_its_steps():
    config = TrainingConfig(
        warmup_fraction=0.0, schedule="step", step_fractions=[0.5, 0.75], step_factor=0.1
    )
    shares = [schedule(config, step, 100) for step in range(100)]
    assert shares == pytest.approx([1.0] * 50 + [0.1] * 25 + [0.01] * 25)


def test_a_group_has_a_rate_and_a_decay_of_its_own():
    class Two(TinyDetector):
        def parameter_groups(self):
            groups = super().parameter_groups()
            head = Group(groups["moe"].parameters, rate=10.0, weight_decay=0.0)
            return groups | {"moe": head}

    optimizer = make_optimizer(Two(), changed(weight_decay=0.2))
    found = {g["name"]: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups}
    assert found == {"clip": (0.01, 0.2), "moe": (pytest.approx(0.1), 0.0)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "constnt"}, "'cosine', 'constant' or 'step'"),
        ({"sampling": "unifrom"}, "'uniform' or 'class_balanced'"),
        ({"precision": "bf-16"}, "'no' or 'bf16'"),
        ({"optimizer": "adamax"}, "'adam', 'adamw' or 'sgd'"),
        ({"warmup_fraction": 3.0}, "less than or equal to 1"),
        ({"shift_pixels": -4}, "greater than or equal to 0"),
        ({"clip_grad_norm": -1.0}, "greater than 0"),
        ({"learning_rate": math.nan}, "finite number"),
        ({"schedule": "step"}, "needs at least one"),
        ({"step_fractions": [0.5]}, "no other schedule takes any"),
    ],
)
def test_a_setting_that_no_training_has_is_refused_where_it_is_made(fields, message):
    with pytest.raises(ValueError, match=message):
        changed(**fields)


class Terms(TinyDetector):
    """A loss of two named terms that needs to know something before the first step."""

    needs = ("family",)

    def __init__(self, seed=0):
        super().__init__(seed)
        self.register_buffer("images", torch.zeros(()))
        self.families = set()

    def prepare(self, train_set):
        self.images += len(train_set)

    def augment(self, batch, generator):
        noise = torch.rand(len(batch["image"]), generator=generator)
        return {**batch, "is_attack": batch["is_attack"] & (noise < 0.9)}

    def training_loss(self, batch):
        self.families |= set(batch["family"])
        half = super().training_loss(batch)
        return {"class": half, "weights": 0.01 * self.moe.weight.square().sum()}


def test_named_terms_are_summed_and_logged(splits):
    detector = Terms()
    log = train(detector, splits["train"], None, CONFIG, 0)
    terms = log[["loss_class", "loss_weights"]]
    assert log["loss"].to_numpy() == pytest.approx(terms.sum(axis=1).to_numpy(), abs=1e-6)
    assert (terms > 0).all(axis=None)
    assert detector.families == {"live", "physical", "adversarial"}


def test_a_detector_prepares_once_and_not_after_a_resume(splits, tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.safetensors")
    detector = Terms()
    stop = RuntimeError("stop")

    def stop_at_six(row):
        if row["step"] == 6:
            raise stop

    with pytest.raises(RuntimeError, match="stop"):
        train(detector, splits["train"], None, CONFIG, 0, stop_at_six, checkpoint)
    again = Terms()
    log = train(again, splits["train"], None, CONFIG, 0, checkpoint=checkpoint)
    assert detector.images == again.images == len(splits["train"])
    whole = Terms()
    assert train(whole, splits["train"], None, CONFIG, 0).equals(log)
    assert same_weights(whole, again)


def test_maps_move_with_their_image():
    images = torch.arange(2 * 3 * 8 * 8).view(2, 3, 8, 8)
    batch = {"image": images, "depth": images[:, :1].clone(), "id": ["a", "b"]}
    moved = move_batch(batch, torch.Generator().manual_seed(1), True, 2)
    assert torch.equal(moved["depth"], moved["image"][:, :1]) and moved["id"] == ["a", "b"]
    assert not torch.equal(moved["image"], images)


def test_gradients_are_clipped(splits):
    free, log = trained(splits, changed(clip_grad_norm=None, optimizer="adam"))
    tight, log_tight = trained(
        splits, changed(clip_grad_norm=1e-12, optimizer="adam", weight_decay=0.0)
    )
    assert log["grad_norm"].iloc[0] == pytest.approx(log_tight["grad_norm"].iloc[0])
    # Adam divides by the gradient's size, but 1e-12 is far below its epsilon of 1e-8
    start = TinyDetector().stem.weight
    assert (tight.stem.weight - start).abs().max() < 1e-3 < (free.stem.weight - start).abs().max()


def test_bf16_trains(splits):
    detector, log = trained(splits, changed(precision="bf16"))
    assert next(detector.parameters()).dtype == torch.float32
    assert log["loss"].map(math.isfinite).all()
    assert not log["loss"].equals(trained(splits)[1]["loss"])


def test_flip_and_shift_only_moves_pixels():
    image = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)
    moved = flip_and_shift(image, torch.Generator().manual_seed(0), True, 2)
    assert moved.dtype == torch.uint8 and moved.shape == image.shape
    assert torch.equal(flip_and_shift(image, torch.Generator(), False, 0), image)
    flips = [flip_and_shift(image, torch.Generator().manual_seed(s), True, 0) for s in range(20)]
    assert any(torch.equal(f[0], image[0].flip(2)) for f in flips)
    assert any(torch.equal(f[0], image[0]) for f in flips)
    assert all(torch.equal(f[0], image[0].flip(2)) or torch.equal(f[0], image[0]) for f in flips)


def test_parts_of_a_batch_are_moved_as_the_whole_is():
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    whole = flip_and_shift(images, torch.Generator().manual_seed(3), True, 2)
    parts = [
        flip_and_shift(part, torch.Generator().manual_seed(3), True, 2, number, 3)
        for number, part in enumerate(images.chunk(3))
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_shift_mirrors_at_the_border():
    image = torch.arange(6.0).reshape(1, 1, 1, 6).expand(1, 1, 6, 6)
    rows = set()
    for seed in range(40):
        moved = flip_and_shift(image, torch.Generator().manual_seed(seed), False, 2)
        rows.add(tuple(moved[0, 0, 0].tolist()))
    assert rows == {
        (2, 1, 0, 1, 2, 3),
        (1, 0, 1, 2, 3, 4),
        (0, 1, 2, 3, 4, 5),
        (1, 2, 3, 4, 5, 4),
        (2, 3, 4, 5, 4, 3),
    }


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_weights(TinyDetector(), tmp_path / "w.safetensors")
    other = TinyDetector()
    other.moe = torch.nn.Linear(5, 1)
    with pytest.raises(ValueError, match=r"(?s)w\.safetensors do not fit: moe\.weight"):
        load_weights(other, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"w\.safetensors is not a readable safetensors file"):
        load_weights(other, tmp_path / "w.safetensors")
