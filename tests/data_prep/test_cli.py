import argparse
import os
import re
import shlex
import subprocess
import sys

import pytest

from data_prep.cli import _parser, main
from data_prep.manifest import DatasetError
from tests.data_prep.small import write_small


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "data_prep", *arguments], capture_output=True, text=True, check=False
    )


def test_error_is_one_message_with_exit_code_2(tmp_path):
    result = run("check", str(tmp_path / "nowhere"))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: no dataset folder at ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("position", ["before", "after"])
def test_debug_shows_the_traceback(tmp_path, position):
    command = ["check", str(tmp_path / "nowhere")]
    arguments = ["--debug", *command] if position == "before" else [*command, "--debug"]
    with pytest.raises(DatasetError):
        main(arguments)


def test_check_and_sheet_of_a_good_dataset(tmp_path, capsys):
    write_small(tmp_path / "set")
    assert main(["check", str(tmp_path / "set")]) == 0
    assert "4 images (2 fake, 2 live) of 2 subjects" in capsys.readouterr().out
    assert main(["sheet", str(tmp_path / "set"), "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_unknown_preset_is_told(tmp_path, capsys):
    assert main(["synthetic", "--preset", "huge", "--out", str(tmp_path / "set")]) == 2
    assert "unknown preset 'huge'; known presets: laptop, tiny" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_foreign_folder_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    assert main(["synthetic", "--preset", "tiny", "--out", str(tmp_path), "--overwrite"]) == 2
    assert "is not a dataset of this command" in capsys.readouterr().err


def test_unknown_arguments_exit_with_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["synthetic", "--presets", "tiny"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("command", ["synthetic", "captions", "surrogate"])
@pytest.mark.parametrize(
    ("option", "value", "smallest"),
    [("--workers", "0", 1), ("--workers", "two", 1), ("--seed", "-1", 0), ("--seed", "0.5", 0)],
)
def test_impossible_numbers_are_refused_before_anything_is_written(
    command, option, value, smallest, tmp_path, capsys
):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--out", str(tmp_path / "set"), option, value])
    assert stopped.value.code == 2
    told = f"argument {option}: {value} is not possible; expected a whole number, {smallest} or"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("command", ["synthetic", "captions", "surrogate", "sheet", "check"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.parametrize(
    "command",
    [
        ["sheet", "DIR", "--out"],
        ["inspect", "DIR", "--out"],
        ["audit", "DIR", "--json"],
        ["surrogate", "--out"],
        ["fetch-yunet", "--out"],
        ["strengths", "--json"],
    ],
)
def test_a_device_or_a_link_as_output_is_refused_before_any_work(command, tmp_path, capsys):
    (tmp_path / "link.json").symlink_to(tmp_path / "thesis.tex")
    for place, kind in ((os.devnull, "a device"), (str(tmp_path / "link.json"), "a link to")):
        with pytest.raises(SystemExit):
            main([*command, place])
        assert f"is {kind}" in capsys.readouterr().err


def every_command():
    parser = _parser()
    (commands,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return commands.choices


@pytest.mark.parametrize("name", every_command())
def test_help_of_a_command_ends_in_a_call_that_it_accepts(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    *_, example = capsys.readouterr().out.partition("example: python -m data_prep ")
    assert _parser().parse_args(shlex.split(example)).command == name


@pytest.mark.parametrize("words", [["sheet", "d", "--ou", "x.png"], ["jfsfdb", "combine", "--ou"]])
def test_an_abbreviated_option_is_refused(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and "required: " in message and message.count("\n") == 1
    assert message.startswith("error: ") and "--help` ends in an example" in message


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0 and re.match(r"lasoftmoe \d+\.\d+", capsys.readouterr().out)
