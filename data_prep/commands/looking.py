"""Commands that show or check a prepared dataset: sheet, check."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands.options import at_least, output_file
from data_prep.commands.summary import say, summary


def add_commands(commands: argparse._SubParsersAction) -> None:
    sheet = commands.add_parser("sheet", help="draw a labeled contact sheet of a dataset")
    sheet.set_defaults(run=_run_sheet)
    sheet.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")
    sheet.add_argument("--out", type=output_file, required=True, help="the image to write (.png)")
    sheet.add_argument("--subjects", type=at_least(1, 200), default=8, help="columns (default: 8)")
    sheet.add_argument("--protocol", default=None, help="only images of this protocol")
    sheet.add_argument("--split", default=None, help="only images of this split of it")

    check = commands.add_parser("check", help="check a dataset's tables, images, and checksums")
    check.set_defaults(run=_run_check)
    check.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")


def _run_sheet(options: argparse.Namespace) -> None:
    from data_prep.inspection.sheet import write_sheet

    write_sheet(options.folder, options.out, options.subjects, options.protocol, options.split)
    print(options.out)


def _run_check(options: argparse.Namespace) -> None:
    from data_prep.manifest import validate

    say(summary(validate(options.folder)))
