"""Benchmark of the MoE layers: ``python -m benchmarks.moe``.

Compares the layers with a floor and with a peer, and measures how their time grows. On a CPU:
float32, two threads, ViT-B/16 shapes. With ``--device cuda``: compiled in bfloat16, also the whole
vision tower, and with 48, 49, 52, and 56 slots per expert, because rows of an odd number of
bfloat16 slots are not aligned to 16 bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.growth import BASE, attention_growth, growth
from benchmarks.layers import PEER, Job, Shapes, layers
from benchmarks.record import origin, publish
from benchmarks.timing import CLOCKS, Method, in_turns, keep_freed_memory
from benchmarks.tower import time_towers, towers

QUIET_LOAD = 1.0
ALIGNMENT = (48, 49, 52, 56)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.moe", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (15)")
    parser.add_argument("--batch", type=int, default=None, help="images (CPU 8, GPU 64)")
    parser.add_argument("--growth-rounds", type=int, default=5, help="0 skips the growth (5)")
    parser.add_argument("--compile", action="store_true", help="compile the layers (always on GPU)")
    parser.add_argument("--tower", action="store_true", help="time the tower (always on GPU)")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="process counts this process's CPU seconds, for --threads 1 on a busy machine",
    )
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that it runs")
    options = parser.parse_args(arguments)
    if options.clock == "process" and (options.threads != 1 or options.device != "cpu"):
        parser.error("--clock process is meaningful only on the CPU with --threads 1")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    options.given = sys.argv[1:] if arguments is None else arguments
    return options


def method_of(options: argparse.Namespace) -> Method:
    """Return the timing method, with a product large enough for the device's full rate."""
    device = torch.device(options.device)
    if device.type == "cuda":
        return Method(options.rounds, device, torch.bfloat16, product_size=4096, repeats=10)
    size = 256 if options.quick else 2048
    return Method(options.rounds, device, clock=options.clock, product_size=size)


def time_layers(
    shapes: Shapes, method: Method, compiled: bool, backend: str = "inductor"
) -> list[dict]:
    """Time forward and training passes of every layer, relative to its floor and to the peer.

    ``over_floor`` is the time divided by that of the same FLOPs in a large product.
    ``peer_over_it`` is the peer's time at the same width divided by the layer's; above 1, the layer
    is faster.
    """
    torch.manual_seed(0)
    size_of_x = (shapes.batch, shapes.tokens, shapes.dim)
    x = torch.randn(size_of_x, device=method.device, requires_grad=True)
    jobs = {n: Job(make().to(x.device), x, method.dtype) for n, make in layers(shapes).items()}
    flops = {name: job.flops(job.train) for name, job in jobs.items()}
    if compiled:
        jobs = {
            n: Job(torch.compile(job.module, backend=backend), x, method.dtype)
            for n, job in jobs.items()
        }
    rows = []
    for passes, share in (("forward", 1 / 3), ("train", 1.0)):
        timed = in_turns({name: getattr(job, passes) for name, job in jobs.items()}, method)
        for name in jobs:
            peer = f"{PEER}, rank {shapes.rank}" if "rank" in name else PEER
            compares = peer in jobs and name != peer and name.startswith(("soft", "la"))
            rows.append(
                {
                    "layer": name,
                    "passes": passes,
                    "seconds": timed.median(name),
                    "flops": flops[name] * share,
                    "over_floor": timed.over_floor(name, flops[name] * share),
                    "peer_over_it": timed.ratio(peer, name) if compares else None,
                }
            )
    return rows


def targets(
    layer_rows: list[dict], tower_rows: list[dict], shapes: Shapes, gpu: bool
) -> list[dict]:
    """Compare the measured speeds with our targets."""
    train = {row["layer"]: row for row in layer_rows if row["passes"] == "train"}
    soft, la = train[f"soft, rank {shapes.rank}"], train[f"la, rank {shapes.rank}"]
    found = []

    def add(name: str, measured: float | None, at_most: float = 0, at_least: float = 0) -> None:
        if measured is not None:
            met = measured <= at_most if at_most else measured >= at_least
            limit = {"at_most": at_most} if at_most else {"at_least": at_least}
            found.append({"target": name, "measured": measured, **limit, "met": met})

    least = (1.5, 1.5) if gpu else (1.0, 1.3)
    if not gpu:
        add("full La-SoftMoE, training over floor", train["la"]["over_floor"], at_most=1.15)
        add("La-SoftMoE in the bottleneck, training over floor", la["over_floor"], at_most=1.35)
    add("Soft MoE, times faster than the peer", train["soft"]["peer_over_it"], at_least=least[0])
    add("... in the bottleneck", soft["peer_over_it"], at_least=least[1])
    for row in tower_rows:
        if gpu and row["tower"].startswith("la"):
            add(f"step of the tower, {row['tower']}, over vanilla", row["over_vanilla"], 1.2)
        if gpu and row["tower"] == "vanilla":
            add("vanilla tower, share of peak", row["share_of_peak"], at_least=0.35)
    return found


def time_all(options: argparse.Namespace) -> dict:
    """Measure everything and return a record."""
    method, gpu = method_of(options), options.device == "cuda"
    shapes, growing = Shapes(batch=options.batch or (64 if gpu else 8)), BASE
    if options.quick:
        shapes = Shapes(options.batch or 2, tokens=17, dim=32, experts=2, slots=3, rank=8)
        growing = replace(shapes, batch=1)
    record = {
        **origin("moe", options.given),
        "threads": options.threads,
        "clock": options.clock,
        "load_before": os.getloadavg()[0],
        "keeps_freed_memory": keep_freed_memory(),
        "compiled": gpu or options.compile,
        "shapes": vars(shapes),
    }
    record["layers"] = time_layers(shapes, method, compiled=gpu or options.compile)
    record["towers"] = []
    if gpu or options.tower:
        name, size = ("small", 96) if options.quick else ("ViT-B-16-quickgelu", 224)
        modules = towers(name, shapes.rank, ALIGNMENT if gpu else (shapes.slots,))
        once = replace(method, repeats=1)
        record["towers"] = time_towers(modules, shapes.batch, size, once, compiled=gpu)
    record["targets"] = targets(record["layers"], record["towers"], shapes, gpu)
    if options.growth_rounds:
        grow = replace(method, rounds=options.growth_rounds)
        record["growth"] = growth(grow, growing) + attention_growth(grow, growing)
    return record


def report(record: dict) -> str:
    """Format the record as a table."""
    lines = [f"{record['hardware']}, {record['threads']} threads, {record['clock']} clock"]
    if record["load_before"] > QUIET_LOAD and record["clock"] == "wall":
        lines.append(f"NOISY: the load was {record['load_before']:.1f} before the start")
    lines += ["", f"{'layer':28}{'passes':9}{'ms':>9}{'x floor':>9}{'peer / it':>11}"]
    for row in record["layers"]:
        peer = f"{row['peer_over_it']:11.2f}" if row["peer_over_it"] else f"{'':11}"
        lines.append(
            f"{row['layer']:28}{row['passes']:9}{row['seconds'] * 1e3:9.2f}"
            f"{row['over_floor']:9.2f}{peer}"
        )
    for row in record["towers"]:
        share = f", {row['share_of_peak']:.0%} of peak" if row["share_of_peak"] else ""
        lines.append(
            f"tower {row['tower']}: {row['images_per_second']:.1f} images/s, "
            f"{row['over_vanilla']:.2f} x vanilla, {row['over_floor']:.2f} x floor{share}"
        )
    lines.append("")
    for row in record["targets"]:
        limit = f"<= {row['at_most']}" if "at_most" in row else f">= {row['at_least']}"
        verdict = "met" if row["met"] else "MISSED"
        lines.append(f"{row['target']}: {row['measured']:.2f} ({limit}) {verdict}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; write the record with ``--out``."""
    options = parse(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks: there is no GPU here; omit --device cuda", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    record = time_all(options)
    publish(record, report(record), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
