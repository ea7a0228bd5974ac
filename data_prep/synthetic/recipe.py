"""Recipe of a synthetic dataset, which decides whether a folder is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.provenance import code_digest
from data_prep.synthetic.attacks.surrogate import WEIGHTS
from data_prep.synthetic.camera import CAPTURE_SIZE

GENERATOR = "data_prep.synthetic"
_PACKAGE = Path(__file__).parents[1]
_SHARED = ("contract/leave_out.py", "seeds.py", "taxonomy.py")


def generator_digest(*leave_out: str, weights: bool) -> str:
    """Return a digest of the generator's code, 16 hexadecimal digits.

    Args:
        leave_out: Modules and folders of ``data_prep.synthetic`` that the dataset does not use.
        weights: Whether to include the surrogate's weights.
    """
    every = (_PACKAGE / "synthetic").rglob("*.py")
    files = [p for p in every if not {p.stem, *p.relative_to(_PACKAGE).parts} & set(leave_out)]
    files += [_PACKAGE / name for name in _SHARED]
    if weights and WEIGHTS.is_file():
        files.append(WEIGHTS)
    return code_digest(files, _PACKAGE)[:16]


def dataset_info(name: str, recipe: dict[str, Any]) -> dict[str, Any]:
    """Return ``dataset.json`` of a synthetic dataset, before counts and checksums."""
    return {
        "name": name,
        "version": "1",
        "license": "CC0-1.0",
        "seed": recipe["seed"],
        "generator": GENERATOR,
        "image_size": CAPTURE_SIZE,
        "recipe": recipe,
    }
