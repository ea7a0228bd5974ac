"""What each of two processes does in the tests of data parallel training."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from lasoftmoe.clip import add_moe, load_clip, moe_parameters
from lasoftmoe.moe import MoEConfig

PROCESSES = 2
BRANCHES = {
    "la": MoEConfig(kind="la", num_experts=2, slots_per_expert=4, hidden_ratio=1.0),
    "stable": MoEConfig(
        kind="la", variant="stable", num_experts=2, slots_per_expert=4, hidden_ratio=1.0
    ),
    "top-k": MoEConfig(kind="topk", num_experts=2, top_k=1, hidden_ratio=1.0),
}


def tower(branch: str, blocks: int = 2) -> nn.Module:
    """The small CLIP's vision tower, cut short, with branches that do not start at zero."""
    torch.manual_seed(0)
    visual = load_clip("small", None).model.visual
    del visual.transformer.resblocks[blocks:]
    add_moe(visual, BRANCHES[branch])
    with torch.no_grad():
        for parameter in moe_parameters(visual):
            parameter.add_(0.05 * torch.randn_like(parameter))
    visual.train()
    visual.conv1.eval()  # batch norm sees the batch of its own process only
    return visual


def images() -> Tensor:
    return torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def backward(model: nn.Module, batch: Tensor) -> None:
    """A mean over images, so that processes with equal shares average to the whole."""
    output = model(batch)
    (output * torch.linspace(-1, 1, output.shape[1])).sum(dim=1).square().mean().backward()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in model.named_parameters()}
    return {n: g.full_tensor() if isinstance(g, DTensor) else g for n, g in found.items()}


def work(rank: int, branch: str, folder: Path) -> None:
    """Run both kinds of data parallel training; process 0 saves the gradients."""
    torch.set_num_threads(1)
    rendezvous = f"file://{folder / 'rendezvous'}"
    dist.init_process_group("gloo", rendezvous, rank=rank, world_size=PROCESSES)
    share = images().chunk(PROCESSES)[rank]

    replicated = DistributedDataParallel(tower(branch))
    for _ in range(2):  # a parameter without a gradient stops the second step
        replicated.zero_grad()
        backward(replicated, share)
    found = {"ddp": gradients(replicated.module)}

    sharded = tower(branch)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    for block in sharded.transformer.resblocks:
        fully_shard(block, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    backward(sharded, share)
    found["fsdp2"] = gradients(sharded)
    assert all(isinstance(p, DTensor) for p in sharded.parameters())

    if rank == 0:
        torch.save(found, folder / "gradients.pt")
    dist.destroy_process_group()
