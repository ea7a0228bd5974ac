"""Captioned captures for pretraining, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data_prep.manifest import DatasetError, PreparedDataset, read_dataset, read_image
from data_prep.synthetic.captions.captions import MENTIONED
from lasoftmoe.progress import progress_bar

PROTOCOL = "pretraining"
ATTRIBUTES = tuple(MENTIONED)
"""Attributes that captions can mention (see ``captions.describe``); "" means nothing to say."""


@dataclass(frozen=True)
class Captures:
    """Images and a table of facts about them.

    Attributes:
        images: uint8 (n, 3, h, w).
        table: n rows with the columns id, subject, medium, and ``ATTRIBUTES``, all strings.
    """

    images: Tensor
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def select(self, rows: np.ndarray) -> Captures:
        """Return the captures at these positions, in this order."""
        return Captures(self.images[torch.from_numpy(rows)], self.table.iloc[rows])

    def __add__(self, other: Captures) -> Captures:
        """Append other captures."""
        images = torch.cat([self.images, other.images])
        return Captures(images, pd.concat([self.table, other.table], ignore_index=True))

    @cached_property
    def attributes(self) -> list[dict[str, str]]:
        """``ATTRIBUTES`` of each capture, by name."""
        return self.table[list(ATTRIBUTES)].to_dict("records")

    @cached_property
    def media(self) -> list[str]:
        """The medium of each capture."""
        return self.table["medium"].tolist()


def read_captures(folder: str | Path) -> dict[str, Captures]:
    """Decode the splits "train" and "dev" that ``python -m data_prep captions`` wrote.

    No person is in both (protocol ``pretraining``).

    Raises:
        DatasetError: If ``folder`` is not a prepared dataset or its captions are incomplete.
    """
    folder = Path(folder)
    dataset = read_captions_folder(folder)
    table = dataset.manifest[["id", "path", "subject"]]
    for other in (_read_captions(folder / "captions.parquet"), _protocol(dataset)):
        table = table.merge(other, on="id")
        if len(table) != len(dataset.manifest):
            raise DatasetError(
                f"{folder}: captions or protocol cover {len(table)} of {len(dataset.manifest)} "
                "images; write the folder again"
            )
    rows = table[["path", "id"]].itertuples(index=False)
    bar = progress_bar(rows, desc="decode", total=len(table), unit="image")
    images = np.stack([read_image(folder / path, image_id) for path, image_id in bar])
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    whole = Captures(channels_first, table.drop(columns=["path", "split"]))
    return {s: whole.select(np.flatnonzero(table["split"] == s)) for s in ("train", "dev")}


def read_captions_folder(folder: Path) -> PreparedDataset:
    """Read the tables of a folder of captioned captures, without its images.

    Raises:
        DatasetError: If ``folder`` is not a prepared dataset.
    """
    if not folder.is_dir():  # read_dataset would name the command that writes faces and attacks
        raise DatasetError(
            f"no captioned captures at {folder}; write them with "
            f"`python -m data_prep captions --out {folder}`"
        )
    return read_dataset(folder)


def _protocol(dataset: PreparedDataset) -> pd.DataFrame:
    if PROTOCOL not in dataset.protocols:
        raise DatasetError(f"{dataset.folder} has no protocol {PROTOCOL!r}: not captioned captures")
    return dataset.protocols[PROTOCOL]


def _read_captions(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing; write captioned captures with "
            f"`python -m data_prep captions --out {path.parent}`"
        )
    columns = ["id", "medium", *ATTRIBUTES]
    captions = pd.read_parquet(path)
    lacking = [name for name in columns if name not in captions]
    if lacking:
        raise DatasetError(f"{path} lacks the columns {', '.join(lacking)}")
    return captions[columns].fillna("")
