"""The command ``lasoftmoe``: train, evaluate, zero-shot, run, report, cost, export, score.

An error is one message on stderr, with exit code 2; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from argparse import ArgumentError
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from data_prep.errors import printable
from lasoftmoe.cli.parser import SECTIONS, make_parser

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from lasoftmoe.experiment.tables import Table
    from lasoftmoe.records.recorded import Recorded


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit code (0, or 2 after an error)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        # Without defaults: whatever was not typed comes from the preset.
        options = make_parser(arguments).parse_args(arguments, defaults=False)
        with _only_the_first_process_prints(options.command):
            _say_where()
            given = options.get(options.command) or Namespace()
            if options.command in TOGETHER and not given.get("data.folder"):
                _say_unused_preset_data(given.get("preset"))
            return COMMANDS[options.command](given) or 0
    except KeyboardInterrupt:
        code, message = 130, "\nlasoftmoe: interrupted; the same command continues from there"
    except Exception as error:
        if debug:
            traceback.print_exc()
        code, message = 2, f"lasoftmoe: error: {_message(error)}{_hint(error, arguments)}"
    # Not earlier: the error keeps a progress bar alive, which would share the message's line.
    print(printable(message), file=sys.stderr)
    return code


def _only_the_first_process_prints(command: str) -> AbstractContextManager[Any]:
    """Silence all but one of the processes under ``accelerate launch``, which all run this."""
    silent = command in TOGETHER and not _is_first()
    return redirect_stdout(None) if silent else nullcontext()


def _is_first() -> bool:
    """Whether this is the first, or the only, one of the processes that work together."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def _say_where() -> None:
    """Tell users of a wheel, before their first run, where data and runs are kept."""
    from lasoftmoe import paths

    if paths.CHECKOUT is None and not paths.runs_folder().exists():
        print(f"lasoftmoe: {paths.where_kept()}", file=sys.stderr)


def _say_unused_data(folder: str, whose: str, how: str) -> None:
    """Tell users who set LASOFTMOE_DATA that a command reads another folder, and what to type."""
    from lasoftmoe.experiment.config import ENVIRONMENT

    name = ENVIRONMENT[1:]
    if os.environ.get(name) and folder != ENVIRONMENT and _is_first():
        told = f"{name} is set but not used: {whose} names the data {folder!r}. To use it: {how}"
        print(f"lasoftmoe: {told}", file=sys.stderr)


def _say_unused_preset_data(preset: str | None) -> None:
    from lasoftmoe.experiment.config import ENVIRONMENT, load_config

    config = load_config("vanilla", preset)
    whose, how = f"the preset {config.preset}", f"--data.folder '{ENVIRONMENT}'"
    _say_unused_data(config.data.folder, whose, how)


def _message(error: Exception) -> str:
    """Return the error's own message, with its type if the message alone is not enough."""
    expected = isinstance(error, ArgumentError | ValueError | RuntimeError | OSError)
    if isinstance(error, ArgumentError):
        return re.sub(r"(required: )\w+\.", r"\1", str(error)).rstrip(".")
    return str(error) if expected and str(error) else f"{type(error).__name__}: {error}"


def _hint(error: Exception, arguments: list[str]) -> str:
    """Return where a call is shown, after arguments that no command understands."""
    if not isinstance(error, ArgumentError):
        return ""
    command = next((f"{word} " for word in arguments if word in COMMANDS), "")
    return f"; `lasoftmoe {command}--help` ends in an example"


# Modules that load torch are imported inside functions, so that --help is fast.


def _run(options: Namespace) -> Any:
    from lasoftmoe.experiment import runs as experiment

    return experiment.run(
        options.name, options.get("preset"), int(options.get("seed", 0)), _overrides(options)
    )


def _overrides(options: Namespace) -> dict[str, Any]:
    return {section: options[section].as_dict() for section in SECTIONS if section in options}


def _train_command(options: Namespace) -> None:
    run = _run(options)
    report = run.report
    print(f"{run.name}: {report['steps']} steps in {report['train_seconds']:.0f} s -> {run.folder}")


def _run_command(options: Namespace) -> int | None:
    from lasoftmoe.experiment import tables

    table = tables.load_table(options.name)
    several = options.get("seeds") or options.get("out") or len(table.rows) > 1
    if options.get("dry_run"):
        return _dry_run(table, options)
    return _run_table(table, options) if several else _run_one(options)


def _run_one(options: Namespace) -> None:
    from lasoftmoe import evaluation

    run = _run(options)
    report = run.report
    print(f"{run.name}, preset {report['preset']}, seed {report['seed']}: {run.folder}")
    print(
        f"{report['steps']} steps in {report['train_seconds']:.0f} s on {report['hardware']}; "
        f"{report['parameters']['total']:,} parameters, {report['parameters']['moe']:,} of them MoE"
    )
    print(f"test\n{evaluation.from_scores(run.scores).test}")


def _run_table(table: Table, options: Namespace) -> None:
    from lasoftmoe.experiment import tables
    from lasoftmoe.records import from_runs, recorded

    runs = tables.run_table(table, options.get("preset"), _seeds(options), _overrides(options))
    record = from_runs.runs_record(table, runs, _typed())
    if path := options.get("out"):
        recorded.write_recorded(record, Path(path))
    _print_comparison(table, {"this machine": recorded.parse_record(table.name, record)}, "text")


def _dry_run(table: Table, options: Namespace) -> int:
    """Print what each row of a table needs; return 2 if something is missing."""
    from lasoftmoe.experiment import preflight, runs, tables

    missing = 0
    for name, config in tables.table_configs(
        table, options.get("preset"), _seeds(options)[:1], _overrides(options)
    ):
        print(f"{name}, preset {config.preset}")
        data = runs.data_folder(config)
        for line in preflight.dry_run(config, data, _published_counts(data)):
            print(line)
            missing += line.status == "MISSING"
    print(f"{missing} missing; nothing was started" if missing else "ready; nothing was started")
    return 2 if missing else 0


def _published_counts(data: Path | None) -> pd.DataFrame | None:
    """Return image counts of UniAttackData's protocol 1 (Table 1), or None for another dataset."""
    import pandas as pd

    from data_prep.manifest import DatasetError, read_dataset
    from lasoftmoe.records.reported import reported

    try:
        if data is not None and read_dataset(data).info["name"] != "uniattackdata-p1":
            return None
    except DatasetError:
        return None
    table = reported("table1").results
    return pd.DataFrame({"live": table["live"], "attack": table["total"] - table["live"]})


def _seeds(options: Namespace) -> list[int]:
    if options.get("seeds"):
        if options.get("seed"):
            raise ValueError("give --seed or --seeds, not both")
        return list(range(int(options.seeds)))
    return [int(options.get("seed", 0))]


def _typed() -> str:
    """Return the command line for typing it again."""
    return shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "lasoftmoe"), *sys.argv[1:]])


def _evaluate_command(options: Namespace) -> None:
    from lasoftmoe import data
    from lasoftmoe.experiment import runs as experiment

    run = experiment.read_run(options.run_folder)
    if not options.get("data"):
        _say_unused_data(run.config.data.folder, "the run", f'--data "{experiment.ENVIRONMENT}"')
    folder = options.get("data") or experiment.data_folder(run.config)
    if folder is None:
        raise ValueError("no dataset: name one with --data, or set LASOFTMOE_DATA")
    protocol = options.get("protocol") or run.config.data.protocol
    size = run.config.data.image_size
    test = data.open_dataset(folder, protocol, size, splits=["test"])["test"]
    report = run.evaluate_on(test, options.get("device"))
    print(f"{run.folder.name} on the test split of {protocol} in {folder}")
    print(report)


def _zero_shot_command(options: Namespace) -> None:
    import pandas as pd

    from lasoftmoe.experiment import runs as experiment
    from lasoftmoe.metrics import HEADLINE
    from lasoftmoe.prompts import PROMPTS

    wanted = options.get("prompt")
    prompts = list(PROMPTS) if wanted == "all" else [wanted]
    rows = []
    for prompt in prompts:
        overrides = _overrides(options) | ({"detector": {"prompt": prompt}} if prompt else {})
        run = experiment.run(
            "zero_shot", options.get("preset"), int(options.get("seed", 0)), overrides
        )
        test: Mapping[str, Any] = run.report["test"]
        results = {name: 100 * test[name.lower()] for name in HEADLINE}
        rows.append({"prompt": run.config.detector.prompt, **results})
    _print_table(pd.DataFrame(rows), "test, percent; threshold at the dev EER")


def _report_command(options: Namespace) -> None:
    if options.get("name"):
        return _report_table(options)
    from lasoftmoe.experiment import runs as experiment
    from lasoftmoe.paths import runs_folder

    table = experiment.runs_table()
    if table.empty:
        print(f"no finished runs in {runs_folder()}; `lasoftmoe run vanilla` makes one")
    else:
        _print_table(table, "test, percent; threshold at the dev EER")
    for name, reason in experiment.broken_runs().items():
        print(f"broken: {name}: {reason}")


def _report_table(options: Namespace) -> None:
    from lasoftmoe.experiment import tables
    from lasoftmoe.records import from_runs, recorded

    table = tables.load_table(options.name)
    seeds = range(int(options.get("seeds", 5)))
    sources = {}
    broken: list[str] = []
    runs = tables.find_runs(
        table, options.get("preset"), seeds, on_broken=lambda error: broken.append(str(error))
    )
    for reason in broken:
        print(f"lasoftmoe: broken, left out: {reason}", file=sys.stderr)
    if runs:
        record = from_runs.runs_record(table, runs, _typed())
        here = recorded.parse_record(table.name, record)
        sources[f"this machine: {here.facts['preset']}"] = here
    if table.name in recorded.recorded_names():
        kept = recorded.read_recorded(table.name)
        sources[kept.source] = kept
    _print_comparison(table, sources, options.get("format", "text"))


def _print_comparison(table: Table, sources: dict[str, Recorded], form: str) -> None:
    from lasoftmoe.records import comparison

    frame = comparison.comparison(table, sources)
    print(comparison.FORMATS[form](frame, comparison.caption(table)))
    if not sources:
        print(f"no finished runs here; `lasoftmoe run {table.name}` makes them")


def _cost_command(options: Namespace) -> None:
    from lasoftmoe.clip import load_clip
    from lasoftmoe.experiment.config import load_config
    from lasoftmoe.methods import METHODS
    from lasoftmoe.moe.cost import block_cost, cost_table

    detector = load_config(options.name, options.get("preset"), 0, _overrides(options)).detector
    if detector.kind != "clip" or detector.moe.kind == "none":
        raise ValueError(f"{options.name} puts no branch into CLIP; try la_soft_moe")
    METHODS[detector.kind].check(detector)
    # The cost does not depend on the weights, and random ones need no download.
    visual = load_clip(detector.clip.name, pretrained=None).model.visual
    tokens, dim = visual.positional_embedding.shape
    branch, block = cost_table(dim, tokens, detector.moe), block_cost(dim, tokens).sum()
    print(f"{options.name}: one block's branch, {tokens} tokens of width {dim}, one image forward")
    print(branch.map("{:,}".format).to_string())
    for name in branch:
        share = branch[name].sum() / block[name]
        print(f"{name}: {branch[name].sum():,}, {share:.2f} times the block's {block[name]:,}")


def _export_command(options: Namespace) -> None:
    from lasoftmoe.deployment import WARNING, export
    from lasoftmoe.experiment import runs as experiment

    run, path = experiment.read_run(options.run_folder), Path(options.out)
    difference = export.export_run(run, path)
    size = run.config.data.image_size
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, uint8 images (batch, 3, {size}, {size})")
    print(f"scores differ from torch's by at most {difference:.1g}; {_threshold(run.report)}")
    print(WARNING)


def _threshold(report: Mapping[str, Any]) -> str:
    return f"threshold {report['threshold']:.4g} from {report['threshold_source']}"


def _score_command(options: Namespace) -> int:
    from lasoftmoe.deployment import WARNING, files, scorer

    opened = scorer.open_scorer(Path(options.get("detector") or _newest_run()))
    paths = [Path(path) for path in options.paths]
    failed = 0
    for row in files.score_files(
        paths, opened, options.get("crop", "face"), options.get("frames", 8)
    ):
        if row.score is None:
            failed += 1
            print(f"lasoftmoe: {row.path}: {row.reason}", file=sys.stderr)
            continue
        verdict = "attack" if row.score >= opened.threshold else "live"
        frames = f" (mean of {row.frames} frames)" if row.frames > 1 else ""
        print(printable(f"{row.path}: {row.score:.4f} {verdict}{frames}"))
    print(f"threshold {opened.threshold:.4f} from {opened.threshold_source}; higher is an attack")
    print(WARNING)
    return 2 if failed else 0


def _newest_run() -> str:
    from lasoftmoe.experiment import runs as experiment
    from lasoftmoe.paths import runs_folder

    table = experiment.runs_table()
    if table.empty:
        raise ValueError(
            f"no finished run in {runs_folder()}; `lasoftmoe run la_soft_moe` makes one, or name "
            "one with --detector"
        )
    return str(runs_folder() / table["run"].iloc[-1])


def _print_table(table: pd.DataFrame, title: str) -> None:
    print(title)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


TOGETHER = ("train", "run", "zero-shot")
"""Commands that several processes do together."""
COMMANDS = {
    "train": _train_command,
    "run": _run_command,
    "evaluate": _evaluate_command,
    "zero-shot": _zero_shot_command,
    "report": _report_command,
    "cost": _cost_command,
    "export": _export_command,
    "score": _score_command,
}
