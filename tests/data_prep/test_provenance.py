"""A commit is stated only of the checkout that holds the code; a digest follows what code does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from data_prep import provenance
from data_prep.provenance import Origin


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's repository with one commit, without our code."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "notes.txt").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "x")
    return folder


def place(folder: Path) -> Path:
    """Unpack our code into a folder, as an archive or a wheel would."""
    target = folder / "data_prep" / "provenance.py"
    target.parent.mkdir(parents=True)
    shutil.copy(provenance.__file__, target)
    return folder


def test_the_checkout_that_holds_the_code_has_a_commit(repository: Path) -> None:
    place(repository)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "code")
    assert provenance.checkout_commit(repository) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("folder", ["La-SoftMoE-main", ".venv/lib/site-packages"])
def test_a_repository_around_the_code_lends_it_no_commit(repository: Path, folder: str) -> None:
    inside = place(repository / folder)
    with pytest.raises(LookupError, match=r"inside another repository, .*theirs"):
        provenance.checkout_commit(inside)
    git(repository, "add", ".")  # not even when it tracks the unpacked archive
    git(repository, "commit", "--quiet", "-m", "theirs")
    with pytest.raises(LookupError, match="inside another repository"):
        provenance.checkout_commit(inside)


def test_an_unpacked_archive_in_a_repository_states_no_commit_of_its_own(repository: Path) -> None:
    inside = place(repository / "La-SoftMoE-main")
    code = "from data_prep import provenance as p; print(p.__file__, p.commit())"
    environment = os.environ | {"PYTHONPATH": str(inside)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=inside, capture_output=True, text=True)
    assert done.stdout.split() == [str(inside / "data_prep" / "provenance.py"), "None"]


def test_code_installed_at_the_top_of_a_repository_has_no_commit(repository: Path) -> None:
    with pytest.raises(LookupError, match=r"data_prep/provenance\.py"):
        provenance.checkout_commit(place(repository))


def test_no_repository_means_no_commit_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="not a git repository"):
        provenance.checkout_commit(place(tmp_path / "unpacked"))


def test_a_missing_git_is_a_reason_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="git"):
        provenance.checkout_commit(tmp_path)
    assert provenance.commit() is None


def test_variables_of_a_git_hook_do_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    with pytest.raises(LookupError, match="not a git repository"):
        provenance.checkout_commit(place(tmp_path / "unpacked"))


def test_an_origin_says_all_or_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin = Origin.now("lasoftmoe run table6").to_dict()
    assert origin["command"] == "lasoftmoe run table6" and origin["hardware"]
    assert datetime.fromisoformat(origin["date"]).tzinfo is not None
    assert {"python", "torch"} <= origin["versions"].keys()
    assert ("no_commit" in origin) == (origin["commit"] is None)
    monkeypatch.setenv("PATH", str(tmp_path))
    origin = Origin.now("x").to_dict()
    assert origin["commit"] is None and "git" in origin["no_commit"]
    assert Origin(**origin).to_dict() == origin


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": None}, "does not say why"),
        ({"commit": "main"}, "'main' is not 40 hexadecimal digits"),
        ({"date": "yesterday"}, "not in ISO 8601"),
        ({"date": "2026-11-21T10:00:00"}, "names no time zone"),
        ({"command": " "}, "command is empty"),
        ({"versions": {"python": "3.11"}}, "lack torch"),
    ],
)
def test_an_origin_that_cannot_be_traced_is_refused(change: dict, message: str) -> None:
    versions = {"python": "3.11", "torch": "2.14"}
    date = "2026-11-21T10:00:00+00:00"
    fields = {"date": date, "commit": "a" * 40, "command": "x", "hardware": "y"}
    Origin(**fields, versions=versions)
    with pytest.raises(ValueError, match=message):
        Origin(**{**fields, "versions": versions, **change})


def test_the_ground_floor_does_not_load_torch() -> None:
    code = "import sys, data_prep.provenance; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(provenance.ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


CODE = '"""Module."""\n\nclass A:\n    """Doc."""\n\n    b = 1\n    """Of b."""\n'


def digest(folder: Path) -> str:
    return provenance.code_digest(folder.iterdir(), folder)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('# why\nclass A:\n    """Other words."""\n    b = (\n        1  # because\n    )\n', True),
        ("class A:\n    b = 2\n", False),
        ("class B:\n    b = 1\n", False),
        ('class A:\n    b = 1\n    c = "a string that is used"\n', False),
    ],
)
def test_a_digest_follows_statements_only(tmp_path: Path, text: str, same: bool) -> None:
    (tmp_path / "a.py").write_text(CODE)
    before = digest(tmp_path)
    (tmp_path / "a.py").write_text(text)
    assert (digest(tmp_path) == before) == same


def test_a_digest_follows_files_and_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE)
    seen = {digest(tmp_path)}
    (tmp_path / "weights.bin").write_bytes(b"1")
    seen.add(digest(tmp_path))
    (tmp_path / "weights.bin").write_bytes(b"2")
    seen.add(digest(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    seen.add(digest(tmp_path))
    assert len(seen) == 4


def test_a_digest_ignores_the_order_of_files_and_where_the_root_is(tmp_path: Path) -> None:
    paths = [tmp_path / "one" / name for name in ("a.py", "b.py")]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(f"x = '{path.name}'\n")
    first = provenance.code_digest(paths, tmp_path / "one")
    assert first == provenance.code_digest(reversed(paths), tmp_path / "one")
    moved = (tmp_path / "one").rename(tmp_path / "two")
    assert first == provenance.code_digest(moved.iterdir(), moved)


def test_a_file_hash_is_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert provenance.file_hash(tmp_path / "a").startswith("ba7816bf8f01cfea")
