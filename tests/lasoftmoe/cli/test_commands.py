"""The command line: same runs as the functions, and errors in one message with exit code 2."""

import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

import lasoftmoe
from lasoftmoe.cli import main
from lasoftmoe.cli.parser import COMMANDS, make_parser
from lasoftmoe.experiment import RunError, load_config, tables
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


def test_a_broken_run_is_listed_beside_the_others(command, runs):
    command("train", "vanilla")
    command("train", "soft_moe")
    (broken,), (whole,) = runs.glob("vanilla-*"), runs.glob("soft_moe-*")
    (broken / "report.json").write_text("{")
    code, out, _ = command("report", small=False)
    assert code == 0 and whole.name in out
    assert f"broken: {broken.name}: " in out and "not readable JSON" in out


def test_a_broken_run_is_left_out_of_its_table(command, tiny_folder, monkeypatch):
    config = load_config("vanilla", "laptop", overrides={"data": {"folder": str(tiny_folder)}})
    reason = RunError("scores.parquet is damaged")
    monkeypatch.setattr(tables.experiment, "find_run", lambda _: (_ for _ in ()).throw(reason))
    code, out, err = command("report", "table5", "--seeds", "1", small=False)
    assert code == 0 and "reported by the paper, Table 5" in out
    assert err.count("broken, left out: scores.parquet is damaged") == 8
    with pytest.raises(RunError):
        tables.find_runs(tables.load_table(config.name), "laptop")


@pytest.mark.parametrize(
    ("argv", "world", "silent"),
    [
        (["report"], "1", False),
        (["report"], "2", False),
        (["cost", "soft_moe"], "2", False),
        (["run", "vanilla", "--dry-run"], "1", False),
        (["run", "vanilla", "--dry-run"], "2", True),
    ],
)
def test_only_commands_that_train_together_are_silenced(command, monkeypatch, argv, world, silent):
    cost = StepCost(10**6, 10**6, 2**20, 10**9, 10**6)
    monkeypatch.setattr("lasoftmoe.experiment.preflight.step_cost", lambda config: cost)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", world)
    code, out, _ = command(*argv, small=False)
    assert code == 0 and (out == "") == silent


UNUSED = "lasoftmoe: LASOFTMOE_DATA is set but not used: the preset laptop names the data"


def test_data_that_the_preset_does_not_name_is_said_to_be_unused_once(
    command, runs, tiny_folder, monkeypatch
):
    monkeypatch.setenv("LASOFTMOE_DATA", str(tiny_folder))
    cost = StepCost(10**6, 10**6, 2**20, 10**9, 10**6)
    monkeypatch.setattr("lasoftmoe.experiment.preflight.step_cost", lambda config: cost)
    for argv in (["run", "table6", "--dry-run"], ["run", "vanilla", "--dry-run"]):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        assert UNUSED not in command(*argv, small=False)[2]
        monkeypatch.delenv("WORLD_SIZE")
        _, _, err = command(*argv, small=False)
        assert err.count(UNUSED) == 1
    assert err.count(UNUSED) == 1 and "--data.folder '$LASOFTMOE_DATA'" in err
    assert command("run", "vanilla", "--dry-run")[2] == ""  # a folder was typed
    named = ["--data.folder", "$LASOFTMOE_DATA", *SMALL]
    code, _, err = command("run", "vanilla", *named, small=False)
    assert (code, UNUSED in err) == (0, False)
    (folder,) = runs.glob("vanilla-*")
    assert UNUSED not in command("evaluate", str(folder), small=False)[2]
    command("train", "soft_moe")
    (other,) = runs.glob("soft_moe-*")
    _, _, err = command("evaluate", str(other), small=False)
    assert "not used: the run names the data" in err and '--data "$LASOFTMOE_DATA"' in err
    assert "not used" not in command("report", small=False)[2]


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
        (["cost", "la_soft_moe", "--detector.clip.name", "RN50"], "tower of RN50 is a ResNet"),
        (["run", "la_soft_moe", "--detector.clip.name", "RN50"], "tower of RN50 is a ResNet"),
        (["cost", "soft_moe", "--detector.clip.pretrained", "/"], "found a folder"),
        (["run", "soft_moe", "--detector.clip.pretrained", "/"], "found a folder"),
        (["run", "vanilla", "--data.folder", "/nowhere"], "/nowhere is not there"),
        (["run", "vanilla", "--preset", "a100", "--data.folder", "/nowhere"], "CUDA GPU"),
        (["evaluate", "/nowhere"], "/nowhere is not a finished run"),
        (["run", "vanilla", "--seeds", "1000000000"], "seeds"),
        (["report", "table6", "--seeds", "1001"], "<=1000"),
        (["run", "vanilla", "--seed", str(2**64)], "does not fit into 63 bits"),
        (["run", "vanilla", "--training.learning_rate", "nan"], "learning_rate"),
        (["run", "vanilla", "--training.warmup_fraction", "5"], "warmup_fraction"),
        (["run", "vanilla", "--training.clip_grad_norm", "-1"], "clip_grad_norm"),
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


def test_score_states_threshold_source_and_warning(command, runs, tiny_folder):
    code, _, err = command("score", str(tiny_folder / "images/s00-0.png"), small=False)
    assert code == 2 and "no finished run in" in err
    command("run", "vanilla")
    (folder,) = runs.glob("vanilla-*")
    images = [str(tiny_folder / f"images/s02-{k}.png") for k in (0, 2)]
    code, out, _ = command("score", *images, "--crop", "none", small=False)
    assert code == 0
    run = experiment.read_run(folder)
    lines = out.splitlines()
    assert len(lines) == 4
    scores = run.scores.set_index("id")["attack_score"]
    for line, name in zip(lines, ("s02-0", "s02-2"), strict=False):
        verdict = "attack" if scores[name] >= run.report["threshold"] else "live"
        assert line.endswith(f"{name}.png: {scores[name]:.4f} {verdict}")
    assert lines[2].startswith(f"threshold {run.report['threshold']:.4f} from dev EER of {folder}"
                               .replace(f"{folder}", folder.name))  # fmt: skip
    assert lines[3].startswith("This protects nothing.")
    (tiny_folder / "images/broken.txt").write_text("words")
    code, out, err = command("score", str(tiny_folder / "images/broken.txt"), small=False)
    (tiny_folder / "images/broken.txt").unlink()
    assert code == 2 and "neither an image nor a video" in err and "protects nothing" in out


@pytest.mark.slow
def test_an_exported_run_scores_as_the_run(command, runs, tiny_folder, tmp_path):
    pytest.importorskip("onnxscript")
    command("run", "vanilla")
    (folder,) = runs.glob("vanilla-*")
    path = tmp_path / "detector.onnx"
    code, out, _ = command("export", str(folder), "--out", str(path), small=False)
    assert code == 0 and "scores differ from torch's by at most" in out
    assert "from dev EER" in out and "This protects nothing." in out
    image = str(tiny_folder / "images/s02-0.png")
    both = [
        command("score", image, "--crop", "none", "--detector", str(which), small=False)[1]
        for which in (path, folder)
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_ends_in_a_call_that_it_accepts(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    *_, example = capsys.readouterr().out.partition("example: lasoftmoe ")
    words = shlex.split(example)
    assert make_parser(words).parse_args(words, defaults=False).command == name


def test_an_abbreviated_option_is_refused(command):
    code, _, err = command("run", "vanilla", "--training.epoch", "7", small=False)
    assert code == 2 and "--training.epoch 7" in err


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip() == f"lasoftmoe {lasoftmoe.__version__}"


def test_a_missing_argument_is_told_with_the_way_to_an_example(command):
    code, _, err = command("run", small=False)
    assert code == 2 and err == (
        "lasoftmoe: error: the following arguments are required: name; "
        "`lasoftmoe run --help` ends in an example\n"
    )
