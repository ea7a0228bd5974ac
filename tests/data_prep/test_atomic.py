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


def test_temporaries_of_killed_writes_are_told_from_other_files(tmp_path):
    (tmp_path / ".unfinished-ab12_xyz.png").touch()
    (tmp_path / ".unfinished-novel.txt").touch()
    remove_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished-novel.txt"]
