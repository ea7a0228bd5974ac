"""The whole La-SoftMoE CLIP on one process and on two: the same weights after three steps.

The model has the true architecture of the a100 preset (both towers of ViT-B/16, 197 tokens, a
branch in every block, Eq. 1 over the images of all processes), cut in width and depth.
It computes in double precision, so that no difference can pass for rounding.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from benchmarks.gpu.setting import Setting, Unavailable, relative_error
from lasoftmoe.clip import ClipBundle, ClipConfig, add_moe, moe_parameters
from lasoftmoe.experiment.config import merged
from lasoftmoe.methods.clip import ClipDetector, ClipDetectorConfig
from lasoftmoe.moe import MoEConfig
from lasoftmoe.training.loop import TrainingLoss

PROCESSES, STEPS, BATCH = 2, 3, 4
KINDS = ("ddp", "fsdp2")
NAME = "ViT-B-16-quickgelu"
BRANCH = MoEConfig(kind="la", num_experts=4, slots_per_expert=49, rank=16, hidden_ratio=1.0)
BOUND = 1e-9


def processes_agree(setting: Setting) -> dict[str, Any]:
    """Train in one process, in two by DDP, and in two by FSDP2; compare the weights."""
    if setting.is_gpu and torch.cuda.device_count() < PROCESSES:
        raise Unavailable(f"{PROCESSES} GPUs; this machine has {torch.cuda.device_count()}")
    alone = train_alone(setting.device)
    rows = []
    for kind in KINDS:
        error = relative_error(*_aligned(train_together(kind, setting.device.type), alone))
        setting.require_close(f"weights after {STEPS} steps, {kind}", error, BOUND)
        rows.append({"kind": kind, "processes": PROCESSES, "steps": STEPS, "error": error})
    summary = f"{STEPS} steps by DDP and FSDP2 on {PROCESSES} {setting.device.type} devices give"
    return {"rows": rows, "summary": f"{summary} the weights of one, to {BOUND:g}"}


def train_alone(device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Return the weights of one process with the whole batch."""
    detector = small_detector().to(device)
    train_steps(TrainingLoss(detector), detector, 0, 1)
    return {name: p.detach().cpu() for name, p in detector.named_parameters()}


def train_together(kind: str, device_type: str = "cpu") -> dict[str, Tensor]:
    """Return the weights of two processes with half of each batch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.multiprocessing.spawn(work, (kind, device_type, folder), nprocs=PROCESSES)
        return load_file(folder / "weights.safetensors")


def work(rank: int, kind: str, device_type: str, folder: Path) -> None:
    """Train as process number ``rank``; the first process saves the weights."""
    torch.set_num_threads(1)
    device = torch.device(device_type, rank) if device_type == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend, meeting = ("nccl" if device.type == "cuda" else "gloo"), folder / "rendezvous"
    dist.init_process_group(backend, f"file://{meeting}", rank=rank, world_size=PROCESSES)
    detector = small_detector().to(device)
    loss: nn.Module = TrainingLoss(detector)
    if kind == "ddp":
        loss = DistributedDataParallel(loss)
    else:
        shard(loss, detector, device_type)
    train_steps(loss, detector, rank, PROCESSES)
    weights = {
        name: (p.full_tensor() if isinstance(p, DTensor) else p).detach().cpu().contiguous()
        for name, p in detector.named_parameters()
    }
    if rank == 0:
        save_file(weights, folder / "weights.safetensors")
    dist.barrier()
    dist.destroy_process_group()


def shard(loss: nn.Module, detector: ClipDetector, device_type: str) -> None:
    """Divide each block's weights, and then the rest, among the processes (FSDP2), in place."""
    mesh = init_device_mesh(device_type, (PROCESSES,))
    for tower in (detector.clip.visual.transformer, detector.clip.transformer):
        for block in tower.resblocks:
            fully_shard(block, mesh=mesh)
    # FSDP2 divides no scalars: every process keeps this one, and ``train_steps`` averages it.
    fully_shard(loss, mesh=mesh, ignored_params={detector.clip.logit_scale})


def train_steps(loss: nn.Module, detector: ClipDetector, rank: int, processes: int) -> None:
    """Take some steps of Adam on a process's share of each batch."""
    optimizer = torch.optim.Adam(detector.parameters(), lr=1e-3)
    device, scale = detector.clip.logit_scale.device, detector.clip.logit_scale
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        images = torch.rand(BATCH, 3, 224, 224, generator=generator, dtype=torch.float64)
        labels = torch.arange(BATCH) % 2 == 1
        share = slice(rank * BATCH // processes, (rank + 1) * BATCH // processes)
        batch = {"image": images[share].to(device), "is_attack": labels[share].to(device)}
        optimizer.zero_grad()
        loss(batch).backward()
        if processes > 1 and not isinstance(loss, DistributedDataParallel):
            dist.all_reduce(scale.grad)
            scale.grad /= processes
        optimizer.step()


def small_detector() -> ClipDetector:
    """Return the detector of the a100 preset, with towers of two blocks and a width of 32."""
    narrow = {"vision_cfg": {"width": 32, "head_width": 16}, "text_cfg": {"width": 32, "heads": 2}}
    detector = cut_detector(BRANCH, {"embed_dim": 32, **narrow}).double().train()
    with torch.no_grad():  # a branch starts at zero, where some of its gradients are zero
        for parameter in moe_parameters(detector):
            parameter.add_(0.05 * torch.randn_like(parameter))
    return detector


def cut_detector(branch: MoEConfig, sizes: dict[str, Any] | None = None) -> ClipDetector:
    """Return a detector with two blocks in each tower of the ViT-B/16, from random weights.

    Args:
        branch: The branch of each block.
        sizes: Further changes of open_clip's configuration; None keeps the true width.
    """
    layers: dict[str, Any] = {"vision_cfg": {"layers": 2}, "text_cfg": {"layers": 2}}
    architecture = merged(merged(open_clip.get_model_config(NAME), layers), sizes or {})
    torch.manual_seed(0)
    model = open_clip.CLIP(**architecture)
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    bundle = ClipBundle(model, open_clip.get_tokenizer(NAME), 224, mean, std, NAME)
    add_moe(bundle.visual, branch)
    config = ClipDetectorConfig(clip=ClipConfig(NAME, None), moe=branch, loss="clip_contrastive")
    return ClipDetector(bundle, config)


def _aligned(
    found: dict[str, Tensor], wanted: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    return [found[name] for name in wanted], list(wanted.values())
