import os
import stat
from pathlib import Path

import pytest

from data_prep.atomic import remove_temporaries, write_atomically


def test_failing_writer_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "table.csv"
    write_atomically(path, lambda temporary: temporary.write_text("whole", "utf-8"))

    def fail(temporary):
        temporary.write_text("ha", "utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text("utf-8") == "whole"
    assert list(tmp_path.iterdir()) == [path]


def fill(path):
    path.write_text("new", "utf-8")


def test_never_written_through_a_link(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    (tmp_path / "out.json").symlink_to(tmp_path / "thesis.tex")
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "missing")
    for name in ("out.json", "nowhere.json"):
        with pytest.raises(FileExistsError, match=rf"{name} is a link to .*choose another name"):
            write_atomically(tmp_path / name, fill)
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"


def test_devices_pipes_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match="is a device, a pipe, or a socket; expected"):
        write_atomically(tmp_path / "pipe", fill)
    with pytest.raises(FileExistsError, match="is a device, a pipe, or a socket; expected"):
        write_atomically(Path(os.devnull), fill)
    with pytest.raises(FileExistsError, match="is a folder; expected a new name"):
        write_atomically(tmp_path / "folder", fill)
    assert stat.S_ISCHR(os.lstat(os.devnull).st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder"}


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a.txt", fill)
        write_atomically(tmp_path / "a.txt", fill)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_temporaries_of_killed_writes_are_told_from_other_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)  # as after a kill
    for suffix in ("", ".png", ".jpg-1", ".a b"):
        with pytest.raises(OSError, match="killed"):
            write_atomically(tmp_path / f"name{suffix}", killed)
    monkeypatch.undo()
    for name in (".unfinished-novel.txt", ".unfinished-symphony.txt"):
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == 6
    remove_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".unfinished-novel.txt",
        ".unfinished-symphony.txt",
    }


def killed(temporary):
    raise OSError("killed")
