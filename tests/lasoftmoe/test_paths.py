"""Data and runs are kept where the package says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lasoftmoe import paths


def test_runs_are_kept_in_the_named_folder_and_an_empty_name_counts_as_none(monkeypatch, tmp_path):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path))
    assert paths.runs_folder() == tmp_path and f"runs in {tmp_path};" in paths.where_kept()
    monkeypatch.setenv("LASOFTMOE_RUNS", "")
    assert paths.runs_folder() == paths.ROOT / "runs"
    monkeypatch.delenv("LASOFTMOE_RUNS")
    assert paths.runs_folder() == paths.ROOT / "runs"


def test_a_checkout_keeps_everything_inside_itself():
    assert paths.CHECKOUT == paths.ROOT == Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("project", "inside"),
    [("lasoftmoe", True), ("theirs", False), (None, False)],
)
def test_only_our_own_project_file_makes_a_checkout(tmp_path, project, inside):
    """A wheel beside another project's file must not write into that project."""
    package, work = tmp_path / "there" / "lasoftmoe", tmp_path / "work here"
    package.mkdir(parents=True)
    work.mkdir()
    shutil.copy(paths.__file__, package)
    if project:
        (package.parent / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    code = "import paths; print(paths.ROOT, paths.EMBEDDED_COMMAND, sep='\\n')"
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    root, how = done.stdout.splitlines()
    assert root == str(package.parent if inside else work)
    assert how.endswith("synthetic-laptop'" if not inside else "synthetic-laptop")
