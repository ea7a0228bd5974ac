"""The command line of ``python -m data_prep``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep.commands import audit, embedded, jfsfdb, looking, releases, scale, studies
from data_prep.commands.options import Parser, add_shared_options
from data_prep.errors import printable
from data_prep.limits import limits_set
from data_prep.provenance import versions

GROUPS = (embedded, looking, audit, releases, jfsfdb, scale, studies)
DATA = "data/synthetic-laptop"
EXAMPLES = {
    "synthetic": f"--preset laptop --out {DATA}",
    "captions": "--subjects 1500 --out data/captions",
    "surrogate": "--out surrogate.safetensors",
    "sheet": f"{DATA} --out sheet.png",
    "check": DATA,
    "audit": f"{DATA} --protocol p1",
    "uniattackdata": "--root /data/UniAttackData --protocol p1 --out data/uniattackdata-p1",
    "folder": "--live my/live --fake my/fakes --out data/mine",
    "jfsfdb": "msu_mfsd --root /data/MSU-MFSD --out data/msu_mfsd",
    "fetch-yunet": "--out yunet.onnx",
    "inspect": f"{DATA} --out inspection.html",
    "shards": f"{DATA} --out data/shards",
    "attacks": "--people 60 --json attacks.json",
    "strengths": "--people 60 --out strengths.png",
}
"""One call of each command, printed at the end of its help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for a failed check, 2 after an error."""
    options = _parser().parse_args(arguments)
    try:
        with limits_set(getattr(options, "limit", [])):
            return options.run(options) or 0
    except KeyboardInterrupt:
        print("interrupted; the same command continues from here", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        expected = isinstance(error, ValueError | OSError)
        told = f"{error}" if expected else f"{type(error).__name__}: {error} (see --debug)"
        print(f"error: {printable(told)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m data_prep",
        description="Prepare datasets for face attack detection.",
        epilog=f"example: python -m data_prep synthetic {EXAMPLES['synthetic']}",
    )
    number = versions().get("lasoftmoe", "unknown")
    parser.add_argument("--version", action="version", version=f"lasoftmoe {number}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    for group in GROUPS:
        group.add_commands(commands)
    for name, command in commands.choices.items():
        add_shared_options(command)
        command.epilog = f"example: python -m data_prep {name} {EXAMPLES[name]}"
    return parser
