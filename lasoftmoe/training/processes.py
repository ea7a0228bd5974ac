"""Training on several processes with the results of one process that has all their images.

DistributedDataParallel averages the processes' gradients. That is right for losses that are a mean
over images, but wrong wherever images of a batch interact: in contrastive losses and batch norm.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

PLAIN_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def start() -> Accelerator:
    """Return this process's Accelerator, joined with the others under ``accelerate launch``.

    On a machine without a GPU, ``Accelerator()`` alone ignores the other processes, and each
    trains separately.
    """
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(cpu=together and not torch.cuda.is_available())


def process_count() -> int:
    """Return the number of processes that train together; 1 without ``accelerate launch``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(local: Tensor) -> Tensor:
    """Concatenate the rows of all processes, in the order of the processes.

    The backward pass sums the gradients from every process's loss. If each process computes the
    whole loss L from all rows, its own rows get (number of processes) x dL/drows. Averaging the
    weights' gradients over the processes then gives exactly dL/dweights.

    Args:
        local: (rows, ...), of the same shape on all processes.
    """
    if process_count() == 1:
        return local
    if local.dtype == torch.bool:  # not every backend sends single bits
        return gather(local.byte()).bool()
    slots = local.new_zeros(process_count(), *local.shape)
    slots[dist.get_rank()] = local
    return all_reduce(slots).flatten(0, 1)


def known_weights(known: Tensor) -> Tensor:
    """Return weights that turn a mean over images into one over the known images.

    Averaged over all processes, ``(errors * known_weights(known)).mean()`` is the mean error of the
    known images of all of them. It is 0 if none is known.

    Args:
        known: (batch,), bool.

    Returns:
        (batch,), float32.
    """
    everywhere = gather(known).float()
    return known.float() * (everywhere.numel() / everywhere.sum().clamp(min=1))


def share_batch_norms(model: nn.Module) -> None:
    """Make every batch norm use the batches of all processes, with the same weights, in place.

    On CUDA they become torch's ``SyncBatchNorm``, elsewhere :class:`SharedBatchNorm`.

    Raises:
        ValueError: If a batch norm has options that the shared one lacks, or does more than
            normalize.
    """
    on_gpu = any(tensor.is_cuda for tensor in (*model.parameters(), *model.buffers()))
    share = nn.SyncBatchNorm.convert_sync_batchnorm if on_gpu else SharedBatchNorm.like
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, PLAIN_BATCH_NORMS) and type(child) in PLAIN_BATCH_NORMS:
                setattr(module, name, share(child))
            elif isinstance(child, BatchNorm) and type(child) not in SHARED_BATCH_NORMS:
                raise ValueError(
                    f"{name} is a {type(child).__name__}, which does more than normalize, so "
                    "several processes cannot share it; train in one process, or choose a network "
                    "with plain batch norm such as resnet50"
                )


class SharedBatchNorm(BatchNorm):
    """Batch norm over the batches of all processes, for CPUs, which SyncBatchNorm rejects.

    Computes statistics in at least float32, whatever the precision of the input.
    """

    @classmethod
    def like(cls, child: BatchNorm) -> SharedBatchNorm:
        """Return a layer with the weights and statistics of ``child``.

        Raises:
            ValueError: if ``child`` has no weights, no running statistics, or no momentum.
        """
        lacking = {"affine": not child.affine, "track_running_stats": not child.track_running_stats}
        lacking["momentum"] = child.momentum is None
        for option, is_lacking in lacking.items():
            if is_lacking:
                raise ValueError(
                    f"a batch norm has {option}={getattr(child, option)}, which cannot be shared "
                    "by several processes on CPUs; train in one process, or on GPUs"
                )
        shared = cls(child.num_features, child.eps, child.momentum)
        shared.__dict__.update(child.__dict__)
        return shared

    def _check_input_dim(self, images: Tensor) -> None:
        pass  # any number of axes may follow the channels

    def forward(self, images: Tensor) -> Tensor:
        """Normalize (batch, channels, ...); in evaluation mode like any batch norm."""
        if not self.training or process_count() == 1:
            return super().forward(images)
        others = [axis for axis in range(images.ndim) if axis != 1]
        shape = [1, -1] + [1] * (images.ndim - 2)
        with torch.autocast(images.device.type, enabled=False):
            values = images.to(torch.promote_types(images.dtype, torch.float32))
            mean = _mean_of_processes(values.mean(others))
            centered = values - mean.view(shape)
            variance = _mean_of_processes(centered.square().mean(others))
            self._remember(mean.detach(), variance.detach(), images.numel() // images.shape[1])
            scale = self.weight.to(values.dtype) * (variance + self.eps).rsqrt()
            normalized = centered * scale.view(shape) + self.bias.to(values.dtype).view(shape)
        return normalized.to(images.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        values *= process_count()
        self.num_batches_tracked.add_(1)
        unbiased = variance * values / (values - 1)
        for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
            running.lerp_(now.to(running.dtype), self.momentum)


def _mean_of_processes(local: Tensor) -> Tensor:
    return all_reduce(local) / process_count()


SHARED_BATCH_NORMS = (SharedBatchNorm, nn.SyncBatchNorm)
