"""Tables name their runs, run them seed by seed and find them again."""

import pytest

from lasoftmoe.experiment import runs as experiment
from lasoftmoe.experiment import tables
from lasoftmoe.experiment.config import ConfigError, known_presets, known_tables
from lasoftmoe.experiment.tables import find_runs, load_table, run_table, table_configs
from lasoftmoe.records.reported import reported

TINY = {"training": {"epochs": 1, "batch_size": 8}}


@pytest.fixture
def tiny(tiny_runs, tiny_folder):
    return {**TINY, "data": {"folder": str(tiny_folder), "image_size": 16}}


@pytest.mark.parametrize("preset", known_presets())
@pytest.mark.parametrize("name", known_tables())
def test_every_table_loads_and_its_rows_differ(name, preset):
    table = load_table(name)
    configs = dict(table_configs(table, preset))
    assert table.reference in table.rows and configs.keys() == table.rows.keys()
    assert len(set(map(str, configs.values()))) == len(configs)


@pytest.mark.parametrize("name", known_tables())
def test_rows_stand_beside_rows_that_the_paper_has(name):
    table = load_table(name)
    wanted = {row.paper for row in table.rows.values() if row.paper}
    assert bool(wanted) == bool(table.paper)
    if table.paper:
        assert wanted <= set(reported(table.paper).results.index)


def test_the_eight_prompts_go_by_the_papers_numbers_too():
    assert load_table("table4") == load_table("table5") == load_table("prompts")
    prompts = [config.detector.prompt for _, config in table_configs(load_table("prompts"))]
    assert prompts == [f"T-{number}" for number in range(1, 9)]
    kinds = {config.detector.moe.kind for _, config in table_configs(load_table("prompts"))}
    assert kinds == {"la"}


def test_losses_are_the_same_three_under_both_presets():
    for preset in known_presets():
        configs = dict(table_configs(load_table("losses"), preset))
        assert configs["equation_1"].detector.loss == "clip_contrastive"
        assert configs["cross_entropy"].detector.loss == "class_prompt_cross_entropy"


def test_an_experiment_is_a_table_of_one_row():
    table = load_table("soft_moe")
    assert list(table.rows) == ["soft_moe"] and table.reference == "soft_moe"


def test_a_name_that_is_neither_lists_both():
    with pytest.raises(ConfigError, match=r"known experiments: zero_shot.*known tables: table6"):
        load_table("table7")


def test_all_rows_of_a_seed_come_before_the_next_seed():
    configs = table_configs(load_table("scratch"), seeds=(0, 3))
    assert [(row, config.seed) for row, config in configs] == [
        ("pretrained", 0), ("scratch", 0), ("pretrained", 3), ("scratch", 3),
    ]  # fmt: skip


def test_overrides_reach_every_row_and_leave_its_own():
    for row, config in table_configs(load_table("losses"), overrides=TINY):
        assert config.training.epochs == 1
        assert (config.detector.loss == "clip_contrastive") == (row == "equation_1")


def test_an_interrupted_table_goes_on_where_it_stopped(tiny, monkeypatch):
    table, real, done = load_table("scratch"), experiment.run_config, []

    def stops_at_the_third(config):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(config)
        return real(config)

    with monkeypatch.context() as patch:
        patch.setattr(tables.experiment, "run_config", stops_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run_table(table, "laptop", (0, 1), tiny)
    found = find_runs(table, "laptop", (0, 1), tiny)
    assert {row: len(runs) for row, runs in found.items()} == {"pretrained": 1, "scratch": 1}
    runs = run_table(table, "laptop", (0, 1), tiny)
    assert [run.config.seed for run in runs["scratch"]] == [0, 1]
    assert runs["scratch"][0].folder == found["scratch"][0].folder


def test_tables_share_the_runs_they_have_in_common(tiny):
    run_table(load_table("vanilla"), "laptop", (0,), tiny)
    assert list(find_runs(load_table("scratch"), "laptop", (0,), tiny)) == ["pretrained"]
    assert find_runs(load_table("table6"), "laptop", (0,), tiny).keys() == {"vanilla"}
    assert find_runs(load_table("table6"), "laptop", (1,), tiny) == {}


def test_looking_for_runs_needs_no_dataset(runs, monkeypatch):
    monkeypatch.delenv("LASOFTMOE_DATA", raising=False)
    assert find_runs(load_table("scratch"), "a100") == {}
