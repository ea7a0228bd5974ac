"""The command line of ``python -m data_prep``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 after an error told in one message."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        expected = isinstance(error, ValueError | OSError)
        told = f"{error}" if expected else f"{type(error).__name__}: {error} (see --debug)"
        print(f"error: {told}", file=sys.stderr)
        return 2
    return 0


# Commands import what they need when they run: torch alone takes seconds, --help should not.


def _run_synthetic(options: argparse.Namespace) -> None:
    from data_prep.synthetic.dataset import write_synthetic_dataset

    dataset = write_synthetic_dataset(
        options.out,
        options.preset,
        options.seed,
        options.workers,
        with_maps=options.with_maps,
        overwrite=options.overwrite,
    )
    print(_summary(dataset))


def _run_captions(options: argparse.Namespace) -> None:
    from data_prep.synthetic.caption_dataset import write_caption_dataset

    dataset = write_caption_dataset(
        options.out, options.subjects, options.seed, options.workers, options.overwrite
    )
    print(_summary(dataset))


def _run_surrogate(options: argparse.Namespace) -> None:
    from data_prep.synthetic.surrogate_training import train_surrogate

    card = train_surrogate(options.out, seed=options.seed, workers=options.workers)
    figures = card["verification"]
    print(f"{options.out}: AUC {figures['auc']:.3f} on {figures['identities']} unseen identities")


def _run_sheet(options: argparse.Namespace) -> None:
    from data_prep.sheet import write_sheet

    write_sheet(options.folder, options.out, options.subjects, options.protocol, options.split)
    print(options.out)


def _run_check(options: argparse.Namespace) -> None:
    from data_prep.manifest import validate

    print(_summary(validate(options.folder)))


def _summary(dataset) -> str:
    counts, sums = dataset.info["counts"], dataset.info["checksums"]
    labels = ", ".join(f"{count} {label}" for label, count in counts["label"].items())
    return (
        f"{dataset.folder}: {counts['images']} images ({labels}) of {counts['subjects']} subjects, "
        f"checksum {sums['dataset'][:16]}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_prep", description="Prepare datasets for face attack detection."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    synthetic = commands.add_parser(
        "synthetic", help="write the embedded dataset of faces that do not exist"
    )
    synthetic.set_defaults(run=_run_synthetic)
    synthetic.add_argument(
        "--preset", default="laptop", help="laptop (default) or tiny (a dozen subjects)"
    )
    synthetic.add_argument(
        "--with-maps", action="store_true", help="also write masks of edits and depth of faces"
    )
    _add_building_options(synthetic)

    captions = commands.add_parser(
        "captions", help="write captioned photos, prints and screens for pretraining"
    )
    captions.set_defaults(run=_run_captions)
    captions.add_argument(
        "--subjects", type=int, default=1500, help="people, four images each (default: 1500)"
    )
    _add_building_options(captions)

    surrogate = commands.add_parser(
        "surrogate", help="train the face recognizer that adversarial attacks are computed on"
    )
    surrogate.set_defaults(run=_run_surrogate)
    surrogate.add_argument("--out", type=Path, required=True, help="weights (.safetensors)")
    _add_common_options(surrogate)

    sheet = commands.add_parser("sheet", help="draw a labeled contact sheet of a dataset")
    sheet.set_defaults(run=_run_sheet)
    sheet.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")
    sheet.add_argument("--out", type=Path, required=True, help="the picture to write (.png)")
    sheet.add_argument("--subjects", type=int, default=8, help="columns (default: 8)")
    sheet.add_argument("--protocol", default=None, help="only images of this protocol")
    sheet.add_argument("--split", default=None, help="only images of this split of it")

    check = commands.add_parser("check", help="check a dataset's tables, images and checksums")
    check.set_defaults(run=_run_check)
    check.add_argument("folder", type=Path, metavar="DIR", help="a prepared dataset")

    for command in commands.choices.values():
        # Also after the command; SUPPRESS keeps it from undoing one given before.
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return parser


def _add_building_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a dataset made by another recipe"
    )
    _add_common_options(parser)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=_at_least(0), default=0, help="fixes all randomness (default: 0)"
    )
    parser.add_argument(
        "--workers",
        type=_at_least(1),
        default=None,
        help="processes (default: one for each CPU core)",
    )


def _at_least(smallest: int) -> Callable[[str], int]:
    """Reads a whole number; the parser refuses a smaller one before a command writes anything."""

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < smallest:
            raise argparse.ArgumentTypeError(
                f"{text} is not possible; expected a whole number, {smallest} or more"
            )
        return number

    return whole_number
