"""Speed of the layers and of whole training steps, and their memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks import moe, tower
from benchmarks.gpu.agreement import TINY, trained
from benchmarks.gpu.setting import Setting, relative_error
from benchmarks.layers import PEER, Shapes, layers
from benchmarks.timing import Method
from lasoftmoe.clip import moe_parameters
from lasoftmoe.detector import Batch, Detector
from lasoftmoe.experiment.config import ExperimentConfig, load_config
from lasoftmoe.experiment.preflight import step_cost
from lasoftmoe.methods import build_detector
from lasoftmoe.training.optimizer import make_optimizer

RANK = 128
EXPERIMENTS = ("vanilla", "soft_moe", "la_soft_moe")


def method_of(setting: Setting) -> Method:
    """Return the timing method: bfloat16 on a GPU, float32 on a CPU."""
    if setting.is_gpu:
        return Method(10, setting.device, torch.bfloat16, product_size=4096, repeats=10)
    return Method(1, setting.device, product_size=64)


def layer_speed(setting: Setting, compiled: bool = False) -> dict[str, Any]:
    """Time all layers; without compiling, also with 48 slots in place of 49."""
    shapes, method = (TINY if setting.tiny else Shapes(batch=64)), method_of(setting)
    check_layers(setting, shapes)
    rows = []
    torch.compiler.reset()
    for slots in (shapes.slots,) if compiled else (shapes.slots - 1, shapes.slots):
        sizes = replace(shapes, slots=slots)
        timed = moe.time_layers(sizes, method, compiled, setting.backend)
        rows += [{"slots": slots, "compiled": compiled, **row} for row in timed]
    name = f"la, rank {shapes.rank}"
    best = [r for r in rows if r["layer"] == name and r["passes"] == "train"][-1]
    peer = best["peer_over_it"]
    summary = f"La-SoftMoE at rank {shapes.rank}: {1e3 * best['seconds']:.2f} ms to train on"
    summary += f" {shapes.batch} images, {best['over_floor']:.1f} times the floor"
    summary += f", {peer:.2f} times as fast as {PEER}" if peer else ""
    return {"rows": rows, "summary": summary}


def check_layers(setting: Setting, shapes: Shapes) -> None:
    """Compare one image's output with a CPU before anything is timed."""
    for name, make in layers(shapes).items():
        layer = trained(make)
        x = torch.randn(1, shapes.tokens, shapes.dim)
        with torch.no_grad():
            wanted = layer(x)
            found = layer.to(setting.device)(x.to(setting.device))
        setting.require_close(name, relative_error([found], [wanted]), 1e-3)


def tower_step(setting: Setting, compiled: bool = False) -> dict[str, Any]:
    """Time training steps of the whole vision tower, plain and with La-SoftMoE."""
    name, size, batch = ("small", 96, 2) if setting.tiny else ("ViT-B-16-quickgelu", 224, 64)
    modules = tower.towers(name, 8 if setting.tiny else RANK, (3,) if setting.tiny else (48, 49))
    images = torch.randn(1, 3, size, size)
    for kind, module in modules.items():
        with torch.no_grad():
            for parameter in moe_parameters(module):  # the branch begins at zero
                parameter.add_(0.05 * torch.randn_like(parameter))
            wanted = module.eval()(images)
            found = module.to(setting.device)(images.to(setting.device))
        setting.require_close(f"tower {kind}", relative_error([found], [wanted]), 5e-3)
        module.train()
    torch.compiler.reset()
    once = replace(method_of(setting), repeats=1)
    timed = tower.time_towers(modules, batch, size, once, compiled, setting.backend)
    rows = [{"compiled": compiled, **row} for row in timed]
    last = rows[-1]
    share = f", {last['share_of_peak']:.0%} of the card's peak" if last["share_of_peak"] else ""
    summary = f"{last['tower']}: {last['over_vanilla']:.2f} times a plain step, "
    summary += f"{last['images_per_second']:.0f} images/s{share}"
    return {"rows": rows, "summary": summary}


def memory(setting: Setting) -> dict[str, Any]:
    """Compare the memory of one training step with what the dry run counts."""
    rows = []
    for name in EXPERIMENTS:
        config = step_config(name, setting)
        detector = build_detector(config.detector, config.seed).train()
        wanted = loss_of(detector, config, 2, torch.device("cpu")).item()
        detector.to(setting.device)
        found = loss_of(detector, config, 2, setting.device).item()
        setting.require_close(f"{name}, loss", abs(found - wanted) / abs(wanted), 0.05)
        peak = step_peak(detector, config, setting)
        counted = sum(step_cost(config).bytes.values())
        rows.append({"experiment": name, "counted_bytes": counted, "peak_bytes": peak})
    last = rows[-1]
    measured = f"{last['peak_bytes'] / 2**30:.1f} GiB" if last["peak_bytes"] else "not measured"
    counted = f"counted {last['counted_bytes'] / 2**30:.1f} GiB"
    return {"rows": rows, "summary": f"a step of {last['experiment']}: {measured}, {counted}"}


def step_config(name: str, setting: Setting, **training: Any) -> ExperimentConfig:
    """Return the a100 preset with random weights, cut to size if the setting is tiny."""
    detector: dict[str, Any] = {"clip": {"pretrained": None}}
    overrides: dict[str, Any] = {"device": "any", "detector": detector}
    if setting.tiny:
        detector["clip"]["name"] = "small"
        detector["moe"] = {"num_experts": 2, "slots_per_expert": 3, "rank": 8}
        overrides["data"] = {"image_size": 96}
        training = {"batch_size": 4, **training}
    return load_config(name, "a100", 0, overrides | {"training": training})


def loss_of(
    detector: Detector, config: ExperimentConfig, size: int, device: torch.device
) -> Tensor:
    """Return the loss of a batch of noise in the preset's precision."""
    bf16 = config.training.precision == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        loss = detector.training_loss(random_batch(size, config, device))
    assert isinstance(loss, Tensor)
    return loss


def step_peak(detector: Detector, config: ExperimentConfig, setting: Setting) -> int | None:
    """Run a whole training step; return the most bytes in use on a GPU."""
    if setting.is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    optimizer = make_optimizer(detector, config.training)
    loss_of(detector, config, config.training.batch_size, setting.device).backward()
    optimizer.step()
    return torch.cuda.max_memory_allocated() if setting.is_gpu else None


def random_batch(size: int, config: ExperimentConfig, device: torch.device) -> Batch:
    """Return noise with alternating labels."""
    generator, side = torch.Generator().manual_seed(0), config.data.image_size
    images = torch.randint(256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
    return {
        "image": images.to(device),
        "is_attack": (torch.arange(size) % 2 == 1).to(device),
    }
