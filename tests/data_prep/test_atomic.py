import pytest

from data_prep.atomic import write_atomically


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
