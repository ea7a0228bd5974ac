"""First lines of every preset, from the records: ``python -m tools.preset_lines``.

A preset opens with the command that runs it, the time that it takes, and the result that it gives.
Each line comes from a record, or says that nothing is recorded. A test compares them with the
records, so run this after recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lasoftmoe.experiment.config import experiment_kind, known_experiments, table_entries
from lasoftmoe.methods import PRESETS as METHOD_PRESETS
from lasoftmoe.paths import PRESETS
from lasoftmoe.records.gpu import gpu_command, gpu_record
from lasoftmoe.records.recorded import FOLDER, Recorded, read_recorded, recorded_names

NAMES = ("laptop", "a100")
BEGINNINGS = ("# Command: ", "# Time: ", "# Result: ")
MISSING = "not yet recorded"
MAIN = ("vanilla", "soft_moe", "la_soft_moe")
"""Experiments of the paper's ablation."""


@dataclass(frozen=True)
class Outcome:
    """Recorded runs of one experiment as a preset has it."""

    experiment: str
    seeds: int
    seconds: float
    acer: float
    hardware: str
    date: str


@cache
def outcomes(preset: str, folder: Path = FOLDER) -> dict[str, Outcome]:
    """Return what is recorded of experiments under a preset, from the record with most seeds."""
    found: dict[str, Outcome] = {}
    for name in recorded_names(folder):
        record = read_recorded(name, folder)
        if record.facts.get("preset") != preset or record.table.empty:
            continue
        for experiment, outcome in _outcomes(record).items():
            if experiment not in found or outcome.seeds > found[experiment].seeds:
                found[experiment] = outcome
    return found


def _outcomes(record: Recorded) -> dict[str, Outcome]:
    changed = table_entries().get(record.name, {"rows": {}})["rows"]
    found = {}
    for (row, experiment), runs in record.table.groupby(["row", "experiment"]):
        if changed.get(row, {}).get("overrides"):
            continue  # not as the preset has it
        found[str(experiment)] = Outcome(
            experiment=str(experiment),
            seeds=len(runs),
            seconds=runs["train_cpu_seconds"].mean(),
            acer=100 * runs["acer"].mean(),
            hardware=record.origin.hardware,
            date=record.origin.date[:10],
        )
    return found


def preset_lines(path: Path, preset: str, folder: Path = FOLDER) -> list[str]:
    """Return the lines above a preset in a file; a method's file has a section for each preset."""
    names = list(MAIN)
    if path.parent == METHOD_PRESETS:
        every = [name for name in known_experiments() if experiment_kind(name) == path.stem]
        names = [name for name in MAIN if name in every] or every[:1]
    recorded = outcomes(preset, folder)
    found = [recorded[name] for name in names if name in recorded]
    command = f"lasoftmoe run {'table6' if len(names) > 1 else names[0]}"
    if preset == "a100":
        command = f"LASOFTMOE_DATA=DIR {command} --preset a100"
    time, result = _gpu_time(names, folder) if preset == "a100" else MISSING, MISSING
    if found:
        first = found[0]
        command += f" --seeds {first.seeds}" if first.seeds > 1 else ""
        seconds = ", ".join(f"{o.experiment} {o.seconds:.0f}" for o in found)
        time = f"CPU-seconds: {seconds} ({first.hardware}, {first.date})"
        acers = ", ".join(f"{o.experiment} {o.acer:.1f}%" for o in found)
        result = f"ACER on test, {first.seeds} seed(s): {acers}"
    return [start + part for start, part in zip(BEGINNINGS, (command, time, result), strict=True)]


def _gpu_time(experiments: list[str], folder: Path) -> str:
    """Steps per second of the preset on a GPU, if that is recorded."""
    names = [f"preset_{name}" for name in experiments if name in MAIN]
    if not names:
        return MISSING
    found = {name: gpu_record(name, folder) for name in names}
    missing = [name for name, record in found.items() if record is None]
    if missing:
        return f"{MISSING}: {gpu_command(missing[-1])}"
    rates = {
        name.removeprefix("preset_"): record.facts["rows"][0]["steps_per_second"]
        for name, record in found.items()
        if record is not None
    }
    cards = {record.origin.hardware for record in found.values() if record is not None}
    each = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    return f"steps per second: {each} ({', '.join(sorted(cards))})"


def with_lines(text: str, path: Path) -> str:
    """Return the text of a preset's file with the lines that the records give."""
    lines = [line for line in text.splitlines() if not line.startswith(BEGINNINGS)]
    if path.parent == PRESETS:
        return "\n".join([*preset_lines(path, path.stem), *lines, ""])
    for preset in NAMES:
        at = lines.index(f"{preset}:")
        lines[at:at] = preset_lines(path, preset)
    return "\n".join([*lines, ""])


def preset_files() -> list[Path]:
    """Return the files of all presets."""
    return [*(PRESETS / f"{name}.yaml" for name in NAMES),
            *sorted(METHOD_PRESETS.glob("*.yaml"))]  # fmt: skip


def main() -> None:
    """Rewrite the first lines of all presets."""
    for path in preset_files():
        path.write_text(with_lines(path.read_text("utf-8"), path), "utf-8")


if __name__ == "__main__":
    main()
