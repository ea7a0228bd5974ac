"""The list of measurements, cheapest and most wanted first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.agreement import layers_agree
from benchmarks.gpu.faces import rendering
from benchmarks.gpu.laptop import pretraining, table6_seeds
from benchmarks.gpu.preset import preset
from benchmarks.gpu.processes import processes_agree
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.speed import layer_speed, memory, tower_step
from data_prep.provenance import ROOT, code_digest

LAYERS = ("lasoftmoe/moe", "benchmarks/layers.py", "benchmarks/gpu/agreement.py")
TIMING = (*LAYERS, "benchmarks/timing.py", "benchmarks/moe.py", "benchmarks/gpu/speed.py")
TOWERS = (*TIMING, "lasoftmoe/clip.py", "benchmarks/tower.py")
TRAINING = (
    *("lasoftmoe/moe", "lasoftmoe/clip.py", "lasoftmoe/losses.py", "lasoftmoe/methods/clip.py"),
    *("lasoftmoe/methods/presets/clip.yaml", "lasoftmoe/experiment/presets", "lasoftmoe/training"),
)
FACES = ("data_prep/synthetic", "benchmarks/gpu/faces.py")


@dataclass(frozen=True)
class Measurement:
    """One entry of the list.

    Attributes:
        name: The record is ``gpu_<name>.json``.
        minutes: Time that it may take on an H100; it is not started with less.
        make: Compares, measures, and returns rows and a summary in one sentence.
        code: Files and folders on which the result depends.
    """

    name: str
    minutes: float
    make: Callable[[Setting], dict[str, Any]]
    code: tuple[str, ...]

    def digest(self) -> str:
        """Return a digest of the code on which the result depends."""
        paths = [ROOT / name for name in self.code]
        files = [
            file for p in paths for file in (p.rglob("*") if p.is_dir() else [p]) if _counts(file)
        ]
        return code_digest(files, ROOT)[:16]


def _counts(file: Path) -> bool:
    return file.is_file() and file.suffix != ".pyc"


PRESET = (*TRAINING, *FACES, "benchmarks/gpu/preset.py")
MEASUREMENTS = (
    Measurement("memory", 1.0, memory, TRAINING),
    Measurement("layer_speed", 0.5, layer_speed, TIMING),
    Measurement("tower_step", 0.5, tower_step, TOWERS),
    Measurement("rendering", 1.0, rendering, FACES),
    Measurement("layers_agree", 2.0, layers_agree, LAYERS),
    Measurement("preset_la_soft_moe", 2.5, partial(preset, "la_soft_moe"), PRESET),
    Measurement("preset_vanilla", 1.5, partial(preset, "vanilla"), PRESET),
    Measurement("preset_soft_moe", 2.5, partial(preset, "soft_moe"), PRESET),
    Measurement(
        "processes_agree", 0.5, processes_agree, (*TRAINING, "benchmarks/gpu/processes.py")
    ),
    Measurement("layer_speed_compiled", 3.0, partial(layer_speed, compiled=True), TIMING),
    Measurement("tower_step_compiled", 4.0, partial(tower_step, compiled=True), TOWERS),
    Measurement("pretraining", 5.0, pretraining, ("lasoftmoe/pretraining", *FACES)),
    Measurement("table6_seeds", 8.0, table6_seeds, (*TRAINING, *FACES, "benchmarks/gpu/laptop.py")),
)
