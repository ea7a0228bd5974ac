"""Prepared datasets as batches of tensors."""

from lasoftmoe.data.dataset import Batch, FaceDataset, batches, epoch_loader, open_dataset

__all__ = ["Batch", "FaceDataset", "batches", "epoch_loader", "open_dataset"]
