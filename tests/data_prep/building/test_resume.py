import functools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import data_prep
from data_prep.atomic import write_atomically
from data_prep.building import journal
from data_prep.building.journal import Entry, read_marker, write_marker
from data_prep.building.lock import locks_released
from data_prep.building.resume import (
    build_units,
    changed_units,
    clean_up,
    finished_units,
    prepare_folder,
)
from data_prep.manifest import DatasetError

RECIPE = {"generator": "tests", "seed": 0}


def make_one(folder, unit: str) -> list[dict]:
    """Writes its files, then fails if told so: what a unit leaves when it is killed."""
    with (folder / "made.txt").open("a", encoding="utf-8") as log:
        log.write(unit + "\n")
    if (folder / f"fail-{unit}").exists():
        raise RuntimeError(f"killed in {unit}")
    return [{"id": unit}]


def build(folder):
    units = {name: name for name in "abc"}
    return build_units(folder, units, functools.partial(make_one, folder), 1, "units")


def finish(folder):
    info = {"recipe": RECIPE, "checksums": {}}
    (folder / "dataset.json").write_text(json.dumps(info), "utf-8")
    clean_up(folder)


def test_goes_on_after_the_last_finished_unit(tmp_path):
    folder = tmp_path / "out"
    assert not prepare_folder(folder, RECIPE)
    (folder / "fail-b").touch()
    with pytest.raises(RuntimeError, match="killed in b"):
        build(folder)
    (folder / "fail-b").unlink()
    assert not prepare_folder(folder, RECIPE)
    assert [row["id"] for row in build(folder)] == ["a", "b", "c"]
    assert (folder / "made.txt").read_text("utf-8").split() == ["a", "b", "b", "c"]


def test_finished_folder_is_recognized_and_left_clean(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    (folder / "images").mkdir()
    (folder / ".unfinished-0123456789abcdef.png").touch()  # as a killed write leaves it
    (folder / ".unfinished-novel.txt").touch()  # somebody's own
    finish(folder)
    assert prepare_folder(folder, RECIPE)
    names = [".unfinished-novel.txt", "dataset.json", "images", "journal.jsonl"]
    assert [path.name for path in sorted(folder.rglob("*"))] == names


def test_another_recipe_is_an_error_that_says_what_differs(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\)"):
        prepare_folder(folder, {"generator": "tests"})
    other = {**RECIPE, "seed": 1}
    with pytest.raises(DatasetError, match=r"another recipe \(different: seed\).*--overwrite"):
        prepare_folder(folder, other)
    finish(folder)
    with pytest.raises(DatasetError, match="different: seed"):
        prepare_folder(folder, other)
    assert not prepare_folder(folder, other, overwrite=True)
    assert not (folder / "dataset.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folder_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    with pytest.raises(DatasetError, match="is not a dataset of this command"):
        prepare_folder(tmp_path, RECIPE, overwrite)
    for text in ('{"name": "somebody else\'s"}', "[]", '{"recipe": 1}'):
        (tmp_path / "dataset.json").write_text(text, "utf-8")
        with pytest.raises(DatasetError, match="is not a dataset of this command"):
            prepare_folder(tmp_path, RECIPE, overwrite)
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"


def test_file_in_place_of_the_folder_is_an_error(tmp_path):
    path = tmp_path / "out"
    path.touch()
    with pytest.raises(DatasetError, match="is not a dataset of this command"):
        prepare_folder(path, RECIPE)


def test_a_dataset_of_another_command_is_never_deleted(tmp_path):
    folder = tmp_path / "out"
    prepare_folder(folder, RECIPE)
    finish(folder)
    with pytest.raises(DatasetError, match=r"a dataset of another command \(tests\)"):
        prepare_folder(folder, {"generator": "others", "seed": 0}, overwrite=True)
    assert (folder / "dataset.json").is_file()
    assert not prepare_folder(folder, {"generator": "tests 2", "seed": 0}, overwrite=True)


def draw(folder, unit: str) -> list[dict]:
    """Writes one file; its content is the unit's."""
    with (folder.parent / "made.txt").open("a", encoding="utf-8") as log:
        log.write(unit)
    write_atomically(folder / f"images/{unit}.png", lambda path: path.write_text(unit, "utf-8"))
    return [{"id": unit}]


def sources_of(unit: str) -> list[Path]:
    return [SOURCES / unit]


SOURCES = Path()


def whole_build(folder, recipe=RECIPE, overwrite=False, units="abc", sources=None, late=()):
    """A command: returns the units that were made."""
    made = folder.parent / "made.txt"
    made.write_text("", "utf-8")
    if not prepare_folder(folder, recipe, overwrite, late):
        work = {unit: unit for unit in units}
        build_units(folder, work, functools.partial(draw, folder), 1, "units", None, sources)
        info = json.dumps({"recipe": recipe, "checksums": {"dataset": "x", "manifest": "y"}})
        write_atomically(folder / "manifest.parquet", lambda path: path.write_text("table"))
        write_atomically(folder / "dataset.json", lambda path: path.write_text(info))
    clean_up(folder)
    return made.read_text("utf-8")


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.*") if p.is_file()
    }


def spoil(path):
    path.write_text("damaged", "utf-8")


DAMAGE = {
    "a deleted file": (lambda out: (out / "images/b.png").unlink(), "b"),
    "a damaged file": (lambda out: spoil(out / "images/b.png"), "b"),
    "a folder in its place": (
        lambda out: ((out / "images/b.png").unlink(), (out / "images/b.png").mkdir()),
        None,
    ),
    "a missing table": (lambda out: (out / "manifest.parquet").unlink(), ""),
    "a damaged table": (lambda out: spoil(out / "manifest.parquet"), ""),
    "no dataset.json": (lambda out: (out / "dataset.json").unlink(), ""),
    "a damaged dataset.json": (lambda out: spoil(out / "dataset.json"), ""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_dataset_is_repaired_by_its_own_command(damage, tmp_path):
    out = tmp_path / "out"
    assert whole_build(out) == "abc"
    before = files(out)
    assert whole_build(out) == ""
    spoil_it, made = DAMAGE[damage]
    spoil_it(out)
    if made is None:
        with pytest.raises(FileExistsError, match="is a folder"):
            whole_build(out)
        return
    assert whole_build(out) == made
    assert files(out) == before


def test_damage_that_keeps_size_and_time_is_found_with_overwrite(tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    before, path = files(out), out / "images/b.png"
    times = path.stat().st_mtime_ns - 10**9
    path.write_text("x", "utf-8")
    os.utime(path, ns=(times, times))
    assert whole_build(out) == ""
    assert whole_build(out, overwrite=True) == "b"
    assert files(out) == before


def test_overwrite_removes_own_files_only(tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    (out / "notes.txt").write_text("mine")
    (out / "images/mine.png").write_text("mine too")
    other = {**RECIPE, "seed": 1}
    assert whole_build(out, other, overwrite=True, units="cd") == "cd"
    assert sorted(path.name for path in (out / "images").iterdir()) == [
        "c.png",
        "d.png",
        "mine.png",
    ]
    assert (out / "notes.txt").read_text() == "mine"
    (out / "images/mine.png").unlink()
    (out / "notes.txt").unlink()
    whole_build(tmp_path / "new", other, units="cd")
    assert files(out) == files(tmp_path / "new")


def test_a_users_file_in_a_units_place_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    (out / "images/d.png").write_text("mine")
    with pytest.raises(DatasetError, match=r"d\.png is not a file of this build; move it away"):
        whole_build(out, {**RECIPE, "seed": 1}, overwrite=True, units="cd")
    assert (out / "images/d.png").read_text() == "mine"


@pytest.mark.parametrize("name", ["skipped.csv", "manifest.parquet", "protocols/p1.parquet"])
def test_a_users_file_in_a_tables_place_is_not_replaced(name, tmp_path):
    out = tmp_path / "out"
    prepare_folder(out, RECIPE)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    for _ in range(2):  # the failed attempt must not make it the build's own
        prepare_folder(out, RECIPE, overwrite=True)
        with pytest.raises(DatasetError, match=rf"{name} is not a file of this build; move it"):
            write_atomically(out / name, lambda path: path.write_text("table"))
        assert (out / name).read_text() == "mine"
    (out / name).unlink()
    for text in ("table", "again"):
        write_atomically(out / name, lambda path, text=text: path.write_text(text))
        prepare_folder(out, RECIPE)
    assert (out / name).read_text() == "again"


def test_a_build_killed_before_its_journal_may_be_replaced(tmp_path):
    out = tmp_path / "out"
    prepare_folder(out, RECIPE)
    build(out)
    write_atomically(out / "dataset.json", lambda path: path.write_text('{"checksums": {}}'))
    assert not prepare_folder(out, {**RECIPE, "seed": 1}, overwrite=True)
    assert not (out / "dataset.json").exists()


def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    whole_build(out)
    (out / "images").rename(elsewhere)
    (out / "images").symlink_to(elsewhere)
    (elsewhere / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"leads out of .* through a link"):
        whole_build(out)
    whole_build(out, {**RECIPE, "seed": 1}, overwrite=True, units="")
    assert {path.name for path in elsewhere.iterdir()} == {"a.png", "c.png"}


def test_a_journal_that_names_other_files_harms_none(tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    (tmp_path / "thesis.tex").write_text("years of work")
    path = out / "journal.jsonl"
    absolute, above = str(tmp_path / "thesis.tex"), "../thesis.tex"
    for name in (absolute, above):
        also = json.dumps(name) + ': [13, "x"], "images/b.png"'
        path.write_text(path.read_text().replace('"images/b.png"', also))
        whole_build(out, {**RECIPE, "seed": name}, overwrite=True)
        assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"recipe": {}, "late": [], "files": {}}', "x"])
def test_without_a_readable_journal_nothing_is_replaced(text, tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    before = files(out)
    (out / "journal.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=r"journal\.jsonl, line 1.* yourself"):
        whole_build(out, overwrite=True)
    (out / "journal.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"has no journal\.jsonl.*delete the folder yourself"):
        whole_build(out, {**RECIPE, "seed": 1}, overwrite=True)
    del before["journal.jsonl"]
    assert files(out) == before


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("name", ["dataset.json", "journal.jsonl", ".work/recipe.json"])
def test_what_a_build_left_is_read_within_limits(name, tmp_path):
    out = tmp_path / "out"
    whole_build(out)
    prepare_folder(out, RECIPE, again=True)
    with (out / name).open("w") as file:
        file.truncate(9 * 2**30)  # sparse, so that it takes no space
    with memory_bounded(3 * 2**29):
        if name == "journal.jsonl":
            with pytest.raises(DatasetError, match=r"line 1: .*limit record_characters.*yourself"):
                prepare_folder(out, {**RECIPE, "seed": 1}, overwrite=True)
        else:
            prepare_folder(out, RECIPE, overwrite=True)


@contextmanager
def memory_bounded(added: int):
    """Let this process take that many bytes of address space more, as Linux counts it."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + added, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_name_with_a_line_end_of_unicode_is_journaled(tmp_path):
    out = tmp_path / "out"
    whole_build(out, units=["a\u2028b"])
    assert whole_build(out, units=["a\u2028b"]) == ""


def test_numbers_that_are_none_survive_in_rows(tmp_path):
    prepare_folder(tmp_path, RECIPE)
    write_marker(tmp_path, "a", Entry(rows=[{"size": float("nan"), "most": float("inf")}]))
    (row,) = read_marker(tmp_path, "a").rows
    assert row["size"] != row["size"] and row["most"] == float("inf")


def test_units_outlive_a_change_of_what_only_tables_depend_on(tmp_path):
    out = tmp_path / "out"
    recipe = {**RECIPE, "splits": 1}
    whole_build(out, recipe, late=["splits"])
    with pytest.raises(DatasetError, match="different: splits"):
        whole_build(out, {**recipe, "splits": 2}, late=["splits"])
    assert whole_build(out, {**recipe, "splits": 2}, overwrite=True, late=["splits"]) == ""
    unfinished = tmp_path / "unfinished"
    prepare_folder(unfinished, recipe, late=["splits"])
    build(unfinished)
    assert not prepare_folder(unfinished, {**recipe, "splits": 2}, late=["splits"])
    assert set(finished_units(unfinished, dict.fromkeys("abc"))) == set("abc")


@pytest.fixture()
def sources(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SOURCES", tmp_path / "sources")
    for unit in "abc":
        (tmp_path / "sources").mkdir(exist_ok=True)
        (tmp_path / "sources" / unit).write_text(unit, "utf-8")
    return tmp_path / "sources"


def test_a_replaced_source_of_equal_size_is_noticed(sources, tmp_path):
    out, units = tmp_path / "out", {unit: unit for unit in "abc"}
    whole_build(out, sources=sources_of)
    assert not changed_units(out, units, sources_of)
    os.utime(sources / "a")
    assert not changed_units(out, units, sources_of), "the same content, only touched"
    (sources / "b").write_text("x", "utf-8")
    (sources / "c").unlink()
    assert set(changed_units(out, units, sources_of)) == {"b", "c"}


def test_a_replaced_source_of_equal_size_and_time_is_noticed(sources, tmp_path):
    out, units = tmp_path / "out", {unit: unit for unit in "abc"}
    whole_build(out, sources=sources_of)
    for unit in "ab":  # as ``cp -p`` and ``rsync -t`` leave it
        times = (sources / unit).stat()
        (sources / unit).write_text("x" if unit == "b" else unit, "utf-8")
        os.utime(sources / unit, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert set(changed_units(out, units, sources_of)) == {"b"}


def test_a_source_that_hides_its_times_is_noticed_with_overwrite(sources, tmp_path):
    out, units = tmp_path / "out", {unit: unit for unit in "abc"}
    whole_build(out, sources=sources_of)
    (sources / "b").write_text("x", "utf-8")
    found = (sources / "b").stat()
    lines = (out / "journal.jsonl").read_text("utf-8").splitlines()
    facts = json.loads(lines[2])  # times of the new file beside the content of the old one
    facts["sources"][0][1:3] = found.st_mtime_ns, found.st_ctime_ns
    lines[2] = json.dumps(facts)
    (out / "journal.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    assert not changed_units(out, units, sources_of)
    assert set(changed_units(out, units, sources_of, thorough=True)) == {"b"}
    assert set(finished_units(out, units, sources_of, thorough=True)) == {"a", "c"}


def test_a_journal_without_times_of_change_is_read(sources, tmp_path):
    out, units = tmp_path / "out", {unit: unit for unit in "abc"}
    whole_build(out, sources=sources_of)
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text("utf-8").splitlines()]
    for line in lines[1:]:
        del line["sources"][0][2]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (out / "journal.jsonl").write_text(text, "utf-8")
    assert not changed_units(out, units, sources_of)


def test_an_interrupted_build_takes_up_a_replaced_source(sources, tmp_path):
    out, units = tmp_path / "out", {unit: unit for unit in "abc"}
    prepare_folder(out, RECIPE)
    make = functools.partial(draw, out)
    build_units(out, units, make, 1, "units", None, sources_of)
    (sources / "b").write_text("x", "utf-8")
    (tmp_path / "made.txt").write_text("")
    build_units(out, units, make, 1, "units", None, sources_of)
    assert (tmp_path / "made.txt").read_text() == "b"


def test_a_large_source_is_known_by_size_and_time(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LARGEST_CHEAP_SOURCE", 0)
    whole_build(tmp_path / "out", sources=sources_of)
    assert not changed_units(tmp_path / "out", {"a": "a"}, sources_of)
    os.utime(sources / "a")
    assert set(changed_units(tmp_path / "out", {"a": "a", "b": "b"}, sources_of)) == {"a"}


BUILDING = """
import sys, time
from pathlib import Path
from data_prep.building.resume import prepare_folder
prepare_folder(Path(sys.argv[1]), {"generator": "tests", "seed": 0})
print("begun", flush=True)
time.sleep(60)
"""


def test_two_commands_do_not_build_in_one_folder(tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", BUILDING, str(out)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "begun\n"
        with pytest.raises(DatasetError, match=r"another command is building in .*wait"):
            prepare_folder(out, RECIPE)
        other.kill()
    assert whole_build(out) == "abc", "a lock ends with its process"


def test_a_link_to_a_folder_is_written_and_one_to_nothing_is_told(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    assert whole_build(tmp_path / "out") == "abc"
    assert (tmp_path / "out").is_symlink() and (tmp_path / "real/dataset.json").is_file()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"lost is a link to .*nowhere, which is not there"):
        prepare_folder(tmp_path / "lost", RECIPE)


def test_a_lock_ends_with_a_build_that_failed(tmp_path):
    out = tmp_path / "out"

    @locks_released()
    def fail():
        prepare_folder(out, RECIPE)
        (out / "fail-b").touch()
        build(out)

    with pytest.raises(RuntimeError, match="killed in b"):
        fail()
    (out / "mine.txt").write_text("mine")
    write_atomically(out / "mine.txt", lambda path: path.write_text("still mine"))
    with subprocess.Popen(
        [sys.executable, "-c", BUILDING, str(out)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "begun\n"
        other.kill()


def test_every_command_that_builds_releases_its_lock():
    package = Path(data_prep.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        if "\n    clean_up(" in text:
            assert text.count("@locks_released()\ndef ") == 1, path
