"""Tables of runs: which experiments fill which table, and all of their runs, seed by seed.

``presets/tables.yaml`` says what belongs to a table. Each run is cached by its content
(``lasoftmoe.experiment``), so a table that was interrupted goes on where it stopped, and tables
share the runs that they have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lasoftmoe import experiment
from lasoftmoe.experiment import Run, RunError
from lasoftmoe.experiment.config import (
    ConfigError,
    ExperimentConfig,
    known_experiments,
    known_tables,
    load_config,
    merged,
    table_entries,
)
from lasoftmoe.progress import progress_bar

Runs = dict[str, list[Run]]
"""A table's runs: by row, in the order of the seeds."""


@dataclass(frozen=True)
class Row:
    """One method of a table: an experiment, what to change in it, its row in the paper's table."""

    experiment: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    paper: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows to run and compare; ``reference`` is the row that the others are compared with.

    ``paper`` names the table of ``records/reported.yaml`` that stands beside it.
    """

    name: str
    title: str
    rows: dict[str, Row]
    reference: str
    paper: str | None = None


def load_table(name: str) -> Table:
    """A table; an experiment's name gives the table that has this one row.

    Raises:
        ConfigError: neither a table nor an experiment.
    """
    for key, entry in table_entries().items():
        if name in (key, *entry.get("also", [])):
            rows = {row: Row(**values) for row, values in entry["rows"].items()}
            return Table(key, entry["title"], rows, entry["reference"], entry.get("paper"))
    if name in known_experiments():
        return Table(name, name, {name: Row(name)}, name)
    raise ConfigError(
        f"no experiment {name!r}; known experiments: {', '.join(known_experiments())}; "
        f"known tables: {', '.join(known_tables())}"
    )


def table_configs(
    table: Table,
    preset: str | None = None,
    seeds: Iterable[int] = (0,),
    overrides: Mapping[str, Any] | None = None,
) -> list[tuple[str, ExperimentConfig]]:
    """Row and configuration of every run; all rows of a seed come before those of the next.

    Args:
        preset, overrides: as ``lasoftmoe.experiment.run`` takes them.
        seeds: one run of each row for each of them.
    """
    return [
        (name, load_config(row.experiment, preset, seed, merged(row.overrides, overrides or {})))
        for seed in seeds
        for name, row in table.rows.items()
    ]


def run_table(
    table: Table,
    preset: str | None = None,
    seeds: Iterable[int] = (0,),
    overrides: Mapping[str, Any] | None = None,
) -> Runs:
    """Train and evaluate what is missing of a table and return all of its runs.

    Args:
        preset, seeds, overrides: see :func:`table_configs`.

    Raises:
        what ``lasoftmoe.experiment.run`` raises.
    """
    runs: Runs = {name: [] for name in table.rows}
    bar = progress_bar(table_configs(table, preset, seeds, overrides), unit="run")
    for name, config in bar:
        bar.set_description(f"{table.name}: {name}, seed {config.seed}")
        runs[name].append(experiment.run_config(config))
    return runs


def find_runs(
    table: Table,
    preset: str | None = None,
    seeds: Iterable[int] = (0,),
    overrides: Mapping[str, Any] | None = None,
    on_broken: Callable[[RunError], None] | None = None,
) -> Runs:
    """The finished runs of a table, without training any; rows without one are left out.

    Args:
        preset, seeds, overrides: see :func:`table_configs`.
        on_broken: called for each damaged run, which is then left out too.

    Raises:
        RunError: a run is damaged, and there is no ``on_broken``.
    """
    runs: Runs = {}
    configs = table_configs(table, preset, seeds, overrides)
    for name, config in progress_bar(configs, desc="look for runs", leave=False):
        try:
            found = experiment.find_run(config)
        except RunError as error:
            if on_broken is None:
                raise
            on_broken(error)
            continue
        if found:
            runs.setdefault(name, []).append(found)
    return runs
