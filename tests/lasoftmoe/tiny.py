"""A prepared dataset and a detector small enough that a whole run takes a fraction of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from data_prep.manifest import write_dataset
from lasoftmoe.detector import Batch, Detector, Group

NO_MAPS: dict[str, str | None] = {"mask": None, "depth": None}
KINDS = (("live", "live"), ("live", "live"), ("print", "physical"), ("fgsm", "adversarial"))


def write_tiny_dataset(
    folder: Path,
    subjects: int = 16,
    size: int = 16,
    seed: int = 0,
    declared: int | None = -1,
    maps: bool = False,
) -> Path:
    """Gray squares with noise; attacks are striped. Subjects go to train, train, dev, test.

    With ``maps`` live images have a depth of half the size that grows to the right, and attacks a
    mask of their left half; a few images have neither.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for subject in range(subjects):
        for k, (kind, family) in enumerate(KINDS):
            pixels = rng.normal(rng.uniform(80, 160), 12, (size, size, 3))
            if kind != "live":
                pixels[::2] += 12
            name = f"s{subject:02d}-{k}"
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / "images" / f"{name}.png")
            row = {"id": name, "path": f"images/{name}.png", "family": family, "type": kind}
            row |= {"label": "live" if kind == "live" else "fake", "subject": f"s{subject:02d}"}
            rows.append(row | {"source": name, "frame": 0})
            if maps:
                known = subject % 5 or k % 2  # some images have none, as in real datasets
                rows[-1] |= _write_map(folder, name, kind, size) if known else NO_MAPS
    manifest = pd.DataFrame(rows)
    number = manifest["subject"].str[1:].astype(int)
    split = number.map(lambda n: ("train", "train", "dev", "test")[n % 4])
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    info = {"name": "tiny", "version": "1", "license": "CC0-1.0", "seed": seed}
    info |= {"generator": "tests", "image_size": size if declared == -1 else declared}
    protocols = {"p1": protocol, "swapped": protocol.iloc[::-1].reset_index(drop=True)}
    write_dataset(folder, manifest, protocols, info)
    return folder


def _write_map(folder: Path, name: str, kind: str, size: int) -> dict[str, str | None]:
    depth, mask = np.zeros((size // 2, size // 2), np.uint8), np.zeros((size, size), np.uint8)
    depth[:], mask[:, : size // 2] = np.linspace(0, 255, size // 2), 255
    which, pixels = ("depth", depth) if kind == "live" else ("mask", mask)
    (folder / which).mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / which / f"{name}.png")
    return NO_MAPS | {which: f"{which}/{name}.png"}


class TinyDetector(Detector):
    """One convolution and a mean: sees stripes, trains in milliseconds, has two groups."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.stem = nn.Conv2d(3, 4, 3)
            self.moe = nn.Linear(4, 1)
            self.dropout = nn.Dropout(
                0.1
            )  # so that layers with randomness of their own are covered

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float() / 16
        hidden = self.stem(pixels - pixels.mean((2, 3), keepdim=True)).square().mean((2, 3))
        return self.moe(self.dropout(hidden)).squeeze(1)

    def attack_score(self, images: Tensor) -> Tensor:
        return self(images)

    def training_loss(self, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(self(batch["image"]), batch["is_attack"].float())

    def parameter_groups(self) -> dict[str, Group]:
        groups = {"clip": self.stem, "moe": self.moe}
        return {name: Group(list(part.parameters())) for name, part in groups.items()}
