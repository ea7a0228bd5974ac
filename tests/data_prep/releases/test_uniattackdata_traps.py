"""What goes wrong with real copies of a release, each with its documented outcome.

``book/datasets.md`` has the same table in words. After an error nothing may be left.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from data_prep.cli import main
from data_prep.manifest import DatasetError, validate
from data_prep.releases.uniattackdata import Options, import_uniattackdata
from tests.data_prep.releases.drawn import write_face
from tests.data_prep.releases.uniattackdata import build_challenge, build_official

MINIATURE = Options(skip_counts=True)
LIVE = "UniAttackData/Data/live/africa/AF-000/real.rssdk/color"
FIRST = f"{LIVE}/0010.jpg"
SWAP = "UniAttackData/Data/simswap/africa/AF-000-To-CA-010/14.jpg"


def list_of(root: Path, split: str = "train") -> Path:
    return root / f"UniAttackData/protocol/UniAttackData@p1_image_{split}.txt"


def rewrite(root: Path, old: str, new: str, split: str = "train") -> None:
    file = list_of(root, split)
    text = file.read_text("utf-8")
    assert old in text
    file.write_bytes(text.replace(old, new).encode())


def swap_polarity(root: Path) -> None:
    for split in ("train", "dev", "test"):
        lines = [line.rsplit(" ", 1) for line in list_of(root, split).read_text().splitlines()]
        text = "".join(f"{path} {int(integer == '0')}\n" for path, integer in lines)
        list_of(root, split).write_text(text)


def cut_off(root: Path) -> None:
    path = root / FIRST
    path.write_bytes(path.read_bytes()[:400])


def rename_to_png(root: Path) -> None:
    (root / FIRST).rename((root / FIRST).with_suffix(".png"))


def link_to_itself(root: Path) -> None:
    (root / FIRST).unlink()
    (root / FIRST).symlink_to(root / FIRST)


def loop_of_folders(root: Path) -> None:
    folder = (root / FIRST).parent
    folder.rename(folder.with_name("kept"))
    folder.symlink_to(folder.with_name("other"))
    folder.with_name("other").symlink_to(folder)


def link_out_of_the_root(root: Path) -> None:
    outside = root.parent / "outside.jpg"
    (root / FIRST).rename(outside)
    (root / FIRST).symlink_to(outside)


def folder_that_leads_out(root: Path) -> None:
    folder = (root / FIRST).parent
    folder.rename(root.parent / "elsewhere")
    folder.symlink_to(root.parent / "elsewhere")


def repeat_in_test(root: Path) -> None:
    with list_of(root, "test").open("a") as file:
        file.write(f"{FIRST} 0\n")


ERRORS = {
    "swapped polarity": (swap_polarity, r"train.txt, line 1: .* 14 of 14 lines .* --live-is 1"),
    "label against its folder": (
        lambda root: rewrite(root, f"{FIRST} 0", f"{FIRST} 2"),
        r"train.txt, line 1: '.*0010.jpg': the folder holds live, but the integer 2 means "
        r"'adversarial' .* 1 of 14 lines",
    ),
    "family against its folder": (
        lambda root: rewrite(root, f"{SWAP} 3", f"{SWAP} 1", "test"),
        r"test.txt, line \d+: .*editing attacks \(simswap\), but the integer 1 means 'physical'",
    ),
    "integer without a meaning": (
        lambda root: rewrite(root, f"{FIRST} 0", f"{FIRST} 7"),
        r"line 1: .*the integer 7 has no meaning; expected 0 = live, 1 = physical",
    ),
    "missing file": (
        lambda root: (root / FIRST).unlink(),
        r"1 of 60 images are absent \(train, live: 1\):\n  .*0010.jpg .*train.txt, line 1: missing",
    ),
    "zero-byte file": (
        lambda root: (root / FIRST).write_bytes(b""),
        r"1 of 60 images are absent .*\n.*: empty file",
    ),
    "truncated JPEG": (cut_off, r"1 of 60 images are damaged \(train, live: 1\):\n.*cut off"),
    "no image at all": (
        lambda root: (root / FIRST).write_text("a page that says: log in"),
        r"1 of 60 images are damaged .*\n.*no image.*unknown format",
    ),
    "other extension on disk": (rename_to_png, r"absent .*\n.*missing \(but 0010.png is there\)"),
    "a folder of that name": (
        lambda root: ((root / FIRST).unlink(), (root / FIRST).mkdir()),
        r"1 of 60 images are absent .*\n.*: not a file",
    ),
    "link to itself": (link_to_itself, r"0010.jpg cannot be followed .* leads back"),
    "loop of folders": (loop_of_folders, r"cannot be followed .* leads back"),
    "link out of the root": (link_out_of_the_root, r"0010.jpg points outside .*outside.jpg"),
    "folder that leads out": (folder_that_leads_out, r"points outside .*elsewhere"),
    "'..' in a line": (
        lambda root: rewrite(root, FIRST, f"UniAttackData/../../{FIRST}"),
        r"train.txt, line 1: .*'..' could lead out",
    ),
    "absolute path": (lambda root: rewrite(root, FIRST, f"/{FIRST}"), r"line 1: .*absolute path"),
    "drive": (lambda root: rewrite(root, FIRST, f"C:/{FIRST}"), r"line 1: .*absolute path"),
    "backslashes": (
        lambda root: rewrite(root, FIRST, FIRST.replace("/", "\\")),
        r"train.txt, line 1: .*backslash",
    ),
    "unknown attack folder": (
        lambda root: rewrite(root, SWAP, SWAP.replace("simswap", "newswap"), "test"),
        r"test.txt, line \d+: .*'newswap/africa/AF-000-To-CA-010' is of no known attack; known",
    ),
    "unknown kind of spoof": (
        lambda root: rewrite(root, "/cloth-indoor/", "/wax/"),
        r"'spoof/africa/AF-000/wax/color' is of no known attack",
    ),
    "no subject in the path": (
        lambda root: rewrite(root, "/AF-000/real", "/somebody/real"),
        r"train.txt, line 1: .*no folder of it is a subject's ID",
    ),
    "empty list": (lambda root: list_of(root).write_text("\n \n"), r"train.txt has no lines"),
    "list that is no text": (
        lambda root: list_of(root).write_bytes(b"ok 0\n\xff\xfe\x00"),
        r"train.txt, line 2: not UTF-8 text",
    ),
    "list missing": (lambda root: list_of(root).unlink(), r"no list of p1 for train"),
    "image in two splits": (
        repeat_in_test,
        r"1 images stand in two splits, the first in .*train.txt, line 1 and .*test.txt, line 33",
    ),
    "no lists of the protocol": (
        lambda root: [list_of(root, split).unlink() for split in ("train", "dev", "test")],
        r"protocol has no list of p1; expected UniAttackData@p1_image_train.txt",
    ),
}


@pytest.mark.parametrize("trap", ERRORS)
def test_a_trap_is_an_error_that_leaves_nothing_behind(trap, tmp_path):
    spoil, told = ERRORS[trap]
    root = build_official(tmp_path / "release")
    spoil(root)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=f"(?s){told}"):
        import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)
    assert sorted(tmp_path.rglob("*")) == before


def test_swapped_polarity_is_mended_by_the_option_it_names(tmp_path):
    root = build_official(tmp_path / "release")
    right = import_uniattackdata(root, "p1", tmp_path / "right", MINIATURE)
    swap_polarity(root)
    swapped = Options(skip_counts=True, live_is=1)
    mended = import_uniattackdata(root, "p1", tmp_path / "mended", swapped)
    assert mended.info["checksums"] == right.info["checksums"]
    assert mended.info["report"]["convention"] == "1 = live, 0 = fake (as --live-is says)"


def test_the_option_against_the_folders_is_refused_too(tmp_path):
    root = build_official(tmp_path / "release")
    with pytest.raises(DatasetError, match=r"line 1: .*as --live-is says.*a folder is believed"):
        wrong = Options(skip_counts=True, live_is=1)
        import_uniattackdata(root, "p1", tmp_path / "out", wrong)


@pytest.mark.parametrize("spoil", [lambda root: (root / FIRST).unlink(), cut_off])
def test_a_partial_copy_is_prepared_and_says_what_is_absent(spoil, tmp_path, capsys):
    root, out = build_official(tmp_path / "release"), tmp_path / "out"
    (root / SWAP).unlink()
    spoil(root)
    command = ["uniattackdata", "--root", str(root), "--protocol", "p1", "--out", str(out)]
    assert main([*command, "--allow-missing"]) == 0
    told = capsys.readouterr().out
    assert "test, simswap 1" in told
    assert "train, live 1" in told
    assert SWAP in told
    assert "train, live: 5 lines, published 3000" in told
    dataset = validate(out)
    assert len(dataset.manifest) == 58
    assert dataset.info["counts"]["protocols"]["p1"]["train"]["live"] == 4


def test_nothing_at_all_is_no_partial_copy(tmp_path):
    root = build_official(tmp_path / "release")
    (root / "UniAttackData/Data").rename(tmp_path / "gone")
    with pytest.raises(DatasetError, match="all 60 images are absent; is --root the right folder"):
        import_uniattackdata(root, "p1", tmp_path / "out", Options(allow_missing=True))


def harmless(root: Path, name: str) -> None:
    file = list_of(root)
    data = file.read_bytes()
    if name == "CRLF":
        file.write_bytes(data.replace(b"\n", b"\r\n"))
    elif name == "byte order mark":
        file.write_bytes(b"\xef\xbb\xbf" + data)
    elif name == "tabs and blank lines":
        file.write_bytes(data.replace(b" ", b"\t").replace(b"\n", b"\n\n") + b"  ")
    elif name == "no newline at the end":
        file.write_bytes(data.rstrip(b"\n"))
    elif name == "dots and double slashes":
        file.write_bytes(data.replace(b"UniAttackData/Data/", b"./UniAttackData//Data/./"))


@pytest.mark.parametrize(
    "name",
    [
        "CRLF",
        "byte order mark",
        "tabs and blank lines",
        "no newline at the end",
        "dots and double slashes",
    ],
)
def test_what_editors_do_to_lists_changes_nothing(name, tmp_path):
    root = build_official(tmp_path / "release")
    plain = import_uniattackdata(root, "p1", tmp_path / "plain", MINIATURE)
    before = list_of(root).read_bytes()
    harmless(root, name)
    assert list_of(root).read_bytes() != before
    edited = import_uniattackdata(root, "p1", tmp_path / "edited", MINIATURE)
    assert edited.info["checksums"] == plain.info["checksums"]


def test_unicode_and_spaces_in_names(tmp_path):
    root = build_official(tmp_path / "höme of data \u2028 \N{GRINNING FACE}")
    odd = "UniAttackData/Data/simswap/africa/AF-000-To-réf 2 \N{GRINNING FACE}/a b 7.jpg"
    (root / SWAP).parent.rename((root / odd).parent)
    ((root / odd).parent / "14.jpg").rename(root / odd)
    rewrite(root, SWAP, odd, "test")
    dataset = import_uniattackdata(root, "p1", tmp_path / "a b", MINIATURE)
    (row,) = dataset.manifest[dataset.manifest["target"] == "réf 2 \N{GRINNING FACE}"].to_dict(
        "records"
    )
    assert (row["type"], row["frame"]) == ("simswap", 7)
    assert len(validate(tmp_path / "a b").manifest) == 60


def test_repeated_lines_are_kept_once_and_reported(tmp_path):
    root = build_official(tmp_path / "release")
    text = list_of(root).read_text()
    list_of(root).write_text(text + text.splitlines()[0] + "\n")
    report = import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE).info["report"]
    assert report["repeated_lines"]["number"] == 1
    assert "train.txt, line 15" in report["repeated_lines"]["examples"][0]
    assert report["lines"]["train"] == 15


def test_an_image_of_two_splits_can_be_kept_in_the_later_one(tmp_path):
    root = build_official(tmp_path / "release")
    repeat_in_test(root)
    drop = Options(skip_counts=True, drop_overlap=True)
    dataset = import_uniattackdata(root, "p1", tmp_path / "out", drop)
    assert dataset.info["report"]["in_two_splits"]["number"] == 1
    splits = dataset.protocols["p1"].set_index("id")["split"]
    assert splits["live/africa/AF-000/real.rssdk/color/0010.jpg"] == "test"
    assert len(splits) == 60


def test_one_image_with_two_labels_is_an_error_where_folders_cannot_tell(tmp_path):
    root = build_challenge(tmp_path / "release")
    file = root / "phase1/p1/train_label.txt"
    file.write_text(file.read_text() + "p1/train/000001.jpg 1\n")
    with pytest.raises(DatasetError, match=r"two labels \(.*line 1: live; .*line 15: fake\)"):
        import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)


def test_a_challenge_line_needs_its_integer(tmp_path):
    root = build_challenge(tmp_path / "release")
    file = root / "phase1/p1/train_label.txt"
    file.write_text(file.read_text().replace("000002.jpg 0", "000002.jpg"))
    with pytest.raises(DatasetError, match=r"train_label.txt, line 2: .*no integer"):
        import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)


def test_two_phases_that_disagree_are_told(tmp_path):
    root = build_challenge(tmp_path / "release")
    (root / "phase2/p1/train_label.txt").write_text("p1/train/000001.jpg 1\n")
    with pytest.raises(DatasetError, match=r"phase1/p1/train_label.txt and .*phase2.* differ"):
        import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)


def test_another_format_than_the_name_says_is_read_and_reported(tmp_path):
    root = build_official(tmp_path / "release")
    write_face(tmp_path / "face.png")
    (root / FIRST).write_bytes((tmp_path / "face.png").read_bytes())
    dataset = import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)
    assert dataset.info["report"]["misnamed"]["number"] == 1
    validate(tmp_path / "out")


def test_mixed_sizes_are_kept_and_counted(tmp_path):
    root = build_official(tmp_path / "release")
    dataset = import_uniattackdata(root, "p1", tmp_path / "out", MINIATURE)
    assert dataset.info["image_size"] is None
    assert dataset.info["report"]["different_sizes"] == 4
    assert set(dataset.manifest["width"]) == {40, 48, 56, 112}


def test_a_foreign_folder_is_never_replaced(tmp_path):
    root = build_official(tmp_path / "release")
    for out in (tmp_path / "notes", root):
        out.mkdir(exist_ok=True)
        (out / "mine.txt").write_text("mine")
        told = "is not a dataset of this command|which is to be read, is inside"
        with pytest.raises(DatasetError, match=told):
            import_uniattackdata(root, "p1", out, MINIATURE, overwrite=True)
        assert (out / "mine.txt").read_text() == "mine"


def test_a_dataset_of_other_options_needs_overwrite(tmp_path):
    root, out = build_official(tmp_path / "release"), tmp_path / "out"
    import_uniattackdata(root, "p1", out, MINIATURE)
    other = Options(skip_counts=True, allow_missing=True)
    with pytest.raises(DatasetError, match=r"another recipe \(different: allow_missing\)"):
        import_uniattackdata(root, "p1", out, other)
    (root / FIRST).unlink()
    with pytest.raises(DatasetError, match="absent"):  # and the dataset that was there stays
        import_uniattackdata(root, "p1", out, MINIATURE)
    assert len(validate_tables(out)) == 60
    assert len(import_uniattackdata(root, "p1", out, other, overwrite=True).manifest) == 59
    assert {path.name for path in tmp_path.iterdir()} == {"release", "out"}


def validate_tables(out: Path):
    from data_prep.manifest import read_dataset

    return read_dataset(out).manifest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--protocol", "p3"], "unknown protocol 'p3'; known: p1, p1.1"),
        (["--protocol", "p1"], "holds no UniAttackData (found: nothing); expected UniAttackData/"),
        (["--protocol", "p1", "--test-from-dev", "1"], "test_from_dev is 1.0"),
    ],
)
def test_the_command_explains_what_it_expected(arguments, told, tmp_path, capsys):
    root = tmp_path / "empty"
    root.mkdir()
    command = ["uniattackdata", "--root", str(root), "--out", str(tmp_path / "out"), *arguments]
    assert main(command) == 2
    assert told in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"empty"}


def test_a_list_that_is_a_link_out_of_the_root_is_an_error(tmp_path):
    root = build_official(tmp_path / "release")
    list_of(root).rename(tmp_path / "outside.txt")
    list_of(root).symlink_to(tmp_path / "outside.txt")
    with pytest.raises(DatasetError, match="points outside"):
        import_uniattackdata(root, "p1", tmp_path / "out", Options(allow_missing=True))
    assert not (tmp_path / "out").exists()


def test_a_users_file_stays_and_the_release_is_never_touched(tmp_path):
    root, out = build_official(tmp_path / "release"), tmp_path / "out"
    import_uniattackdata(root, "p1", out, MINIATURE)
    (out / "notes.txt").write_text("mine")
    import_uniattackdata(root, "p1", out, MINIATURE)
    import_uniattackdata(root, "p1", out, Options(skip_counts=True, quick=True), overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    before = sorted(tmp_path.rglob("*"))
    shutil.copytree(out, tmp_path / "release/old")
    (root / "UniAttackData").rename(tmp_path / "release/old/UniAttackData")
    inner = tmp_path / "release/old"
    for folder in (inner, inner / "UniAttackData/out"):
        with pytest.raises(DatasetError, match="is inside"):
            import_uniattackdata(inner, "p1", folder, MINIATURE, overwrite=True)
    assert (inner / FIRST).is_file() and before


def test_a_dataset_of_one_protocol_gives_way_to_another(tmp_path):
    """Tables of the old protocol are gone, also those that a killed import left."""
    root, out = build_official(tmp_path / "release"), tmp_path / "out"
    build_official(root, "p2.1")
    import_uniattackdata(root, "p1", out, MINIATURE)
    (out / "dataset.json").unlink()
    import_uniattackdata(root, "p2.1", out, MINIATURE, overwrite=True)
    assert [path.name for path in (out / "protocols").iterdir()] == ["p2.1.parquet"]


def test_a_damaged_table_is_written_again(tmp_path):
    root, out = build_official(tmp_path / "release"), tmp_path / "out"
    sums = import_uniattackdata(root, "p1", out, MINIATURE).info["checksums"]
    (out / "manifest.parquet").write_bytes(b"damaged")
    (out / "protocols/p1.parquet").unlink()
    assert import_uniattackdata(root, "p1", out, MINIATURE).info["checksums"] == sums


def test_every_image_left_out_is_listed(tmp_path):
    root = build_official(tmp_path / "release")
    (root / FIRST).unlink()
    (root / SWAP).write_bytes((root / SWAP).read_bytes()[:300])
    partial = Options(allow_missing=True, skip_counts=True)
    import_uniattackdata(root, "p1", tmp_path / "out", partial)
    skipped = pd.read_csv(tmp_path / "out/skipped.csv").set_index("file")["reason"]
    assert skipped[FIRST] == "absent: missing" and skipped[SWAP].startswith("damaged: ")
    assert len(skipped) == 2


@pytest.mark.parametrize(("live", "warned"), [(0, False), (1, True)])
def test_a_partial_list_whose_share_of_live_images_speaks_for_one_is_warned_of(
    live, warned, tmp_path, capsys
):
    build_challenge(tmp_path, live=live)
    places = ["--root", str(tmp_path), "--protocol", "p1", "--out", str(tmp_path / "out")]
    assert main(["uniattackdata", *places, "--allow-missing"]) == 0
    told = capsys.readouterr().out
    assert ("WARNING: " in told and "--live-is 1" in told) == warned
    saying = ["--live-is", str(live), "--overwrite"]
    assert main(["uniattackdata", *places, "--allow-missing", *saying]) == 0
    assert "WARNING" not in capsys.readouterr().out


def test_long_numbers_in_names_take_no_time():
    import time

    from data_prep.releases.uniattackdata.names import parse_name

    start = time.perf_counter()
    path = "live/east-asia/EA-321/real.rssdk/color/"
    assert parse_name(f"{path}{'1' * 60_000}x.jpg").frame == 0
    assert parse_name(f"{path}{'1' * 60_000}.jpg").frame == 0
    assert parse_name(f"{path}a0070.jpg").frame == 70
    assert time.perf_counter() - start < 1
