"""Commands for whole datasets, also large ones: inspect, shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands.options import (
    MOST_WORKERS,
    add_backend_options,
    add_out_options,
    add_workers_option,
    at_least,
    chosen_backend,
    output_file,
)
from data_prep.commands.summary import say, summary


def add_commands(commands: argparse._SubParsersAction) -> None:
    inspect = commands.add_parser("inspect", help="count, check every file, and write an HTML page")
    inspect.set_defaults(run=_run_inspect)
    inspect.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")
    inspect.add_argument(
        "--out", type=output_file, required=True, metavar="PAGE", help="the page to write (.html)"
    )
    inspect.add_argument(
        "--each", type=at_least(1, 1_000), default=8, help="images shown of each type (default: 8)"
    )
    inspect.add_argument(
        "--images", type=at_least(1, 20_000), default=1000, help="images on the map (default: 1000)"
    )
    inspect.add_argument(
        "--seed", type=at_least(0), default=0, help="which images are shown (default: 0)"
    )
    inspect.add_argument(
        "--workers",
        type=at_least(1, MOST_WORKERS),
        help="threads that read files (default: one per CPU core)",
    )

    shards = commands.add_parser(
        "shards", help="pack a dataset into Parquet shards, which streaming readers can split"
    )
    shards.set_defaults(run=_run_shards)
    shards.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")
    add_out_options(shards)
    shards.add_argument("--protocol", default="p1", help="whose images are packed (default: p1)")
    shards.add_argument(
        "--shard-size", default="256MB", metavar="SIZE", help="size of a shard (default: 256MB)"
    )
    add_workers_option(shards)
    add_backend_options(shards)


def _run_inspect(options: argparse.Namespace) -> int:
    from data_prep.inspection.page import write_inspection

    inspection = write_inspection(
        options.folder, options.out, options.each, options.images, options.seed, options.workers
    )
    for name, table in inspection.counts.items():
        print(f"images of protocol {name}:" if name != "all" else "images:")
        say(table.to_string() + "\n")
    for finding in inspection.findings:
        print(f"{'to be put right' if finding.serious else 'to know'}: {finding.title}")
        for row in finding.rows[:5]:
            say(f"  {row}")
        if len(finding.rows) > 5:
            print(f"  and {len(finding.rows) - 5} more")
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB")
    return 1 if inspection.serious else 0


def _run_shards(options: argparse.Namespace) -> None:
    from data_prep.building.shards import parse_size, write_shards
    from data_prep.contract.packed import INDEX

    dataset = write_shards(
        options.folder,
        options.out,
        options.protocol,
        parse_size(options.shard_size),
        options.workers,
        chosen_backend(options),
        options.overwrite,
    )
    say(summary(dataset))
    print(f"{options.out / INDEX}: every shard with its rows, size, and SHA-256")
