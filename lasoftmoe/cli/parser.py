"""The options of each command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from jsonargparse import ArgumentParser, DefaultHelpFormatter
from jsonargparse.typing import NonNegativeInt, PositiveInt, restricted_number_type

from lasoftmoe import __version__
from lasoftmoe.deployment import WARNING
from lasoftmoe.experiment.config import (
    DataConfig,
    experiment_kind,
    known_experiments,
    known_presets,
    known_tables,
    load_config,
)
from lasoftmoe.methods import METHODS
from lasoftmoe.training.config import TrainingConfig

DESCRIPTION = (
    "Train and evaluate the detectors of the book. An error is one message on stderr and the exit "
    "code 2."
)
MOST_SEEDS = 1000
"""More would be a typing error: the paper's tables take minutes to hours for each seed."""
Seeds = restricted_number_type("Seeds", int, [(">=", 1), ("<=", MOST_SEEDS)])
SECTIONS = ("data", "detector", "training")


class Help(DefaultHelpFormatter):
    """Help in which an example stays in one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


def make_parser(arguments: Sequence[str]) -> ArgumentParser:
    """Return the parser of all commands.

    Only the command in ``arguments`` gets its options: a method's options need torch, which would
    slow down ``lasoftmoe --help``.
    """
    parser = ArgumentParser(
        prog="lasoftmoe",
        description=DESCRIPTION,
        epilog="example: lasoftmoe run la_soft_moe --seed 1",
        version=__version__,
        formatter_class=Help,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subcommands(dest="command", required=True)
    wanted = next((word for word in arguments if word in COMMANDS), None)
    for name, (add_options, text, example) in COMMANDS.items():
        command = ArgumentParser(
            description=text,
            epilog=f"example: lasoftmoe {name} {example}",
            formatter_class=Help,
            allow_abbrev=False,
            exit_on_error=False,
        )
        if name == wanted:
            add_options(command, arguments)
        commands.add_subcommand(name, command, help=text)
    return parser


def _experiment(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.description = (
        f"{parser.description}. Fields that are not given keep the preset's values; the defaults "
        "shown are those of the preset laptop. A finished run is loaded from the cache."
    )
    names = f"{', '.join(known_experiments())}; with `run` also {', '.join(known_tables())}"
    parser.add_argument("name", type=str, help=names)
    _common(parser)
    name = next((word for word in arguments if word in known_experiments()), "vanilla")
    shown = load_config(name, "laptop")
    parser.add_argument("--data", type=DataConfig, default=shown.data)
    parser.add_argument("--training", type=TrainingConfig, default=shown.training)
    _detector(parser, name)


def _detector(parser: ArgumentParser, name: str) -> None:
    """Add the settings of an experiment's method."""
    parser.add_class_arguments(METHODS[experiment_kind(name)].config, "detector")
    parser.set_defaults({"detector": asdict(load_config(name, "laptop").detector)})


def _run(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    _experiment(parser, arguments)
    parser.add_argument(
        "--seeds",
        type=Seeds,
        help=f"runs with seeds 0 to SEEDS - 1, at most {MOST_SEEDS} (instead of --seed)",
    )
    parser.add_argument("--out", type=str, help="also write a record to this file")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only check that data, weights, and memory suffice; exit code 2 if not",
    )


def _evaluate(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.add_argument("run_folder", type=str, help="runs/<name>-<hash>")
    parser.add_argument("--data", type=str, help="a prepared dataset (default: the run's own)")
    parser.add_argument("--protocol", type=str, help="its protocol (default: the run's own)")
    parser.add_argument(
        "--device", type=str, help="cpu, cuda, or cuda:1 (default: a GPU if there is one)"
    )


def _zero_shot(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.add_argument("--prompt", type=str, help="T-1 to T-8, or all (default: the preset's)")
    parser.add_argument("--data", type=DataConfig)
    _common(parser)


def _report(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.description = (
        f"{parser.description}. Without a name: all finished runs. With one: the table's finished "
        "runs on this machine, its recorded runs, and the paper's results."
    )
    parser.add_argument("name", type=str, nargs="?", help=", ".join(known_tables()))
    _preset(parser)
    parser.add_argument(
        "--seeds", type=Seeds, default=5, help="look for runs with seeds 0 to SEEDS - 1"
    )
    parser.add_argument("--format", type=Literal["text", "markdown", "latex"], default="text")


def _cost(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.description = (
        f"{parser.description}: what it adds to one block, for one image, forward only. Fields "
        "that are not given keep the preset's values."
    )
    parser.add_argument("name", type=str, help=", ".join(known_experiments()))
    _preset(parser)
    _detector(parser, next((w for w in arguments if w in known_experiments()), "vanilla"))


def _export(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.add_argument("run_folder", type=str, help="runs/<name>-<hash>")
    parser.add_argument("--out", type=str, required=True, help="the file to write (.onnx)")


def _score(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    parser.description = f"{parser.description}. {WARNING}"
    parser.add_argument("paths", type=str, nargs="+", help="images, videos, or folders of them")
    parser.add_argument(
        "--detector", type=str, help="a run's folder or an exported file (default: the newest run)"
    )
    parser.add_argument(
        "--crop",
        type=Literal["face", "none"],
        default="face",
        help="face cuts out the largest face; none takes images that are faces already",
    )
    parser.add_argument("--frames", type=PositiveInt, default=8, help="frames of a video")


def _common(parser: ArgumentParser) -> None:
    _preset(parser)
    parser.add_argument(
        "--seed", type=NonNegativeInt, default=0, help="fixes all randomness of the run"
    )


def _preset(parser: ArgumentParser) -> None:
    presets = ", ".join(known_presets())
    parser.add_argument(
        "--preset", type=str, help=f"{presets} (default: LASOFTMOE_PRESET, or laptop)"
    )


COMMANDS = {
    "train": (_experiment, "train and evaluate an experiment", "soft_moe --training.epochs 2"),
    "run": (
        _run,
        "train and evaluate an experiment or a whole table; print reports",
        "table6 --preset laptop --seeds 5 --out table6.json",
    ),
    "evaluate": (_evaluate, "score data with a trained run", "runs/vanilla-0123abcd --data DIR"),
    "zero-shot": (_zero_shot, "score CLIP without training", "--prompt all"),
    "report": (
        _report,
        "list all runs, or a table next to the paper's",
        "table6 --format markdown",
    ),
    "cost": (_cost, "parameters and multiply-adds of a branch", "la_soft_moe"),
    "export": (
        _export,
        "write a trained run as an ONNX file",
        "runs/vanilla-0123abcd --out detector.onnx",
    ),
    "score": (
        _score,
        "score images, videos, or folders with a trained run",
        "photo.png --detector runs/vanilla-0123abcd",
    ),
}
"""What adds a command's options, what it does, and the arguments of one call."""
