"""The command ``audit``, which searches for shortcuts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from data_prep.commands.options import at_least, output_file
from data_prep.commands.summary import say


def add_commands(commands: argparse._SubParsersAction) -> None:
    audit = commands.add_parser(
        "audit", help="find shortcuts: train probes on color, layout, file size, and noise"
    )
    audit.set_defaults(run=_run_audit)
    audit.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")
    audit.add_argument("--protocol", default="p1", help="its protocol (default: p1)")
    audit.add_argument(
        "--split",
        choices=("dev", "test"),
        default="dev",
        help="where to measure (default: dev; use test only once, when nothing will change)",
    )
    audit.add_argument(
        "--json", type=output_file, metavar="FILE", help="also write all results here"
    )
    audit.add_argument(
        "--bars",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="exit with 1 if a probe exceeds its limit (default: yes)",
    )
    audit.add_argument("--seed", type=at_least(0), default=0, help="for boosting and resampling")


def _run_audit(options: argparse.Namespace) -> int:
    from data_prep.atomic import write_atomically
    from data_prep.inspection.audit import Bars, audit_dataset

    audit = audit_dataset(
        options.folder,
        options.protocol,
        options.split,
        bars=Bars() if options.bars else None,
        seed=options.seed,
    )
    say(audit.to_text())
    if options.json:
        text = json.dumps(audit.to_dict(), indent=2) + "\n"
        write_atomically(options.json, lambda path: path.write_text(text, "utf-8"))
    return 0 if audit.broken.empty else 1
