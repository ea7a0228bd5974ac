"""Presets merge into typed configurations; whatever does not fit is refused in words."""

import dataclasses
import shlex

import pytest
import yaml

from lasoftmoe.cli.parser import make_parser
from lasoftmoe.experiment.config import (
    ConfigError,
    command_of,
    config_from_dict,
    config_to_yaml,
    known_experiments,
    known_presets,
    load_config,
    read_config,
    read_yaml,
)
from lasoftmoe.methods import preset_settings
from lasoftmoe.paths import PRESETS


@pytest.mark.parametrize("preset", known_presets())
@pytest.mark.parametrize("name", known_experiments())
def test_every_experiment_loads_under_every_preset_and_survives_yaml(name, preset, tmp_path):
    config = load_config(name, preset, seed=3)
    assert (config.name, config.preset, config.seed) == (name, preset, 3)
    (tmp_path / "config.yaml").write_text(config_to_yaml(config))
    assert read_config(tmp_path / "config.yaml") == config


def test_names_are_those_of_the_contract():
    assert known_presets() == ["a100", "laptop"]
    ours = [
        "zero_shot",
        "vanilla",
        "soft_moe",
        "la_soft_moe",
        "la_soft_moe_stable",
        "top_k_moe",
        "la_soft_moe_softmax_attention",
        "resnet",
    ]
    assert known_experiments()[: len(ours)] == ours  # other methods follow


def test_experiments_differ_in_their_branch_and_nothing_else():
    plain = load_config("vanilla")
    for name, kind, variant in (
        ("soft_moe", "soft", "paper"),
        ("la_soft_moe", "la", "paper"),
        ("la_soft_moe_stable", "la", "stable"),
    ):
        config = load_config(name)
        assert (config.detector.moe.kind, config.detector.moe.variant) == (kind, variant)
        moe = dataclasses.replace(
            config.detector.moe, kind="none", variant="paper", attention="linear"
        )
        detector = dataclasses.replace(config.detector, moe=moe)
        assert dataclasses.replace(config, detector=detector, name="vanilla") == plain
    assert load_config("zero_shot").training.epochs == 0


def test_a100_preset_holds_what_the_paper_states():
    config = load_config("la_soft_moe", "a100")
    assert config.detector.clip.name.startswith("ViT-B-16")
    assert (config.detector.moe.num_experts, config.detector.moe.slots_per_expert) == (4, 49)
    assert config.detector.moe.blocks is None
    assert (config.training.optimizer, config.training.learning_rate) == ("adam", 1e-6)
    assert (config.detector.prompt, config.data.protocol) == ("T-8", "p1")
    assert config.device == "cuda"


@pytest.mark.parametrize("name", ["vanilla", "resnet"])
def test_a100_preset_names_every_choice_with_its_origin(name):
    config = load_config(name, "a100")
    text = (PRESETS / "a100.yaml").read_text()
    fields = dataclasses.asdict(config)
    method = fields.pop("detector")
    for run_only in ("name", "preset", "seed"):
        fields.pop(run_only)
    assert _paths(yaml.safe_load(text)) == _paths(fields)
    assert _paths(preset_settings(config.detector.kind, "a100")) == _paths(method)
    training = text[text.index("training:") :].splitlines()[1:]
    origins = ("paper", "silent", "changes no result", "chooses nothing")
    assert all(any(word in line for word in origins) for line in training)


def _paths(values, start=""):
    nested = [_paths(v, f"{start}{k}.") for k, v in values.items() if isinstance(v, dict)]
    plain = {f"{start}{k}" for k, v in values.items() if not isinstance(v, dict)}
    return plain.union(*nested)


def test_overrides_change_their_field_only():
    config = load_config("soft_moe", overrides={"detector": {"moe": {"num_experts": 8}}})
    assert config.detector.moe.num_experts == 8
    assert config.detector.moe.kind == "soft"
    assert (
        config.detector.moe.slots_per_expert == load_config("vanilla").detector.moe.slots_per_expert
    )


def test_preset_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("LASOFTMOE_PRESET", "a100")
    assert load_config("vanilla").preset == "a100"
    assert load_config("vanilla", "laptop").preset == "laptop"
    monkeypatch.setenv("LASOFTMOE_PRESET", "desktop")
    with pytest.raises(ConfigError, match="no preset 'desktop'; known presets: a100, laptop"):
        load_config("vanilla")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training": {"epochz": 2}}, "epochz"),
        ({"training": {"epochs": "many"}}, "training.epochs"),
        ({"training": {"epochs": -1}}, "training.epochs is -1"),
        (
            {"training": {"learning_rate": 0.0}},
            r"training.learning_rate is 0\.0: .*greater than 0",
        ),
        ({"detector": {"moe": {"kind": "sparse"}}}, "detector.moe.kind"),
        ({"data": {"image_size": 0}}, "data.image_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"training": {"shift_pixels": 96}}, "expected less than data.image_size, 96"),
        ({"detector": 5}, "detector is 5; expected keys and values"),
        ({"detector": {"kind": ["a"]}}, "detector.kind is"),
        ({"device": "tpu"}, "device"),
        ({"colour": 1}, "colour"),
    ],
)
def test_fields_and_values_that_do_not_fit_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config("vanilla", overrides=overrides)


def test_unknown_experiment_lists_the_known_ones():
    with pytest.raises(ConfigError, match="no experiment 'hard_moe'; known experiments: zero_shot"):
        load_config("hard_moe")


def test_numbers_in_yaml_are_numbers():
    text = config_to_yaml(load_config("vanilla", "a100"))
    assert yaml.safe_load(text)["training"]["learning_rate"] == 1e-6
    assert config_from_dict(yaml.safe_load(text)).training.learning_rate == 1e-6


def test_the_command_of_a_run_names_what_was_changed_and_nothing_else():
    assert command_of(load_config("vanilla", "laptop")) == (
        "lasoftmoe run vanilla --preset laptop --seed 0"
    )
    changes = {
        "detector": {"moe": {"blocks": [1, 2]}, "clip": {"pretrained": None}},
        "training": {"epochs": 3, "rates": {"moe": 0.1}},
    }
    typed = command_of(load_config("soft_moe", "laptop", 2, changes))
    assert typed.startswith("lasoftmoe run soft_moe --preset laptop --seed 2 ")
    words = shlex.split(typed)[1:]
    options = make_parser(words).parse_args(words, defaults=False).run
    sections = {name: options[name].as_dict() for name in ("detector", "training")}
    again = load_config(options.name, options.preset, options.seed, sections)
    assert again == load_config("soft_moe", "laptop", 2, changes)


def test_an_anchor_in_a_configuration_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a [1, 1]\nb: [*a, *a]\n")
    with pytest.raises(ConfigError, match=r"config\.yaml, line 1: .*anchors and aliases"):
        read_config(path)
    with pytest.raises(ValueError, match="anchors and aliases"):
        read_yaml(path)  # the way presets are read


@pytest.mark.parametrize("seed", [2**63, 2**64, -1])
def test_a_seed_that_some_generator_refuses_is_refused(seed):
    with pytest.raises(ConfigError, match=r"seed|63 bits"):
        load_config("vanilla", "laptop", seed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -1.0])
def test_a_rate_that_is_no_positive_number_is_refused(value):
    with pytest.raises(ConfigError, match=r"training\.learning_rate"):
        load_config("vanilla", "laptop", overrides={"training": {"learning_rate": value}})
