"""Prepared datasets as batches of tensors."""

from lasoftmoe.data.dataset import (
    Batch,
    FaceDataset,
    Faces,
    batches,
    epoch_loader,
    open_dataset,
)
from lasoftmoe.data.streaming import ShardedDataset, open_shards

__all__ = [
    "Batch",
    "FaceDataset",
    "Faces",
    "ShardedDataset",
    "batches",
    "epoch_loader",
    "open_dataset",
    "open_shards",
]
