"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from data_prep.limits import LIMITS, parse_limits


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug`` and ``--limit``, for use after a command's name."""
    # Without SUPPRESS, the default would replace a ``--debug`` from before the name.
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--limit",
        action="append",
        type=_limit,
        default=argparse.SUPPRESS,
        metavar="NAME=NUMBER",
        help=f"raise a limit on input files; names: {', '.join(LIMITS)}",
    )


class Help(argparse.HelpFormatter):
    """Help in which an example stays in one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Parser that takes whole names of options only and tells a wrong call in one line.

    The parsers of its commands are of this class, too.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Help, **options})

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with 2."""
        self.exit(2, f"error: {message}; `{self.prog} --help` ends in an example\n")


def _limit(pair: str) -> str:
    try:
        parse_limits(pair)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return pair


def add_building_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--out``, ``--overwrite``, ``--seed``, and ``--workers``."""
    add_out_options(parser)
    add_common_options(parser)


def add_out_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--out`` and ``--overwrite``."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a dataset of another recipe or from other files; deletes only its own files",
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed`` and ``--workers``."""
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="fixes all randomness (default: 0)"
    )
    add_workers_option(parser)


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        "--workers",
        type=at_least(1, MOST_WORKERS),
        help="processes (default: one for each CPU core)",
    )


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend`` and ``--cluster``; see ``chosen_backend``."""
    parser.add_argument(
        "--backend",
        choices=("loky", "dask", "ray"),
        default="loky",
        help="library that runs the processes: loky (default), or dask or ray (pip extra: scale)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a running Dask or Ray cluster (default: $DATA_PREP_CLUSTER, else one started here)",
    )


def chosen_backend(options: argparse.Namespace) -> str:
    """Return the backend for ``run_units``.

    Raises:
        ValueError: If there is a cluster's address but no backend for it.
    """
    if not options.cluster:
        return options.backend
    if options.backend == "loky":
        raise ValueError("--cluster needs --backend dask or --backend ray")
    return f"{options.backend}@{options.cluster}"


def output_file(text: str) -> Path:
    """Parse the name of a file to write; reject a device, a link, or a folder before any work."""
    from data_prep.atomic import refuse_other_than_file

    try:
        refuse_other_than_file(Path(text))
    except FileExistsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


MOST_WORKERS = 1_024
LARGEST = 2**31 - 1


def at_least(smallest: int, largest: int = LARGEST) -> Callable[[str], int]:
    """Return a parser of whole numbers, so that a command rejects others before it writes."""

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not smallest <= number <= largest:
            most = "" if largest == LARGEST else f", {largest:,} at most"
            raise argparse.ArgumentTypeError(
                f"{text[:40]} is not possible; expected a whole number, {smallest} or more{most}"
            )
        return number

    return whole_number
