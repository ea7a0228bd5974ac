"""Where the project's folders are, whatever the working directory of a notebook or command."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def _root() -> Path:
    """The checkout that holds the package, or the working directory for an installed wheel."""
    checkout = PACKAGE.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


ROOT = _root()
PRESETS = PACKAGE / "experiment" / "presets"
WEIGHTS = PACKAGE / "small_clip" / "weights"
EMBEDDED_DATA = ROOT / "data" / "synthetic-laptop"


def runs_folder() -> Path:
    """The folder of all runs: ``LASOFTMOE_RUNS`` if set, else ``runs`` in the repository."""
    return Path(os.environ.get("LASOFTMOE_RUNS", ROOT / "runs"))
