"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from data_prep.limits import LIMITS, parse_limits


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """``--debug`` and ``--limit``, which every command takes after its name too."""
    # SUPPRESS keeps them from undoing what was given before the name.
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--limit",
        action="append",
        type=_limit,
        default=argparse.SUPPRESS,
        metavar="NAME=NUMBER",
        help=f"raise what a file may hold; names: {', '.join(LIMITS)}",
    )


def _limit(pair: str) -> str:
    try:
        parse_limits(pair)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return pair


def add_building_options(parser: argparse.ArgumentParser) -> None:
    """``--out``, ``--overwrite``, ``--seed`` and ``--workers``."""
    add_out_options(parser)
    add_common_options(parser)


def add_out_options(parser: argparse.ArgumentParser) -> None:
    """``--out`` and ``--overwrite``."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a dataset made by another recipe or from other files; its own files only",
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """``--seed`` and ``--workers``."""
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="fixes all randomness (default: 0)"
    )
    add_workers_option(parser)


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """``--workers``."""
    parser.add_argument(
        "--workers",
        type=at_least(1, MOST_WORKERS),
        help="processes (default: one for each CPU core)",
    )


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """``--backend`` and ``--cluster``; see ``chosen_backend``."""
    parser.add_argument(
        "--backend",
        choices=("loky", "dask", "ray"),
        default="loky",
        help="what runs the processes: loky (default), or dask or ray (pip extra: scale)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a running Dask or Ray cluster (default: $DATA_PREP_CLUSTER, else one started here)",
    )


def chosen_backend(options: argparse.Namespace) -> str:
    """The backend as ``run_units`` takes it.

    Raises:
        ValueError: an address without the backend that it belongs to.
    """
    if not options.cluster:
        return options.backend
    if options.backend == "loky":
        raise ValueError("--cluster needs --backend dask or --backend ray")
    return f"{options.backend}@{options.cluster}"


def output_file(text: str) -> Path:
    """Read the name of a file to write; refuse a device, a link, or a folder before any work."""
    from data_prep.atomic import refuse_other_than_file

    try:
        refuse_other_than_file(Path(text))
    except FileExistsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


MOST_WORKERS = 1_024
LARGEST = 2**31 - 1


def at_least(smallest: int, largest: int = LARGEST) -> Callable[[str], int]:
    """Read a whole number; the parser refuses others before a command writes anything."""

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
