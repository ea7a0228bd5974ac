"""Commands that measure the attacks: attacks, strengths."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from data_prep.commands.options import add_common_options, at_least, output_file


def add_commands(commands: argparse._SubParsersAction) -> None:
    attacks = commands.add_parser(
        "attacks", help="success of the adversarial attacks, and transfer to a second network"
    )
    attacks.set_defaults(run=_run_attacks)
    attacks.add_argument(
        "--json", type=output_file, metavar="FILE", help="also write the numbers here"
    )
    attacks.add_argument("--people", type=at_least(2), default=60, help="default: 60")
    attacks.add_argument("--seed", type=at_least(0), default=0, help="default: 0")

    strengths = commands.add_parser(
        "strengths", help="how well a texture probe detects each attack at each strength"
    )
    strengths.set_defaults(run=_run_strengths)
    strengths.add_argument(
        "--json", type=output_file, metavar="FILE", help="also write the numbers here"
    )
    strengths.add_argument("--out", type=output_file, metavar="PNG", help="also draw the curves")
    strengths.add_argument(
        "--people", type=at_least(2), default=60, help="people to train on (default: 60)"
    )
    strengths.add_argument(
        "--read", type=at_least(2), default=40, help="other people to test on (default: 40)"
    )
    add_common_options(strengths)


def _run_attacks(options: argparse.Namespace) -> None:
    from data_prep.studies.transfer import measure_transfer

    command = f"python -m data_prep attacks --people {options.people} --seed {options.seed}"
    result = measure_transfer(command, options.people, seed=options.seed)
    print(result.to_text())
    if options.json:
        _write_json(result.to_dict(), options.json)


def _run_strengths(options: argparse.Namespace) -> None:
    from data_prep.studies.strength_figure import save_strength_curves
    from data_prep.studies.strengths import measure_strengths

    command = (
        f"python -m data_prep strengths --people {options.people} --read {options.read} "
        f"--seed {options.seed}"
    )
    result = measure_strengths(command, options.people, options.read, options.seed, options.workers)
    print(result.to_text())
    if options.json:
        _write_json(result.to_dict(), options.json)
    if options.out:
        save_strength_curves(result.table, options.out)


def _write_json(record: dict[str, Any], path: Path) -> None:
    from data_prep.atomic import write_atomically

    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
