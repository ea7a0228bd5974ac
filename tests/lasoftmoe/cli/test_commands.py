"""The command line: same runs as the functions, and errors in one message with exit code 2."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from lasoftmoe.cli import main
from lasoftmoe.experiment import load_config
from lasoftmoe.experiment import runs as experiment
from lasoftmoe.experiment.preflight import StepCost
from lasoftmoe.moe import build_moe
from lasoftmoe.records.recorded import read_recorded

SMALL = ["--training.epochs", "2", "--training.batch_size", "8", "--data.image_size", "16"]


@pytest.fixture
def command(tiny_runs, tiny_folder, capsys):
    """``command("run", "vanilla", …)`` on the tiny dataset: exit code, stdout, stderr."""

    def call(*argv, small=True):
        argv = list(argv)
        if small:
            argv += ["--data.folder", str(tiny_folder), *SMALL]
        capsys.readouterr()
        code = main(argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_run_prints_the_report_and_is_read_back(command, runs):
    code, out, _ = command("run", "vanilla", "--seed", "3")
    assert code == 0
    for part in ("vanilla, preset laptop, seed 3", "8 steps", "ACER", "from dev EER", "parameters"):
        assert part in out
    assert command("run", "vanilla", "--seed", "3")[1] == out
    assert len(list(runs.glob("vanilla-*"))) == 1


def test_train_then_evaluate_elsewhere_then_report(command, runs, tiny_folder):
    code, out, _ = command("train", "soft_moe")
    (folder,) = runs.glob("soft_moe-*")
    assert code == 0 and str(folder) in out
    code, out, _ = command("evaluate", str(folder), small=False)
    assert code == 0 and f"from dev EER of {folder.name}" in out
    options = ["--data", str(tiny_folder), "--protocol", "swapped"]
    code, out, _ = command("evaluate", str(folder), *options, small=False)
    assert code == 0 and f"test split of swapped in {tiny_folder}" in out
    code, out, _ = command("report", small=False)
    assert code == 0 and folder.name in out and "ACER" in out


def test_a_run_is_evaluated_on_the_device_that_is_named(command, runs, monkeypatch):
    seen = []

    def scored(detector, dataset, *_):
        seen.append(next(detector.parameters()).device.type)
        raise RuntimeError("seen enough")

    command("train", "vanilla")
    (folder,) = runs.glob("vanilla-*")
    monkeypatch.setattr(experiment, "score", scored)
    command("evaluate", str(folder), "--device", "meta", small=False)
    command("evaluate", str(folder), small=False)
    monkeypatch.setattr(experiment.processes, "start", lambda: SimpleNamespace(device="meta"))
    command("evaluate", str(folder), small=False)
    assert seen == ["meta", "cpu", "meta"]


def test_report_without_runs_says_how_to_make_one(command):
    code, out, _ = command("report", small=False)
    assert code == 0 and "no finished runs" in out and "lasoftmoe run vanilla" in out


def test_a_table_is_run_over_seeds_recorded_and_reported(command, runs, tmp_path):
    out_file = tmp_path / "table6.json"
    code, out, _ = command("run", "table6", "--seeds", "2", "--out", str(out_file))
    assert code == 0 and len(list(runs.glob("*-*"))) == 8
    assert len(read_recorded("table6", tmp_path).table) == 8
    for part in ("la_soft_moe_stable", "0, 1", "reported by the paper, Table 6", "ACER - vanilla"):
        assert part in out
    code, again, _ = command("run", "table6", "--seeds", "2", "--out", str(out_file))
    assert code == 0 and again == out and len(list(runs.glob("*-*"))) == 8


def test_a_report_of_a_table_trains_nothing(command, runs):
    code, out, _ = command("report", "table5", "--seeds", "1", "--format", "markdown", small=False)
    assert code == 0 and "| T-3 | reported by the paper, Table 5 |" in out
    assert not list(runs.glob("*-*"))
    code, out, _ = command("report", "table9", small=False)
    assert code == 2


def test_one_experiment_over_seeds_is_a_table_of_one_row(command):
    code, out, _ = command("run", "vanilla", "--seeds", "2")
    assert code == 0 and "0, 1" in out
    assert command("run", "vanilla", "--seeds", "2", "--seed", "1")[0] == 2


@pytest.mark.parametrize(("preset", "code", "last"), [("laptop", 0, "ready"), ("a100", 2, "miss")])
def test_a_dry_run_starts_nothing_and_says_what_is_missing(
    command, runs, monkeypatch, preset, code, last
):
    cost = StepCost(10**6, 10**6, 2**20, 10**9, 10**6)
    monkeypatch.setattr("lasoftmoe.experiment.preflight.step_cost", lambda config: cost)
    monkeypatch.setattr("lasoftmoe.experiment.preflight._obtainable", lambda source: False)
    found, out, err = command("run", "table6", "--dry-run", "--preset", preset)
    assert (found, err) == (code, "")
    assert out.count("la_soft_moe_stable, preset") == 1 and out.count("memory:") == 4
    assert last in out.splitlines()[-1] and "nothing was started" in out
    assert ("MISSING" in out) == (code == 2)
    assert not list(runs.glob("*-*"))


def test_zero_shot_lists_every_prompt(command, tiny_folder):
    data = ["--data.folder", str(tiny_folder), "--data.image_size", "16"]
    code, out, _ = command("zero-shot", "--prompt", "all", *data, small=False)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == [f"T-{i}" for i in range(1, 9)]
    code, out, _ = command("zero-shot", *data, small=False)
    assert code == 0 and len(out.splitlines()) == 3 and "T-8" in out


def test_only_what_was_typed_overrides_the_preset(command, monkeypatch):
    seen = []
    monkeypatch.setattr(experiment, "run", lambda *arguments: seen.append(arguments) or stop())

    def stop():
        raise RuntimeError("seen enough")

    command("run", "la_soft_moe", "--detector.moe.num_experts", "8", small=False)
    command("run", "vanilla", "--preset", "a100", "--seed", "2", small=False)
    assert seen == [
        ("la_soft_moe", None, 0, {"detector": {"moe": {"num_experts": 8}}}),
        ("vanilla", "a100", 2, {}),
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "expected"),
        (["polish"], "invalid choice: 'polish'"),
        (["run"], "name"),
        (["run", "hard_moe"], "no experiment 'hard_moe'; known experiments: zero_shot, vanilla"),
        (["run", "vanilla", "--preset", "desktop"], "no preset 'desktop'; known presets: a100"),
        (["run", "vanilla", "--training.epochs", "many"], "training.epochs"),
        (["run", "vanilla", "--training.epochz", "3"], "--training.epochz"),
        (["run", "vanilla", "--seed", "x"], "seed"),
        (["run", "vanilla", "--seed", "-1"], "seed"),
        (["cost", "vanilla"], "vanilla puts no branch into CLIP"),
        (["cost", "hard_moe"], "no experiment 'hard_moe'"),
        (["run", "vanilla", "--data.folder", "/nowhere"], "/nowhere is not there"),
        (["run", "vanilla", "--preset", "a100", "--data.folder", "/nowhere"], "CUDA GPU"),
        (["evaluate", "/nowhere"], "/nowhere is not a finished run"),
    ],
)
def test_errors_are_one_message_and_exit_code_2(command, argv, message):
    code, out, err = command(*argv, small=False)
    assert code == 2 and out == ""
    assert err.startswith("lasoftmoe: error: ") and message in err
    assert "Traceback" not in err


def test_an_unknown_prompt_is_named(runs, tiny_folder, capsys):
    data = ["--data.folder", str(tiny_folder), "--data.image_size", "16"]
    assert main(["zero-shot", "--prompt", "T-99", *data]) == 2
    assert "T-99" in capsys.readouterr().err


def test_a_message_has_its_line_to_itself_though_a_progress_bar_was_running(
    runs, tiny_folder, capfd
):
    data = ["--data.folder", str(tiny_folder), "--data.image_size", "16"]
    assert main(["zero-shot", "--prompt", "a {label} xylophone", *data]) == 2
    last = capfd.readouterr().err.replace("\r", "\n").splitlines()[-1]
    assert last.startswith("lasoftmoe: error: ") and "xylophone" in last


def test_cost_is_that_of_the_branch_in_one_block(command):
    code, out, err = command("cost", "la_soft_moe", "--preset", "laptop", small=False)
    assert (code, err) == (0, "")
    branch = build_moe(96, load_config("la_soft_moe", "laptop").detector.moe)
    assert f"parameters: {sum(p.numel() for p in branch.parameters()):,}, " in out
    for part in ("65 tokens of width 96", "experts", "linear attention", "multiply_adds: "):
        assert part in out
    narrow = command("cost", "la_soft_moe", "--detector.moe.rank", "8", small=False)[1]
    assert narrow != out and "65 tokens" in narrow


def test_a_message_holds_no_control_codes(command):
    code, _, err = command("run", "a\x1b[2Jb", small=False)
    assert code == 2 and "\x1b" not in err and r"a\x1b[2Jb" in err


def test_debug_adds_the_traceback(command):
    code, _, err = command("run", "hard_moe", "--debug", small=False)
    assert code == 2 and "Traceback" in err and "no experiment 'hard_moe'" in err


def test_an_unforeseen_error_names_its_kind(command, monkeypatch):
    def lookup(*_):
        return {}["weights"]

    monkeypatch.setattr(experiment, "run", lookup)
    assert command("run", "vanilla", small=False)[2] == "lasoftmoe: error: KeyError: 'weights'\n"


def test_interrupting_is_not_an_error_message(command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", interrupted)
    code, _, err = command("run", "vanilla", small=False)
    assert code == 130 and "interrupted" in err


@pytest.mark.slow
def test_module_and_help_work_as_a_process():
    result = subprocess.run(
        [sys.executable, "-m", "lasoftmoe", "run", "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0
    for part in ("--detector.moe.num_experts", "la_soft_moe_stable", "default: 16", "--preset"):
        assert part in result.stdout
    result = subprocess.run([sys.executable, "-m", "lasoftmoe", "nothing"], capture_output=True)
    assert result.returncode == 2
