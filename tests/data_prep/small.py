"""A dataset of four gray images, for tests that break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from data_prep.manifest import PreparedDataset, write_dataset

INFO = {
    "name": "small",
    "version": "1",
    "license": "CC0-1.0",
    "seed": 0,
    "generator": "tests",
    "image_size": 8,
}


def manifest() -> pd.DataFrame:
    """Two subjects, each with a live image and a print."""
    rows = []
    for subject in ("anna", "ben"):
        for kind, label, family in (("live", "live", "live"), ("print", "fake", "physical")):
            name = f"{subject}-{kind}"
            row = {"id": name, "path": f"images/{name}.png", "label": label, "family": family}
            rows.append({**row, "type": kind, "subject": subject, "source": name, "frame": 0})
    return pd.DataFrame(rows)


def protocol(anna: str = "train", ben: str = "test") -> pd.DataFrame:
    ids = manifest()["id"]
    return pd.DataFrame({"id": ids, "split": [anna, anna, ben, ben]})


def write_images(folder: Path) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for level, path in enumerate(manifest()["path"]):
        gray = np.full((8, 8, 3), 40 * level, np.uint8)
        Image.fromarray(gray).save(folder / path)


def write_small(folder: Path, info: dict[str, Any] | None = None) -> PreparedDataset:
    write_images(folder)
    return write_dataset(folder, manifest(), {"p1": protocol()}, info or INFO)
