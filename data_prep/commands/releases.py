"""Commands that prepare what others recorded: uniattackdata, folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands.options import add_building_options
from data_prep.commands.summary import summary


def add_commands(commands: argparse._SubParsersAction) -> None:
    release = commands.add_parser(
        "uniattackdata", help="prepare a protocol of UniAttackData; images stay where they lie"
    )
    release.set_defaults(run=_run_uniattackdata)
    release.add_argument(
        "--root", type=Path, required=True, help="folder that UniAttackData or phase1 lies in"
    )
    release.add_argument("--protocol", required=True, help="p1, p1.1, p1.2, p1.3, p2.1 or p2.2")
    release.add_argument(
        "--live-is", type=int, choices=(0, 1), help="integer that means live (default: 0)"
    )
    release.add_argument(
        "--allow-missing", action="store_true", help="accept a partial copy and say what is absent"
    )
    release.add_argument(
        "--skip-counts", action="store_true", help="do not compare with the published counts"
    )
    release.add_argument(
        "--drop-overlap", action="store_true", help="keep an image of two splits in the later one"
    )
    release.add_argument(
        "--quick", action="store_true", help="only see whether images are there, do not read them"
    )
    release.add_argument(
        "--test-from-dev",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="test on this share of dev, where test labels are not given out",
    )
    add_building_options(release)


def _run_uniattackdata(options: argparse.Namespace) -> None:
    from data_prep.uniattackdata import Options, import_uniattackdata
    from data_prep.uniattackdata.report import describe

    strictness = Options(
        live_is=options.live_is,
        allow_missing=options.allow_missing,
        skip_counts=options.skip_counts,
        drop_overlap=options.drop_overlap,
        quick=options.quick,
        test_from_dev=options.test_from_dev,
        seed=options.seed,
        workers=options.workers,
    )
    dataset = import_uniattackdata(
        options.root, options.protocol, options.out, strictness, options.overwrite
    )
    print(describe(dataset))
    print(summary(dataset))
