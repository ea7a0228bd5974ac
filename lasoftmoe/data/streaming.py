"""Datasets in shards, read a few groups of rows at a time, for more data than fits into memory.

The shards are those of ``python -m data_prep shards``: Parquet in the layout of Hugging Face's
``datasets.Image``. Arrow reads them and torch's ``DataLoader`` loads batches, as it does from
arrays. Only the order (``lasoftmoe.data.stream_order``) is our own. The streams of ``datasets`` and
``webdataset`` forget what is in their shuffle buffers when they are interrupted, so a resumed
training would see other batches than an uninterrupted one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_prep.contract.packed import INDEX, ROWS_IN_GROUP, Shards
from data_prep.decoding import ImageError, decode_image
from data_prep.errors import shown
from data_prep.manifest import DatasetError
from data_prep.reading import read_json
from lasoftmoe.data.decoded import at_size
from lasoftmoe.data.sampling import Sampling
from lasoftmoe.data.stream_order import StreamOrder
from lasoftmoe.detector import FACTS, MAPS, Batch

_NAMES = {"attack_type": "type"}
"""Columns of a shard that have another name in a batch."""


class ShardedDataset(Dataset):
    """One split of the shards in some folders, with the interface of ``FaceDataset``.

    Rows are numbered as in ``open_dataset``, one folder after the other. In memory are the sizes of
    the groups, and the compressed images of ``2 * lanes * window`` groups. The table of all rows is
    read only when something asks for ``table``, as evaluation does.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        split: str,
        image_size: int | None = None,
        lanes: int = 8,
        window: int = 4,
    ) -> None:
        self.folders, self.split = list(folders), split
        self.lanes, self.window = lanes, window
        self._shards = [Shards(folder) for folder in self.folders]
        self._groups = [
            (part, shard, group)
            for part, shards in enumerate(self._shards)
            for shard, entry in enumerate(shards.index["shards"])
            if entry["file"].startswith(f"{split}-")
            for group in range(-(-entry["rows"] // ROWS_IN_GROUP))
        ]
        if not self._groups:
            raise DatasetError(f"the shards in {_listed(folders)} have no image in split {split!r}")
        self._group_rows = np.array([self._rows_of(*place) for place in self._groups])
        self._ends = np.cumsum(self._group_rows)
        infos = [read_json(folder / "dataset.json") for folder in self.folders]
        self._declared = [info["image_size"] for info in infos]
        self.image_size = image_size or _one("image_size", self._declared, folders)
        protocols = [shards.index["protocol"] for shards in self._shards]
        self.protocol = _one("protocol", protocols, folders)
        sums = [info["checksums"]["dataset"] for info in infos]
        together = hashlib.sha256("\n".join(sums).encode()).hexdigest()
        self.checksum = sums[0] if len(sums) == 1 else together
        self._facts: tuple[str, ...] = ("attack_type", "id")
        self._open: OrderedDict[int, pa.Table] = OrderedDict()

    def delivering(self, needs: Sequence[str]) -> Self:
        """Return this dataset with the facts that a detector needs in each item.

        Raises:
            DatasetError: If a detector needs maps, which shards do not hold.
            ValueError: If a name is unknown.
        """
        if maps := [name for name in needs if name in MAPS]:
            raise DatasetError(
                f"this detector needs {maps[0]}, which shards do not hold; train it from the "
                "folder that they were packed from"
            )
        if unknown := [name for name in needs if name not in FACTS]:
            raise ValueError(f"no {unknown[0]!r} in a batch; known: {', '.join(MAPS + FACTS)}")
        more = type(self)(self.folders, self.split, self.image_size, self.lanes, self.window)
        more._facts = (*self._facts, *needs)
        return more

    def epochs(
        self, batch_size: int, seed: int, sampling: Sampling, processes: int = 1, process: int = 0
    ) -> StreamOrder:
        """Return the batches of each epoch; see :class:`StreamOrder`.

        Raises:
            ValueError: If ``sampling`` is not ``"uniform"``.
        """
        if sampling != "uniform":
            raise ValueError(
                f"sampling {sampling!r} needs all labels at once; shards are read with 'uniform'"
            )
        return StreamOrder(
            self._group_rows, batch_size, seed, processes, process, self.lanes, self.window
        )

    @property
    def item_bytes(self) -> int:
        """Bytes of one item's decoded image."""
        return 3 * self.image_size**2

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per item, with the columns that ``FaceDataset.table`` has."""
        names = [name for name in self._read(0).schema.names if name not in ("image", "split")]
        parts = [
            self._shards[part].read_group(shard, group, names)
            for part, shard, group in self._groups
        ]
        table = pa.concat_tables(parts, promote_options="default").to_pandas()
        table = table.rename(columns={"type": "attack_type"})
        return table.assign(is_attack=table["label"] == "fake")

    @cached_property
    def is_attack(self) -> Tensor:
        """Labels of all items, (items,), bool."""
        return torch.tensor(self.table["is_attack"].to_numpy(dtype=bool))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: value[0] for name, value in self.batch([index]).items()}

    def batch(self, indices: list[int]) -> Batch:
        """Return several items at once; see ``lasoftmoe.detector.Batch``.

        Raises:
            DatasetError: If a shard is damaged, or an image does not decode.
        """
        groups = np.searchsorted(self._ends, indices, "right")
        starts = self._ends[groups] - self._group_rows[groups]
        places = list(zip(groups.tolist(), (np.asarray(indices) - starts).tolist(), strict=True))
        rows = [(group, self._read(group).slice(row, 1)) for group, row in places]
        images = np.stack([self._decode(group, row) for group, row in rows])
        facts = {name: [_text(row, name) for _, row in rows] for name in self._facts}
        labels = torch.tensor([_text(row, "label") == "fake" for _, row in rows])
        pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return cast(Batch, {"image": pixels, "is_attack": labels, **facts})

    __getitems__ = batch

    def _read(self, group: int) -> pa.Table:
        if group not in self._open:
            part, shard, number = self._groups[group]
            self._open[group] = self._shards[part].read_group(shard, number)
            while len(self._open) > 2 * self.lanes * self.window:
                self._open.popitem(last=False)
        self._open.move_to_end(group)
        return self._open[group]

    def _decode(self, group: int, row: pa.Table) -> np.ndarray:
        part, shard, _ = self._groups[group]
        file = self.folders[part] / "shards" / self._shards[part].index["shards"][shard]["file"]
        place = f"{file}: image {shown(_text(row, 'id'))}"
        try:
            image = decode_image(row["image"].combine_chunks().field("bytes")[0].as_py())
        except ImageError as error:
            raise DatasetError(
                f"{place} does not decode ({error}); copy the shard again"
            ) from error
        return at_size(image, place, self._declared[part], self.image_size)

    def _rows_of(self, part: int, shard: int, group: int) -> int:
        rows = self._shards[part].index["shards"][shard]["rows"]
        return min(ROWS_IN_GROUP, rows - group * ROWS_IN_GROUP)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": None, "_open": None}  # open files stay in the process

    def __setstate__(self, state: dict[str, Any]) -> None:
        shards = [Shards(folder) for folder in state["folders"]]
        self.__dict__.update(state | {"_shards": shards, "_open": OrderedDict()})

    def __repr__(self) -> str:
        return f"ShardedDataset({self.protocol}/{self.split}: {len(self):,} images)"


def open_shards(
    folders: str | Path | Iterable[str | Path],
    splits: Iterable[str] = ("train",),
    image_size: int | None = None,
    lanes: int = 8,
    window: int = 4,
) -> dict[str, ShardedDataset]:
    """Open splits of packed datasets, without reading any image or table.

    Args:
        folders: One folder or several that ``python -m data_prep shards`` wrote.
        splits: Which of train, dev, and test to open.
        image_size: Side of the images in pixels; ``None`` means as in ``dataset.json``.
        lanes, window: See ``lasoftmoe.data.stream_order``.

    Raises:
        DatasetError: If a folder has no shards, a shard is missing or has another size, a split has
            no image, or the folders differ in protocol or, without ``image_size``, in size.
    """
    listed = [Path(f) for f in ([folders] if isinstance(folders, str | Path) else folders)]
    for folder in listed:
        if not (folder / INDEX).is_file():
            raise DatasetError(
                f"{folder} has no {INDEX}; pack a dataset with `python -m data_prep shards`"
            )
    return {split: ShardedDataset(listed, split, image_size, lanes, window) for split in splits}


def _one(what: str, values: list[Any], folders: Sequence[Path]) -> Any:
    if len(set(values)) != 1 or values[0] is None:
        raise DatasetError(f"{_listed(folders)} have {what} {values}; expected one and the same")
    return values[0]


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders[:3]) + (" …" if len(folders) > 3 else "")


def _text(row: pa.Table, name: str) -> str:
    return row[_NAMES.get(name, name)][0].as_py()
