"""What makes training on several processes the same as on one that sees all of their images.

DistributedDataParallel averages the processes' gradients. That alone is right for losses that are
a mean over images, and wrong wherever images of one batch meet: in a contrastive loss, and in
batch norm.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


def start() -> Accelerator:
    """This process's Accelerator, joined with the others that ``accelerate launch`` started.

    Without it, Accelerate overlooks its own processes on a machine without a GPU and each of them
    trains for itself.
    """
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(cpu=together and not torch.cuda.is_available())


def process_count() -> int:
    """How many processes train together; 1 without ``accelerate launch``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(local: Tensor) -> Tensor:
    """The rows of all processes below one another, in the order of the processes.

    The backward pass adds up what every process's loss sends to these rows. If each process
    computes the whole loss L from all rows, its own rows get (number of processes) x dL/drows;
    averaging the weights' gradients over the processes then leaves dL/dweights exactly.

    Args:
        local: (rows, ...), of one shape on all processes.
    """
    if process_count() == 1:
        return local
    if local.dtype == torch.bool:  # not every backend sends single bits
        return gather(local.byte()).bool()
    slots = local.new_zeros(process_count(), *local.shape)
    slots[dist.get_rank()] = local
    return _Sum.apply(slots).flatten(0, 1)


class _Sum(torch.autograd.Function):
    """The sum over all processes; backward, the sum of what all of them send back."""

    @staticmethod
    def forward(ctx: FunctionCtx, local: Tensor) -> Tensor:
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient.contiguous())


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes; torch's SyncBatchNorm refuses CPUs."""

    def _check_input_dim(self, images: Tensor) -> None:
        pass  # channels come second, whatever follows

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, ...) in and out; in evaluation mode like any batch norm."""
        if not self.training or process_count() == 1:
            return super().forward(images)
        others = [axis for axis in range(images.ndim) if axis != 1]
        shape = [1, -1] + [1] * (images.ndim - 2)
        mean = _mean_of_processes(images.mean(others))
        centered = images - mean.view(shape)
        variance = _mean_of_processes(centered.square().mean(others))
        self._remember(mean.detach(), variance.detach(), images.numel() // images.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        return centered * scale.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        values *= process_count()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * values / (values - 1), self.momentum)


def _mean_of_processes(local: Tensor) -> Tensor:
    return _Sum.apply(local) / process_count()


def share_batch_norms(model: nn.Module) -> None:
    """Put ``SharedBatchNorm`` in the place of each batch norm, with the same weights, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            kind = type(child)
            if issubclass(kind, nn.modules.batchnorm._BatchNorm) and kind is not SharedBatchNorm:
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.__dict__.update(child.__dict__)
                setattr(module, name, shared)
