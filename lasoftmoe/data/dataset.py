"""Torch datasets from a prepared dataset (see ``data_prep.manifest``), one for each split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_prep.manifest import SPLITS, DatasetError, PreparedDataset, read_dataset
from lasoftmoe.data.decoded import decoded
from lasoftmoe.data.sampling import EpochBatches, Sampling
from lasoftmoe.data.stream_order import StreamOrder
from lasoftmoe.data.streaming import ShardedDataset
from lasoftmoe.data.workers import worker_options
from lasoftmoe.detector import FACTS, MAPS, Batch
from lasoftmoe.paths import EMBEDDED_COMMAND, EMBEDDED_DATA


class FaceDataset(Dataset):
    """One split of one protocol.

    An item is a dictionary: ``image`` uint8 (3, height, width), ``is_attack`` bool scalar, and the
    strings ``attack_type`` and ``id``. ``table`` has one row per item with all columns of the
    manifest; ``is_attack``, (items,), holds the labels as a tensor.
    """

    def __init__(
        self,
        images: np.ndarray,
        table: pd.DataFrame,
        split: str,
        protocol: str,
        checksum: str,
        source: PreparedDataset | None = None,
    ) -> None:
        """Take an item's image from row ``table.row`` of ``images``, uint8 (n, 3, height, width).

        :meth:`delivering` reads masks and depth from ``source``.
        """
        self.images = images
        self.table = table.reset_index(drop=True)
        self.split = split
        self.protocol = protocol
        self.checksum = checksum
        self.source = source
        self.is_attack = torch.tensor(self.table["is_attack"].to_numpy(dtype=bool))
        self._rows = self.table["row"].to_numpy()
        self._strings = {name: self.table[name].tolist() for name in ("attack_type", "id")}
        self._maps: dict[str, np.ndarray] = {}
        self._present: dict[str, Tensor] = {}

    def delivering(self, needs: Sequence[str]) -> Self:
        """Return this dataset with the maps and facts that a detector needs in each item.

        Args:
            needs: Names from ``detector.MAPS`` and ``detector.FACTS``; see ``detector.Batch``.

        Raises:
            ValueError: If a name is neither.
            DatasetError: If no image of this split has such a map.
        """
        more = type(self)(
            self.images, self.table, self.split, self.protocol, self.checksum, self.source
        )
        for name in needs:
            if name in FACTS:
                more._strings[name] = self.table[name].tolist()
            elif name in MAPS:
                more._add_map(name)
            else:
                raise ValueError(f"no {name!r} in a batch; known: {', '.join(MAPS + FACTS)}")
        return more

    def _add_map(self, name: str) -> None:
        present = self.table[name].notna() if name in self.table else pd.Series(dtype=bool)
        if self.source is None or not present.any():
            raise DatasetError(
                f"the {self.split} split has no {name} for any image, and this detector needs it; "
                "for the synthetic faces, write them with `python -m data_prep synthetic "
                "--with-maps`, or choose a detector that needs none"
            )
        self._maps[name] = decoded(self.source, self.images.shape[-1], name)
        self._present[f"has_{name}"] = torch.tensor(present.to_numpy(dtype=bool))

    def epochs(
        self, batch_size: int, seed: int, sampling: Sampling, processes: int = 1, process: int = 0
    ) -> EpochBatches:
        """Return the batches of each epoch; see :class:`EpochBatches`."""
        return EpochBatches(self.is_attack, batch_size, seed, sampling, processes, process)

    @property
    def item_bytes(self) -> int:
        """Bytes of one item's image and maps."""
        return sum(int(np.prod(a.shape[1:])) for a in (self.images, *self._maps.values()))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.batch([index])
        return {name: value[0] for name, value in batch.items()}

    def batch(self, indices: list[int]) -> Batch:
        """Return several items at once; see ``lasoftmoe.detector.Batch``."""
        rows = self._rows[indices]
        images = {"image": self.images, **self._maps}
        batch = {
            **{name: torch.from_numpy(np.asarray(array[rows])) for name, array in images.items()},
            "is_attack": self.is_attack[indices],
            **{name: present[indices] for name, present in self._present.items()},
            **{name: [values[i] for i in indices] for name, values in self._strings.items()},
        }
        return cast(Batch, batch)

    # The data loader calls this name to get whole batches, so it need not stack items.
    __getitems__ = batch

    def __getstate__(self) -> dict[str, Any]:
        # A worker process maps the files, too, instead of getting a copy of their content.
        maps = {name: _file_of(array) for name, array in self._maps.items()}
        return {**self.__dict__, "images": _file_of(self.images), "_maps": maps, "source": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["images"] = _mapped(state["images"])
        state["_maps"] = {name: _mapped(array) for name, array in state["_maps"].items()}
        self.__dict__.update(state)

    def __repr__(self) -> str:
        attacks = int(self.is_attack.sum())
        live = len(self) - attacks
        return f"FaceDataset({self.protocol}/{self.split}: {live} live, {attacks} attacks)"


def _file_of(array: np.ndarray) -> np.ndarray | Path:
    return Path(str(array.filename)) if isinstance(array, np.memmap) else array


def _mapped(array: np.ndarray | Path) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else np.load(array, mmap_mode="r")


def open_dataset(
    folder: str | Path,
    protocol: str = "p1",
    image_size: int | None = None,
    splits: Iterable[str] = SPLITS,
) -> dict[str, FaceDataset]:
    """Open splits of a prepared dataset.

    Args:
        folder: A prepared dataset.
        protocol: Name of one of its ``protocols/*.parquet``.
        image_size: Side of the images in pixels; ``None`` means as in ``dataset.json``. Images of
            another size are resampled once, while decoding.
        splits: Which of train, dev, and test to open; only these must hold images.

    Raises:
        DatasetError: If the folder or protocol does not exist, a split has no images, an image
            does not decode, has a size other than in ``dataset.json``, or changed after it was
            written, or there is no disk space for the decoded images.
    """
    dataset = _read(Path(folder))
    if protocol not in dataset.protocols:
        known = ", ".join(sorted(dataset.protocols)) or "none"
        raise DatasetError(f"no protocol {protocol!r} in {folder}; it has: {known}")
    images = decoded(dataset, image_size)
    table = dataset.manifest.rename(columns={"type": "attack_type"})
    table = table.assign(is_attack=table["label"] == "fake", row=np.arange(len(table)))
    table = table.merge(dataset.protocols[protocol], on="id")
    found = {}
    for split in splits:
        rows = table[table["split"] == split].drop(columns="split")
        if rows.empty:
            raise DatasetError(f"protocol {protocol!r} of {folder} has no image in split {split!r}")
        found[split] = FaceDataset(images, rows, split, protocol, dataset.checksum, dataset)
    return found


Faces = FaceDataset | ShardedDataset
"""A split, from decoded arrays or from shards."""


def batches(
    dataset: Faces,
    batch_size: int,
    shuffle: bool = False,
    generator: torch.Generator | None = None,
    drop_last: bool = False,
    num_workers: int = 0,
) -> DataLoader[Batch]:
    """Return a loader of batches; ``generator``'s seed fixes the order of a shuffle.

    ``drop_last`` drops a last, smaller batch: training does, because the contrastive losses depend
    on the batch size.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        generator=generator,
        drop_last=drop_last,
        **worker_options(num_workers, batch_size * dataset.item_bytes),
        collate_fn=_already_collated,
    )


def epoch_loader(
    dataset: Faces, order: EpochBatches | StreamOrder, num_workers: int = 0
) -> DataLoader[Batch]:
    """Return the batches that ``order`` names, the same for any number of worker processes.

    Raises:
        LoaderError: If worker processes lack shared memory or a short ``TMPDIR``.
    """
    return DataLoader(
        dataset,
        batch_sampler=order,
        **worker_options(num_workers, order.batch_size * dataset.item_bytes),
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        collate_fn=_already_collated,
    )


def _already_collated(batch: Any) -> Any:
    return batch


def _read(folder: Path) -> PreparedDataset:
    if not folder.is_dir():
        how = (
            f"`{EMBEDDED_COMMAND}` writes the embedded one"
            if folder.resolve() == EMBEDDED_DATA.resolve()
            else "`python -m data_prep --help` lists the commands that write one"
        )
        raise DatasetError(f"no prepared dataset at {folder}: {how}")
    return read_dataset(folder)
