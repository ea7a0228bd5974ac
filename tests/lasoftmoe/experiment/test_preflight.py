"""What a preset needs is checked before anything slow, and said all at once."""

import pytest

from lasoftmoe.experiment import load_config, preflight
from lasoftmoe.experiment import runs as experiment
from lasoftmoe.experiment.preflight import PresetError, check_requirements


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """No GPU, no dataset, no cache and no hub."""

    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(preflight.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(preflight, "get_hf_file_metadata", unreachable)
    monkeypatch.delenv("LASOFTMOE_DATA", raising=False)
    return monkeypatch


def problems(config, data):
    with pytest.raises(PresetError) as caught:
        check_requirements(config, data)
    return str(caught.value)


def test_everything_missing_is_listed_in_one_error(bare_machine):
    message = problems(load_config("la_soft_moe", "a100"), None)
    assert "preset 'a100' cannot run 'la_soft_moe' here" in message
    for part in ("1. a CUDA GPU", "2. a dataset: LASOFTMOE_DATA", "3. the weights openai of ViT"):
        assert part in message
    for way_out in ("on request", "the preset laptop", "copy that machine's Hugging Face cache"):
        assert way_out in message


def test_it_comes_before_anything_slow(bare_machine):
    bare_machine.setattr(experiment, "open_dataset", lambda *_: pytest.fail("too late"))
    with pytest.raises(PresetError):
        experiment.run("vanilla", "a100")


def test_each_requirement_that_is_met_drops_out(bare_machine, tiny_folder):
    config = load_config("vanilla", "a100")
    bare_machine.setenv("LASOFTMOE_DATA", str(tiny_folder))
    assert experiment.data_folder(config) == tiny_folder
    assert "dataset" not in problems(config, tiny_folder)
    bare_machine.setattr(preflight.torch.cuda, "is_available", lambda: True)
    assert "GPU" not in problems(config, tiny_folder)
    bare_machine.setattr(preflight, "get_hf_file_metadata", lambda *_, **__: "there")
    check_requirements(config, tiny_folder)
    bare_machine.setattr(preflight, "try_to_load_from_cache", lambda *_: "/cache/file")
    check_requirements(config, tiny_folder)


def test_a_dataset_that_is_not_there_names_the_path(bare_machine, tmp_path):
    bare_machine.setenv("LASOFTMOE_DATA", str(tmp_path / "gone"))
    config = load_config("vanilla", "a100")
    assert f"{tmp_path / 'gone'} is not there" in problems(config, tmp_path / "gone")
    (tmp_path / "gone").mkdir()
    assert "dataset.json is not there" in problems(config, tmp_path / "gone")


def test_the_command_that_writes_the_embedded_dataset_is_named(bare_machine, tmp_path):
    bare_machine.setattr(preflight, "EMBEDDED_DATA", tmp_path / "synthetic")
    message = problems(load_config("vanilla", "laptop"), tmp_path / "synthetic")
    assert (
        "`python -m data_prep synthetic --preset laptop --out " in message and "GPU" not in message
    )


def test_weights_named_by_a_path_must_exist(bare_machine, tiny_folder):
    overrides = {"detector": {"clip": {"pretrained": "/nowhere/clip.safetensors"}}}
    config = load_config("vanilla", "a100", overrides=overrides)
    assert "no file at /nowhere/clip.safetensors" in problems(config, tiny_folder)


def test_an_unknown_protocol_is_told_with_those_that_there_are(tiny_folder):
    config = load_config("vanilla", "laptop", 0, {"data": {"protocol": "p9"}})
    message = problems(config, tiny_folder)
    assert "has no readable 'p9', but p1" in message and "Name one with --data.protocol" in message
    assert "writes it" not in message
