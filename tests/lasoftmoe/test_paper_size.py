"""The a100 preset on a CPU: all of it without numbers, and two layers of its true width with."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.gpu.processes import PROCESSES, cut_detector, small_detector
from lasoftmoe.clip import moe_parameters
from lasoftmoe.data import open_dataset
from lasoftmoe.evaluation import evaluate_detector
from lasoftmoe.experiment.config import load_config
from lasoftmoe.methods import build_shape
from lasoftmoe.training.checkpoint import Checkpoint
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.training.loop import train
from lasoftmoe.training.optimizer import make_optimizer
from tests.lasoftmoe.tiny import write_tiny_dataset

LOSSES = ("clip_contrastive", "class_prompt_cross_entropy")
VIT_B_16 = 149_620_737  # parameters of OpenAI's CLIP


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["vanilla", "soft_moe", "la_soft_moe"])
def test_the_whole_preset_trains_and_scores_in_shapes(name, loss):
    """Build, loss in bf16, gradients, a step of Adam, and scores, at full size and batch."""
    config = load_config(name, "a100", overrides={"detector": {"loss": loss}})
    detector = build_shape(config.detector)
    parameters = sum(p.numel() for p in detector.parameters())
    branches = sum(p.numel() for p in moe_parameters(detector))
    assert parameters - branches == VIT_B_16
    assert (branches > 0) == (name != "vanilla")
    size, side = config.training.batch_size, config.data.image_size
    with FakeTensorMode(allow_non_fake_inputs=True):
        detector.to_empty(device="cpu").train()
        optimizer = make_optimizer(detector, config.training)
        images = torch.empty(size, 3, side, side, dtype=torch.uint8)
        batch = {"image": images, "is_attack": torch.empty(size, dtype=torch.bool)}
        with torch.autocast("cpu", torch.bfloat16):
            value = detector.training_loss(batch)
        assert value.shape == ()
        value.backward()
        assert all(p.grad.shape == p.shape for p in detector.parameters())
        optimizer.step()
        moments = optimizer.state_dict()["state"]
        assert len(moments) == len(list(detector.parameters()))
        with torch.no_grad():
            assert detector.eval().attack_score(images).shape == (size,)


@pytest.mark.slow
def test_two_layers_of_true_width_train_resume_and_are_evaluated(tmp_path, monkeypatch):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "runs"))
    splits = open_dataset(write_tiny_dataset(tmp_path / "data", subjects=4, size=224))
    preset = load_config("la_soft_moe", "a100")
    branch = preset.detector.moe
    assert (branch.num_experts, branch.slots_per_expert, branch.rank) == (4, 49, None)
    changes = {"epochs": 1, "batch_size": 2, "num_workers": 0, "checkpoint_every": 3}
    config = TrainingConfig(**{**vars(preset.training), **changes})
    wanted, found = cut_detector(branch), cut_detector(branch)
    assert wanted.clip.visual.transformer.width == 768
    log = train(wanted, splits["train"], splits["dev"], config, seed=0)
    assert len(log) == 4 and log["dev_auc"].notna().sum() == 1

    class Killed(BaseException):
        pass

    def kill(row):
        if row["step"] == 2:
            raise Killed

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        train(cut_detector(branch), splits["train"], splits["dev"], config, 0, kill,
              Checkpoint(path))  # fmt: skip
    steps = []
    again = train(found, splits["train"], splits["dev"], config, 0, steps.append, Checkpoint(path))
    assert [row["step"] for row in steps] == [3]
    pd.testing.assert_frame_equal(again, log)
    for name, value in wanted.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name
    evaluation = evaluate_detector(found, splits["dev"], splits["test"], batch_size=2)
    assert 0 <= evaluation.test.auc <= 1 and len(evaluation.scores) == 8


def test_the_model_of_the_processes_has_the_true_architecture():
    detector = small_detector()
    assert detector.clip.visual.positional_embedding.shape == (197, 32)
    assert detector.clip.positional_embedding.shape[0] == 77
    assert all(hasattr(block.mlp, "moe") for block in detector.clip.visual.transformer.resblocks)
    assert detector.config.loss == "clip_contrastive" and PROCESSES == 2
    branch = detector.clip.visual.transformer.resblocks[0].mlp.moe
    assert any(p.shape[:2] == (4, 49) for p in branch.parameters())
