"""The command ``lasoftmoe``: train, evaluate, zero-shot, run, report, cost.

Whatever goes wrong is said in one message on stderr, with exit code 2; ``--debug`` adds the
traceback.
"""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentError
from dataclasses import asdict
from typing import Any

import pandas as pd
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt

from lasoftmoe.config import (
    DataConfig,
    DetectorConfig,
    TrainingConfig,
    known_experiments,
    known_presets,
    load_config,
)

DESCRIPTION = (
    "Train and evaluate the detectors of the book. An error is one message on stderr and the exit "
    "code 2."
)
SECTIONS = {"data": DataConfig, "detector": DetectorConfig, "training": TrainingConfig}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (0, or 2 after an error)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        # Only what was typed: everything else comes from the preset.
        options = _parser().parse_args(arguments, defaults=False)
        COMMANDS[options.command](options.get(options.command) or Namespace())
        return 0
    except KeyboardInterrupt:
        code, message = 130, "\nlasoftmoe: interrupted; the same command goes on from there"
    except Exception as error:
        if debug:
            traceback.print_exc()
        code, message = 2, f"lasoftmoe: error: {_message(error)}"
    # Only now is the error gone, and with it a progress bar that would share the message's line.
    print(message, file=sys.stderr)
    return code


def _message(error: Exception) -> str:
    """The error's own words; where they would not do alone, with the kind of error."""
    expected = isinstance(error, ArgumentError | ValueError | RuntimeError | OSError)
    return str(error) if expected and str(error) else f"{type(error).__name__}: {error}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="lasoftmoe", description=DESCRIPTION, exit_on_error=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subcommands(dest="command", required=True)
    commands.add_subcommand("train", _experiment_parser(), help="train and evaluate an experiment")
    commands.add_subcommand("run", _experiment_parser(), help="the same, and print the report")
    commands.add_subcommand("evaluate", _evaluate_parser(), help="score data with a trained run")
    commands.add_subcommand("zero-shot", _zero_shot_parser(), help="score CLIP as it comes")
    commands.add_subcommand("report", ArgumentParser(exit_on_error=False), help="list all runs")
    commands.add_subcommand("cost", _cost_parser(), help="parameters and multiply-adds of a branch")
    return parser


def _experiment_parser() -> ArgumentParser:
    parser = ArgumentParser(
        exit_on_error=False,
        description="Fields that are not given keep the preset's values; the defaults shown below "
        "are those of the preset laptop. What was run before is read back.",
    )
    parser.add_argument("name", type=str, help=", ".join(known_experiments()))
    _add_common(parser)
    shown = asdict(load_config("vanilla", "laptop"))
    for section, kind in SECTIONS.items():
        parser.add_argument(f"--{section}", type=kind, default=kind(**shown[section]))
    return parser


def _evaluate_parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("run_folder", type=str, help="runs/<name>-<hash>")
    parser.add_argument("--data", type=str, help="a prepared dataset (default: the run's own)")
    parser.add_argument("--protocol", type=str, help="its protocol (default: the run's own)")
    return parser


def _zero_shot_parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--prompt", type=str, help="T-1 to T-8, or all (default: the preset's)")
    parser.add_argument("--data", type=DataConfig)
    _add_common(parser)
    return parser


def _cost_parser() -> ArgumentParser:
    parser = ArgumentParser(
        exit_on_error=False,
        description="What the branch of an experiment adds to one block, for one image, forward "
        "only. Fields that are not given keep the preset's values.",
    )
    parser.add_argument("name", type=str, help=", ".join(known_experiments()))
    _add_preset(parser)
    shown = asdict(load_config("vanilla", "laptop").detector)
    parser.add_argument("--detector", type=DetectorConfig, default=DetectorConfig(**shown))
    return parser


def _add_common(parser: ArgumentParser) -> None:
    _add_preset(parser)
    parser.add_argument(
        "--seed", type=NonNegativeInt, default=0, help="fixes all randomness of the run"
    )


def _add_preset(parser: ArgumentParser) -> None:
    presets = ", ".join(known_presets())
    parser.add_argument(
        "--preset", type=str, help=f"{presets} (default: LASOFTMOE_PRESET, or laptop)"
    )


# The modules that load torch are imported where they are needed, so that --help answers at once.


def _run(options: Namespace) -> Any:
    from lasoftmoe import experiment

    return experiment.run(
        options.name, options.get("preset"), int(options.get("seed", 0)), _overrides(options)
    )


def _overrides(options: Namespace) -> dict[str, Any]:
    return {section: options[section].as_dict() for section in SECTIONS if section in options}


def _train_command(options: Namespace) -> None:
    run = _run(options)
    report = run.report
    print(f"{run.name}: {report['steps']} steps in {report['train_seconds']:.0f} s -> {run.folder}")


def _run_command(options: Namespace) -> None:
    from lasoftmoe import evaluation

    run = _run(options)
    report = run.report
    print(f"{run.name}, preset {report['preset']}, seed {report['seed']}: {run.folder}")
    print(
        f"{report['steps']} steps in {report['train_seconds']:.0f} s on {report['hardware']}; "
        f"{report['parameters']['total']:,} parameters, {report['parameters']['moe']:,} of them MoE"
    )
    print(f"test\n{evaluation.from_scores(run.scores).test}")


def _evaluate_command(options: Namespace) -> None:
    from lasoftmoe import data, experiment

    run = experiment.read_run(options.run_folder)
    folder = options.get("data") or experiment.data_folder(run.config)
    protocol = options.get("protocol") or run.config.data.protocol
    test = data.open_dataset(folder, protocol, run.config.data.image_size)["test"]
    report = run.evaluate_on(test)
    print(f"{run.folder.name} on the test split of {protocol} in {folder}")
    print(report)


def _zero_shot_command(options: Namespace) -> None:
    from lasoftmoe import experiment
    from lasoftmoe.prompts import PROMPTS

    wanted = options.get("prompt")
    prompts = list(PROMPTS) if wanted == "all" else [wanted]
    rows = []
    for prompt in prompts:
        overrides = _overrides(options) | ({"detector": {"prompt": prompt}} if prompt else {})
        run = experiment.run(
            "zero_shot", options.get("preset"), int(options.get("seed", 0)), overrides
        )
        test = run.report["test"]
        figures = {key.upper(): 100 * test[key] for key in ("acer", "acc", "auc", "eer")}
        rows.append({"prompt": run.config.detector.prompt, **figures})
    _print_table(pd.DataFrame(rows), "test, percent; threshold at the dev EER")


def _report_command(options: Namespace) -> None:
    from lasoftmoe import experiment
    from lasoftmoe.paths import runs_folder

    table = experiment.runs_table()
    if table.empty:
        print(f"no finished runs in {runs_folder()}; `lasoftmoe run vanilla` makes one")
    else:
        _print_table(table, "test, percent; threshold at the dev EER")


def _cost_command(options: Namespace) -> None:
    from lasoftmoe.clip import load_clip
    from lasoftmoe.moe.cost import block_cost, cost_table

    detector = load_config(options.name, options.get("preset"), 0, _overrides(options)).detector
    if detector.moe.kind == "none":
        raise ValueError(f"{options.name} puts no branch into CLIP; try la_soft_moe")
    # Weights do not change a cost: random ones need no download.
    visual = load_clip(detector.clip.name, pretrained=None).model.visual
    tokens, dim = visual.positional_embedding.shape
    branch, block = cost_table(dim, tokens, detector.moe), block_cost(dim, tokens).sum()
    print(f"{options.name}: one block's branch, {tokens} tokens of width {dim}, one image forward")
    print(branch.map("{:,}".format).to_string())
    for name in branch:
        share = branch[name].sum() / block[name]
        print(f"{name}: {branch[name].sum():,}, {share:.2f} times the block's {block[name]:,}")


def _print_table(table: pd.DataFrame, title: str) -> None:
    print(title)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


COMMANDS = {
    "train": _train_command,
    "run": _run_command,
    "evaluate": _evaluate_command,
    "zero-shot": _zero_shot_command,
    "report": _report_command,
    "cost": _cost_command,
}
