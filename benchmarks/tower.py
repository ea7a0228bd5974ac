"""Training step of the whole vision tower, with and without branches."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.layers import Job
from benchmarks.timing import Method, in_turns
from lasoftmoe.clip import add_moe, load_clip
from lasoftmoe.moe import MoEConfig

# FLOPs per second for dense bfloat16 products, as the makers state.
PEAKS = {"A100": 312e12, "H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12}


def towers(name: str, rank: int, slots: tuple[int, ...]) -> dict[str, nn.Module]:
    """Return the vision tower alone, and with a La-SoftMoE branch for each number of slots."""
    found = {"vanilla": _tower(name)}
    for count in slots:
        config = MoEConfig(kind="la", rank=rank, slots_per_expert=count)
        found[f"la, rank {rank}, {count} slots"] = add_moe(_tower(name), config)
    return found


def _tower(name: str) -> nn.Module:
    return load_clip(name, None).model.visual.train()


def time_towers(
    modules: dict[str, nn.Module],
    batch: int,
    size: int,
    method: Method,
    compiled: bool,
    backend: str = "inductor",
) -> list[dict]:
    """Time forward and backward of every tower on ``batch`` images of ``size`` pixels per side.

    Returns:
        Rows with ``tower``, ``seconds``, ``over_vanilla``, ``over_floor``, ``images_per_second``,
        and ``share_of_peak`` if the device's peak is known.
    """
    device, dtype = method.device, method.dtype
    x = torch.randn(batch, 3, size, size, device=device, requires_grad=True)
    jobs = {name: Job(module.to(device), x, dtype) for name, module in modules.items()}
    flops = {name: job.flops(job.train) for name, job in jobs.items()}
    if compiled:
        jobs = {
            name: Job(torch.compile(job.module, backend=backend), x, dtype)
            for name, job in jobs.items()
        }
    timed = in_turns({name: job.train for name, job in jobs.items()}, method)
    peak = _peak(device)
    return [
        {
            "tower": name,
            "seconds": timed.median(name),
            "over_vanilla": timed.ratio(name, "vanilla"),
            "over_floor": timed.over_floor(name, flops[name]),
            "images_per_second": batch / timed.median(name),
            "share_of_peak": peak and flops[name] / timed.median(name) / peak,
        }
        for name in jobs
    ]


def _peak(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)
