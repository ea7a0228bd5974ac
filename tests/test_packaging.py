"""The files that set up an environment agree with one another and say nothing twice."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.lasoftmoe.tiny import write_tiny_dataset
from tools.lock import LOWEST_PYTHON, PINS, check_lines

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
EXTRAS = PROJECT["optional-dependencies"]


def direct_requirements() -> list[Requirement]:
    """What pyproject.toml names, with all extras; an extra may name another one of them."""
    lines = PROJECT["dependencies"] + [line for extra in EXTRAS.values() for line in extra]
    named = [Requirement(line) for line in lines]
    inner = [requirement for requirement in named if requirement.name == PROJECT["name"]]
    assert all(requirement.extras <= EXTRAS.keys() for requirement in inner)
    return [requirement for requirement in named if requirement not in inner]


def pip_section() -> list[str]:
    """The lines that environment.yml hands to pip."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    sections = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert len(sections) == 1, "environment.yml has one pip section"
    return sections[0]


def imported_modules(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda r: r.name)
def test_locked_version_is_one_that_pyproject_allows(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in LOCKED, f"{name} is missing from constraints.txt: run make lock"
    assert requirement.specifier.contains(LOCKED[name]), f"{name}: run make lock"


def test_constraints_hold_names_and_versions_only() -> None:
    check_lines((ROOT / "constraints.txt").read_text())
    assert set(PINS) <= {f"{name}=={locked}" for name, locked in LOCKED.items()}
    assert "uv" not in LOCKED


@pytest.mark.parametrize(
    "line", ["--index-url https://host/simple", "torch>=2", "torch @ file:///x"]
)
def test_lock_refuses_lines_that_are_not_name_and_version(line: str) -> None:
    with pytest.raises(SystemExit, match="name==version"):
        check_lines(f"numpy==2.4.6\n{line}\n")


def test_environment_yml_names_the_project_and_a_python_that_it_allows() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    assert f"python={LOWEST_PYTHON}" in environment["dependencies"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(LOWEST_PYTHON)
    assert "pip" in environment["dependencies"]


def test_environment_yml_installs_this_project_with_its_extras_at_locked_versions() -> None:
    options = dict(line.removeprefix("--").split(" ", 1) for line in pip_section())
    assert options.keys() == {"constraint", "editable"}, "names stand in pyproject.toml only"
    assert (ROOT / options["constraint"]).samefile(ROOT / "constraints.txt")
    folder, extras = re.fullmatch(r"(.+)\[(.+)\]", options["editable"]).groups()
    assert (ROOT / folder).samefile(ROOT)
    assert set(extras.split(",")) == {"book", "lab"} <= EXTRAS.keys()


@pytest.mark.slow
def test_pip_section_of_environment_yml_asks_for_nothing_else() -> None:
    """A dry run of pip in this environment plans locked versions only.

    Conda itself cannot be run on the machines that build this project (no channel to reach), so
    the python and channel lines of environment.yml are only parsed, by the tests above. Like
    conda, the test runs pip in the folder of environment.yml.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-input"]
    arguments = [word for line in pip_section() for word in line.split()]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    planned = re.findall(r"^Would install (.*)$", done.stdout, re.MULTILINE)
    items = [item.rsplit("-", 1) for line in planned for item in line.split()]
    known = {**LOCKED, "lasoftmoe": PROJECT["version"]}
    wrong = {n: number for n, number in items if known.get(canonicalize_name(n)) != number}
    assert not wrong, f"not at their locked versions: {wrong}"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from."""
    folder = tmp_path_factory.mktemp("build") / "source"
    for name in ("lasoftmoe", "data_prep"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel, built without network by the setuptools of this environment."""
    pip("wheel", "--no-build-isolation", "-w", str(source.parent), str(source))
    return next(source.parent.glob("*.whl"))


def pip(command: str, *arguments: str) -> None:
    """Run pip quietly on exactly the named packages."""
    words = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run([*words, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_built_wheel_carries_presets_records_and_weights(source: Path, wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = {
        path.relative_to(source).as_posix()
        for package in ("lasoftmoe", "data_prep")
        for path in (source / package).rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert tracked <= packed, f"not packed: {sorted(tracked - packed)[:5]}"
    assert not any(name.startswith(("tests/", "tools/", "book/")) for name in packed)


@pytest.mark.slow
def test_an_installed_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """It reads its own records, keeps data and runs there, and states no commit of others."""
    site, work = tmp_path / "site", tmp_path / "an empty folder"
    pip("install", "--target", str(site), str(wheel))
    work.mkdir()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "theirs"], check=True)
    kept = f"embedded data in {work}/data/synthetic-laptop, runs in {work}/runs"

    def lasoftmoe(*words: str, code: int = 0) -> str:
        environment = os.environ | {"PYTHONPATH": str(site), "LASOFTMOE_RUNS": ""}
        command = [sys.executable, "-m", "lasoftmoe", *words]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr[-2000:]
        assert (kept in done.stderr) == first, "the folders are named until there are runs"
        return done.stdout + done.stderr

    first = True
    table = lasoftmoe("report", "table6")
    assert "recorded: laptop, " in table and "reported by the paper, Table 6" in table
    error = lasoftmoe("run", "vanilla", code=2)
    assert f"python -m data_prep synthetic --preset laptop --out '{work}/data/" in error
    assert "make" not in error and not list(work.iterdir())
    write_tiny_dataset(work / "data" / "synthetic-laptop")
    small = ["--training.epochs", "1", "--training.batch_size", "16"]
    assert f"{work}/runs/vanilla-" in lasoftmoe("run", "vanilla", *small)
    first = False
    assert "T-8" in lasoftmoe("zero-shot")
    runs = lasoftmoe("report")
    assert "vanilla" in runs and "zero_shot" in runs
    (report,) = work.glob("runs/vanilla-*/report.json")
    assert json.loads(report.read_text())["commit"] is None
    assert {path.name for path in work.iterdir()} == {"data", "runs"}


def test_whatever_the_packages_import_is_declared() -> None:
    """A module that only comes along with another package would vanish with it."""
    lines = PROJECT["dependencies"] + EXTRAS["faces"] + EXTRAS["scale"]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    owners = packages_distributions()
    for path in [*(ROOT / "lasoftmoe").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]:
        for module in imported_modules(path) - sys.stdlib_module_names:
            names = {canonicalize_name(name) for name in owners.get(module, [module])}
            assert names & (declared | {"lasoftmoe"}), f"{path}: {module} is not in pyproject.toml"


def test_citation_matches_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    required = {"cff-version", "message", "title", "authors"}
    assert required <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == PROJECT["version"] == version("lasoftmoe")
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["references"][0]["doi"] in (ROOT / "book" / "references.bib").read_text()


def make_plan(*settings: str) -> str:
    """What make would do for the target lint, the environment of this process left aside."""
    command = ["make", "--no-print-directory", "--dry-run", "lint", "VIRTUAL_ENV=", *settings]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("holds", "used"), [(ROOT, True), (Path("/another/clone"), False)])
def test_make_uses_an_active_environment_that_holds_this_checkout(
    tmp_path: Path, holds: Path, used: bool
) -> None:
    """As conda and Binder leave it; an environment for something else is left alone."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    info = tmp_path / "lib" / "python3.11" / "site-packages" / "lasoftmoe-0.1.0.dist-info"
    info.mkdir(parents=True)
    url = {"dir_info": {"editable": True}, "url": holds.as_uri()}
    (info / "direct_url.json").write_text(json.dumps(url))
    commands = make_plan(f"CONDA_PREFIX={tmp_path}")
    assert (f"{tmp_path}/bin/ruff check" in commands) is used
    assert ("-m venv .venv" in commands or ".venv/bin/ruff" in commands) is not used


def test_binder_renders_the_data_that_notebooks_read() -> None:
    hook = ROOT / "postBuild"
    assert os.access(hook, os.X_OK), "Binder runs it only if it is executable"
    plain = re.search(r"python -m data_prep .*--out \S+", (ROOT / "Makefile").read_text())[0]
    wanted = plain.replace("$(DATA)", "data/synthetic-laptop").removesuffix(" --workers")
    assert wanted in hook.read_text()


def test_every_make_target_of_the_readme_exists() -> None:
    """Also those that CONTRIBUTING.md names, with a plain command for each."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"book", "test", "lint", "data", "serve", "pdf", "lab", "lock", "clean"} <= targets
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`make ([a-z-]+)", contributing + (ROOT / "README.md").read_text()))
    assert named <= targets, f"no such target: {named - targets}"
    assert targets - {"help"} <= set(re.findall(r"`make ([a-z-]+)", contributing))


def test_make_help_lists_every_target() -> None:
    # A make that runs below `make test` would also tell which folder it enters.
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == targets


def test_dev_container_has_a_python_that_the_project_allows() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    number = re.match(r"python:(\d+\.\d+)", container["image"])[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(number)
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
