"""What importing a part of the package loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

# A layer or a metric needs neither the renderer, nor open_clip, nor a parser of configurations.
HEAVY = {"data_prep.synthetic", "jsonargparse", "open_clip", "yaml"}
METRICS = ("", ".columns", ".intervals", ".ranking", ".rates", ".report", ".statistics")
MOE = ("", ".branch", ".cost", ".la_soft_moe", ".naive", ".sparse_moe")


def loaded_by(modules: list[str]) -> set[str]:
    """Return names of all modules that a new process has after importing ``modules``."""
    code = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_metrics_load_nothing_heavy_and_no_torch():
    loaded = loaded_by([f"lasoftmoe.metrics{name}" for name in METRICS])
    assert "lasoftmoe.metrics.intervals" in loaded
    assert not loaded & (HEAVY | {"torch", "matplotlib", "lasoftmoe.moe"})


def test_layers_load_nothing_heavy():
    loaded = loaded_by([f"lasoftmoe.moe{name}" for name in MOE] + ["lasoftmoe.losses"])
    assert "lasoftmoe.moe.la_soft_moe" in loaded
    assert not loaded & HEAVY


def test_plots_load_no_torch():
    assert not loaded_by(["lasoftmoe.plots"]) & (HEAVY | {"torch"})
