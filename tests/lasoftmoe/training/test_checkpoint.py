"""A checkpoint is whole or the one before, fits or says why not, and runs nobody's code."""

import ast
import errno
import io
import json
import os
import re
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from lasoftmoe.paths import ROOT
from lasoftmoe.training import checkpoint as module
from lasoftmoe.training.checkpoint import Checkpoint, CheckpointError, TrainingState
from lasoftmoe.weights_files import load_weights, save_weights
from tests.lasoftmoe.tiny import TinyDetector

SETTINGS = {"seed": 0, "learning_rate": 1e-3, "dataset": "abc"}


def stepped(model, steps=3, kind=torch.optim.AdamW):
    optimizer = kind(model.parameters())
    for _ in range(steps):
        sum(p.square().sum() for p in model.parameters()).backward()
        optimizer.step()
    return optimizer


@pytest.fixture
def saved(tmp_path):
    """A checkpoint after three steps, with the model and optimizer that it was made from."""
    model = TinyDetector()
    optimizer = stepped(model)
    checkpoint = Checkpoint(tmp_path / "run.safetensors")
    state = TrainingState(1, [{"step": i, "loss": 0.1 * i} for i in range(3)])
    checkpoint.save(model, optimizer, state, SETTINGS)
    return checkpoint, model, optimizer, state


def test_what_was_saved_comes_back_to_the_bit(saved):
    checkpoint, model, optimizer, state = saved
    other = TinyDetector(seed=1)
    other_optimizer = stepped(other)
    assert checkpoint.load(other, other_optimizer, SETTINGS) == state
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        for name, value in optimizer.state[a].items():
            assert torch.equal(value, other_optimizer.state[b][name])


def test_the_time_of_all_attempts_adds_up(saved):
    checkpoint, model, optimizer, state = saved
    checkpoint.clock.add({"wall": 1000.0, "cpu": 300.0})
    checkpoint.save(model, optimizer, state, SETTINGS)
    second = Checkpoint(checkpoint.path)
    assert second.clock.read()["wall"] < 1000
    second.load(model, optimizer, SETTINGS)
    second.save(model, optimizer, state, SETTINGS)
    third = Checkpoint(checkpoint.path)
    third.load(model, optimizer, SETTINGS)
    seconds = third.clock.read()
    assert 1000 < seconds["wall"] < 1900 and 300 < seconds["cpu"] < 500  # not the first twice


def test_nothing_saved_is_no_state(tmp_path):
    model = TinyDetector()
    assert Checkpoint(tmp_path / "none.safetensors").load(model, stepped(model)) is None


def test_other_settings_are_refused_with_both_values(saved):
    checkpoint, model, optimizer, _ = saved
    with pytest.raises(CheckpointError, match=r"run\.safetensors.*learning_rate = 0\.001, now 1"):
        checkpoint.load(model, optimizer, {**SETTINGS, "learning_rate": 1})
    with pytest.raises(CheckpointError, match="belongs to another training"):
        checkpoint.load(model, optimizer, {})


def test_another_architecture_is_refused_and_left_as_it_was(saved):
    checkpoint, *_ = saved
    other = TinyDetector()
    other.moe = nn.Linear(4, 2)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    optimizer = torch.optim.AdamW(other.parameters())
    with pytest.raises(CheckpointError, match=r"run\.safetensors does not fit.*shape \(1, 4\)"):
        checkpoint.load(other, optimizer, SETTINGS)
    assert all(torch.equal(before[n], v) for n, v in other.state_dict().items())
    assert not optimizer.state


def test_other_names_of_weights_are_refused(saved):
    checkpoint, *_ = saved
    other = TinyDetector()
    other.head, other.moe = other.moe, nn.Identity()
    with pytest.raises(CheckpointError, match=r"(?s)run\.safetensors do not fit: .*head\.weight"):
        checkpoint.load(other, torch.optim.AdamW(other.parameters()), SETTINGS)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "weights only"])
def test_a_damaged_file_is_named_with_what_to_do(saved, damage):
    checkpoint, model, optimizer, _ = saved
    content = checkpoint.path.read_bytes()
    if damage == "weights only":
        save_weights(model, checkpoint.path)
    else:
        new = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"hello" * 9}
        checkpoint.path.write_bytes(new[damage])
    with pytest.raises(
        CheckpointError, match=r"run\.safetensors is not a whole checkpoint.*delete"
    ):
        checkpoint.load(model, optimizer, SETTINGS)


def emptied(tensors, header):
    header["log"] = []


def emptied_everywhere(tensors, header):
    header.update(log=[], steps=0, epoch=0)


def shortened(tensors, header):
    header["log"].pop()


def another_step(tensors, header):
    tensors["optimizer/0/step"] = torch.tensor(7.0)


def without_moments(tensors, header):
    for name in [name for name in tensors if name.startswith("optimizer/")]:
        del tensors[name]


def without_best_weights(tensors, header):
    header["best_dev_auc"] = 0.5


def of_other_best_weights(tensors, header):
    header["best_dev_auc"], tensors["best/head"] = 0.5, torch.zeros(2)


def whole_numbers(tensors, header):
    tensors["model/moe.bias"] = torch.zeros(1, dtype=torch.int64)


def whole_moments(tensors, header):
    tensors["optimizer/0/exp_avg"] = tensors["optimizer/0/exp_avg"].long()


def odd_name(tensors, header):
    tensors["optimizer/first"] = torch.zeros(1)


def odd_type(tensors, header):
    header["epoch"] = "one"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (emptied, "expected 3 log rows"),
        (emptied_everywhere, ""),
        (shortened, "expected 3 log rows"),
        (another_step, "expected an optimizer after 3 steps, not 7"),
        (without_moments, "expected an optimizer after 3 steps, not 0"),
        (without_best_weights, "expected weights of the best epoch"),
        (of_other_best_weights, "do not fit"),
        (whole_numbers, r"moe\.bias has type torch\.int64"),
        (whole_moments, "exp_avg in floating point"),
        (odd_name, "expected optimizer/NUMBER/NAME, found 'first'"),
        (odd_type, "epoch is 'one'"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(saved, change, cause):
    checkpoint, model, optimizer, _ = saved
    tensors, header = checkpoint._read()
    change(tensors, header)
    checkpoint._replace(tensors, {"state": json.dumps(header)})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"{cause}.*delete it to train from the beginning"):
        checkpoint.load(model, optimizer, SETTINGS)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_a_pipe_in_place_of_a_checkpoint_is_not_waited_for(saved):
    checkpoint, model, optimizer, _ = saved
    checkpoint.path.unlink()
    os.mkfifo(checkpoint.path)
    with pytest.raises(CheckpointError, match=r"found a named pipe.*delete it"):
        checkpoint.load(model, optimizer, SETTINGS)


def test_a_full_disk_is_said_and_keeps_the_checkpoint_before(saved, monkeypatch):
    checkpoint, model, optimizer, state = saved
    before = checkpoint.path.read_bytes()

    def fails_half_way(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_file", fails_half_way)
    more = TrainingState(2, [*state.log, {"step": 3}])
    message = r"run\.safetensors after 4 steps cannot be written.*No space.*the one before is still"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.save(model, optimizer, more, SETTINGS)
    assert checkpoint.path.read_bytes() == before
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["run.safetensors"]
    monkeypatch.undo()
    assert checkpoint.load(model, optimizer, SETTINGS) == state


def test_what_a_killed_process_left_is_overwritten(saved):
    checkpoint, model, optimizer, state = saved
    (checkpoint.path.parent / f"{module.TEMPORARY_PREFIX}run.safetensors").write_bytes(b"half")
    checkpoint.save(model, optimizer, state, SETTINGS)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["run.safetensors"]


LIMITED = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    import torch
    from lasoftmoe.training.checkpoint import Checkpoint, CheckpointError, TrainingState

    model = torch.nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters())
    checkpoint = Checkpoint(Path(sys.argv[1]))
    checkpoint.save(model, optimizer, TrainingState(1, [{"step": 0}]))
    before = checkpoint.path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        checkpoint.save(model, optimizer, TrainingState(2, [{"step": 0}, {"step": 1}]))
    except CheckpointError as error:
        print(error)
    assert checkpoint.path.read_bytes() == before
    assert len(checkpoint.load(model, optimizer).log) == 1
    """
)


@pytest.mark.slow
def test_the_systems_limit_on_files_ends_the_same_way(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "run.safetensors")]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    assert "cannot be written" in child.stdout and "File too large" in child.stdout


class Poison:
    """Would leave a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_a_poisoned_pickle_is_refused_without_running_it(saved, tmp_path):
    checkpoint, model, optimizer, _ = saved
    mark = tmp_path / "ran"
    torch.save({"model": Poison(mark)}, checkpoint.path)
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        checkpoint.load(model, optimizer, SETTINGS)
    with pytest.raises(ValueError, match="is a pickle"):
        load_weights(model, checkpoint.path)
    assert not mark.exists()
    torch.load(io.BytesIO(checkpoint.path.read_bytes()), weights_only=False)
    assert mark.exists()  # so the poison works


def test_no_module_reads_pickles():
    reads = re.compile(r"\bpickle\b|torch\.load\(|read_pickle|joblib\.load|allow_pickle=True")
    sources = [p for package in ("lasoftmoe", "data_prep") for p in (ROOT / package).rglob("*.py")]
    assert len(sources) > 40
    found = [path for path in sources if reads.search(without_strings(path))]
    assert not found


def without_strings(path):
    """Code alone: messages and comments may speak of pickles."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.unparse(tree)
