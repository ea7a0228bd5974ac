"""The command line of ``python -m data_prep``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep.commands import audit, embedded, jfsfdb, looking, releases, scale, studies
from data_prep.commands.options import add_shared_options
from data_prep.errors import printable
from data_prep.limits import limits_set

GROUPS = (embedded, looking, audit, releases, jfsfdb, scale, studies)


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
    parser = argparse.ArgumentParser(
        prog="python -m data_prep", description="Prepare datasets for face attack detection."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    for group in GROUPS:
        group.add_commands(commands)
    for command in commands.choices.values():
        add_shared_options(command)
    return parser
