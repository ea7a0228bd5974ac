"""Folders of the package, the embedded data, and the runs.

In a checkout, data and runs are kept in the checkout, whatever the working directory is. An
installed wheel keeps them in the working directory.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def _checkout() -> Path | None:
    """Return the folder of the checkout or unpacked archive; None for a wheel."""
    project = PACKAGE.parent / "pyproject.toml"
    # A wheel may be installed into a folder with another project's file.
    ours = project.is_file() and 'name = "lasoftmoe"' in project.read_text("utf-8").splitlines()
    return project.parent if ours else None


CHECKOUT = _checkout()
ROOT = CHECKOUT or Path.cwd()
PRESETS = PACKAGE / "experiment" / "presets"
WEIGHTS = PACKAGE / "small_clip" / "weights"
EMBEDDED_DATA = ROOT / "data" / "synthetic-laptop"
EMBEDDED_COMMAND = (
    f"python -m data_prep synthetic --preset laptop --out {shlex.quote(str(EMBEDDED_DATA))}"
)
"""The command that writes the embedded data, for a checkout and for a wheel."""


def runs_folder() -> Path:
    """Return the folder of all runs: ``LASOFTMOE_RUNS`` if it is set, else ``ROOT / "runs"``."""
    return Path(os.environ.get("LASOFTMOE_RUNS") or ROOT / "runs")


def where_kept() -> str:
    """Say where data and runs are kept and how to choose other folders."""
    return (
        f"embedded data in {EMBEDDED_DATA}, runs in {runs_folder()}; "
        "--data.folder and LASOFTMOE_RUNS choose other folders"
    )
