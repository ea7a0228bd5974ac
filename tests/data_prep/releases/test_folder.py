"""A user's own folders: what is read from names, what is skipped and why, who is in which split."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.data import astronaut

from data_prep.cli import main
from data_prep.manifest import DatasetError, read_dataset, read_image, validate
from data_prep.media.faces import CropRules, EmbeddedDetector
from data_prep.releases.folder import FolderOptions, import_folders, importer
from data_prep.releases.folder.collect import SubjectRule, collect
from data_prep.releases.folder.pictures import file_names
from data_prep.releases.folder.splits import split_subjects
from lasoftmoe.data import open_dataset
from tests.data_prep.releases.drawn import draw_face, write_face
from tests.data_prep.videos import numbered, write_video

ONE = FolderOptions(workers=1)
PEOPLE = ("ann", "ben", "cat", "dan", "eve")


@pytest.fixture()
def home(tmp_path) -> Path:
    """Five people: two live images and a print each, nested and of several formats."""
    for number, person in enumerate(PEOPLE):
        write_face(tmp_path / f"live/{person}/2024/a.jpg", 40 + number)
        write_face(tmp_path / f"live/{person}/b.png")
        write_face(tmp_path / f"fake/print/{person}/c.JPG")
    return tmp_path


def prepare(home: Path, out: str = "out", options: FolderOptions = ONE, **more):
    return import_folders(home / "live", home / "fake", home / out, options, **more)


def test_names_tell_type_subject_and_label(home):
    dataset = prepare(home)
    assert len(validate(home / "out").manifest) == 15
    rows = dataset.manifest.set_index("id")
    row = rows.loc["fake/print/ann/c.JPG"]
    assert row["path"] == "../fake/print/ann/c.JPG"
    assert (row["label"], row["family"], row["type"]) == ("fake", "physical", "print")
    assert set(rows["subject"]) == set(PEOPLE)
    assert rows.loc["live/ann/2024/a.jpg", "subject"] == "ann"
    assert {path.name for path in (home / "out").iterdir()} == {
        "protocols",
        "manifest.parquet",
        "dataset.json",
        "journal.jsonl",
    }


def test_splits_are_by_subject_and_fixed_by_the_seed(home):
    first = prepare(home).protocols["p1"]
    splits = first.merge(read_dataset(home / "out").manifest, on="id")
    assert splits.groupby("subject")["split"].nunique().max() == 1
    assert Counter(splits.drop_duplicates("subject")["split"]) == {"train": 3, "dev": 1, "test": 1}
    again = prepare(home, "again").protocols["p1"]
    pd.testing.assert_frame_equal(first, again)
    others = [
        prepare(home, f"seed{seed}", FolderOptions(seed=seed, workers=1)).protocols["p1"]
        for seed in (1, 2, 3)
    ]
    assert any(not first.equals(other) for other in others)


def test_the_training_code_reads_it(home):
    prepare(home)
    splits = open_dataset(home / "out", image_size=16)
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [9, 3, 3]


@pytest.mark.parametrize(
    ("number", "expected"), [(1, [1, 0, 0]), (3, [1, 1, 1]), (10, [6, 2, 2]), (101, [61, 20, 20])]
)
def test_subjects_are_dealt_by_the_shares(number, expected):
    rows = [(f"p{n}", label) for n in range(number) for label in ("live", "fake")]
    table = pd.DataFrame(rows, columns=["subject", "label"])
    if number < 3:
        with pytest.raises(DatasetError, match=r"split dev has no live.*live pictures: 1, with"):
            split_subjects(table, (0.6, 0.2, 0.2), 0)
        assert set(split_subjects(table, (0, 0, 1), 0)) == {"test"}
        return
    found = split_subjects(table, (0.6, 0.2, 0.2), 0)
    counts = found[table["label"] == "live"].value_counts()
    assert [counts[name] for name in ("train", "dev", "test")] == expected


def test_people_with_one_kind_of_picture_are_dealt_apart():
    rows = [(f"p{n}", "live") for n in range(5)] + [(f"q{n}", "fake") for n in range(5)]
    table = pd.DataFrame(rows, columns=["subject", "label"])
    splits = table.assign(split=split_subjects(table, (0.6, 0.2, 0.2), 7))
    assert splits.groupby("split")["label"].nunique().eq(2).all()


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.2), (1.2, -0.2, 0)])
def test_shares_that_are_none_are_refused(home, shares):
    with pytest.raises(ValueError, match="three shares that add up to 1"):
        prepare(home, options=FolderOptions(splits=shares, workers=1))
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("rule", "below", "subject"),
    [
        ("folder", "ann/x/1.jpg", "ann"),
        ("folder", "1.jpg", None),
        ("name", "any/ann_01.jpg", "ann"),
        ("name", "ann-2.jpg", "ann"),
        ("file", "any/ann_01.jpg", "any/ann_01.jpg"),
        (r"(id\d+)", "x/clip-id042-b.jpg", "id042"),
        (r"(id\d+)", "x/clip.jpg", None),
    ],
)
def test_rules_for_subjects(rule, below, subject):
    assert SubjectRule(rule).subject(tuple(below.split("/")), below) == subject


@pytest.mark.parametrize("rule", ["(", "id[0-9]+", "(a)(b)"])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ValueError, match="regular expression"):
        SubjectRule(rule)


def test_videos_give_frames_evenly_spread_and_without_loss(home):
    write_video(home / "live/ann/clip.mp4", numbered(20))
    write_video(home / "fake/replay/ann/again.mov", numbered(3))
    write_video(home / "live/ann/one.mp4", numbered(1))
    dataset = prepare(home, options=FolderOptions(frames=4, workers=1))
    rows = dataset.manifest[dataset.manifest["video"] == "live/ann/clip.mp4"]
    assert rows["frame"].tolist() == [2, 7, 12, 17]
    assert rows["path"].iloc[0] == "images/live/ann/clip.mp4/000002.png"
    short = dataset.manifest[dataset.manifest["video"] == "fake/replay/ann/again.mov"]
    assert short["frame"].tolist() == [0, 1, 2]
    assert "live/ann/one.mp4/000000" in set(dataset.manifest["id"])
    assert len(validate(home / "out").manifest) == 15 + 4 + 3 + 1


def spoil(home: Path) -> dict[str, str]:
    """Files of every unusable kind, with the reason to be told."""
    live = home / "live/ann"
    cut = live / "cut.jpg"
    draw_face("x").save(cut)
    cut.write_bytes(cut.read_bytes()[:300])
    (live / "empty.png").touch()
    (live / "empty.mp4").touch()
    (live / "text.mp4").write_text("not a video")
    (live / "notes.txt").write_text("x")
    (live / ".hidden.jpg").write_text("x")
    (live / "page.jpg").write_text("<html>")
    (home / "secret.jpg").write_bytes((live / "b.png").read_bytes())
    (live / "out.jpg").symlink_to(home / "secret.jpg")
    (live / "round.jpg").symlink_to(live / "round.jpg")
    (live / "loop").symlink_to(live)
    (live / "b\\c.jpg").write_bytes((live / "b.png").read_bytes())
    return {
        "cut.jpg": "cut off or damaged",
        "empty.png": "empty file",
        "empty.mp4": "empty file",
        "text.mp4": "",
        "notes.txt": "neither an image nor a video",
        ".hidden.jpg": "hidden",
        "page.jpg": "no image",
        "out.jpg": "leads out of the folder",
        "round.jpg": "to itself",
        "loop": "a link to a folder",
        "b\\c.jpg": "backslash",
    }


def test_what_cannot_be_used_is_skipped_and_listed(home, capsys):
    expected = spoil(home)
    command = ["folder", "--live", home / "live", "--fake", home / "fake", "--out", home / "out"]
    assert main([*map(str, command), "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert f"skipped 2: empty file (see {home / 'out/skipped.csv'})" in told
    skipped = pd.read_csv(home / "out/skipped.csv").set_index("file")["reason"]
    assert len(skipped) == len(expected)
    for name, reason in expected.items():
        assert reason in skipped[f"live/ann/{name}"]
        assert str(home) not in skipped[f"live/ann/{name}"]
    assert len(validate(home / "out").manifest) == 15


def test_unicode_and_spaces_in_names(home):
    write_face(home / "live/Zoë \N{GRINNING FACE} x/ä b:1.jpg")
    dataset = prepare(home, "öut put")
    assert "Zoë \N{GRINNING FACE} x" in set(dataset.manifest["subject"])
    assert len(validate(home / "öut put").manifest) == 16


def test_a_telephone_held_upright_gives_an_upright_image(home):
    picture = draw_face("turned", 60, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(home / "live/ann/phone.jpg", exif=exif)
    dataset = prepare(home)
    (row,) = dataset.manifest[dataset.manifest["id"] == "live/ann/phone.jpg"].to_dict("records")
    assert read_image(dataset.locate(row["path"]), row["id"]).shape == (60, 30, 3)


ERRORS = {
    "unknown attack": (
        lambda home: (home / "fake/print").rename(home / "fake/wig"),
        r"unknown attack 'wig'; say its family with --family wig=FAMILY",
    ),
    "no attack folder": (
        lambda home: write_face(home / "fake/x.jpg"),
        r"x.jpg lies directly in the folder of fakes; .* --type",
    ),
    "no subject": (
        lambda home: write_face(home / "live/x.jpg"),
        r"x.jpg: the rule --subjects-from 'folder' finds no subject",
    ),
    "nothing fake": (
        lambda home: [path.unlink() for path in (home / "fake").rglob("*.JPG")],
        r"fake holds no image or video that could be fake",
    ),
    "nothing usable": (
        lambda home: [path.write_text("x") for path in (home / "live").rglob("*.*g")],
        r"too little can be used: 10 skipped: is no image",
    ),
    "two people": (
        lambda home: [
            path.unlink()
            for path in home.rglob("*")
            if path.is_file() and set(path.parts) & {"cat", "dan", "eve"}
        ],
        r"the split test has no live picture: subjects with live pictures: 2, with fakes: 2",
    ),
    "no such folder": (
        lambda home: (home / "live").rename(home / "alive"),
        r"no folder at .*live; --live is the folder of live pictures",
    ),
    "fakes among the live": (
        lambda home: (
            (home / "fake").rename(home / "live/fake"),
            (home / "fake").symlink_to(home / "live/fake"),
        ),
        r"are inside one another",
    ),
}


@pytest.mark.parametrize("trap", ERRORS)
def test_an_error_leaves_no_dataset_and_touches_nothing(trap, home):
    spoil_it, told = ERRORS[trap]
    spoil_it(home)
    before = sorted(home.rglob("*"))
    with pytest.raises(DatasetError, match=told):
        prepare(home)
    if trap == "nothing usable":  # known only after all files were read: that work is kept
        assert {path.name for path in (home / "out").iterdir()} == {".work"}
        shutil.rmtree(home / "out")
    assert sorted(home.rglob("*")) == before


def test_attack_and_family_can_be_said(home, capsys):
    (home / "fake/print").rename(home / "fake/wig")
    named = FolderOptions(families={"wig": "physical"}, workers=1)
    dataset = prepare(home, options=named)
    assert dataset.info["attack_types"]["wig"]["family"] == "physical"
    command = ["folder", "--live", home / "live", "--fake", home / "fake/wig", "--out", home / "b"]
    assert main([*map(str, command), "--type", "replay", "--workers", "1"]) == 0
    assert "train: live 6, replay 3" in capsys.readouterr().out


def test_folders_named_as_in_uniattackdata_are_known(home):
    (home / "fake/print").rename(home / "fake/simswap")
    assert set(prepare(home).manifest["family"]) == {"live", "editing"}


@pytest.mark.parametrize("text", ["wig", "=physical", "wig="])
def test_a_pair_that_is_none_is_told(text, capsys):
    with pytest.raises(SystemExit):
        main(["folder", "--live", "a", "--fake", "b", "--out", "c", "--family", text])
    assert "is not ATTACK=FAMILY" in capsys.readouterr().err


def test_copies_do_not_need_the_originals(home):
    dataset = prepare(home, options=FolderOptions(copy=True, workers=1))
    assert "root" not in dataset.info
    with Image.open(home / "live/ann/2024/a.jpg") as image:
        original = np.asarray(image.convert("RGB"))
    (home / "live").rename(home / "gone")
    validate(home / "out")
    (row,) = dataset.manifest[dataset.manifest["id"] == "live/ann/2024/a.jpg"].to_dict("records")
    assert row["path"] == "images/live/ann/2024/a.jpg.png"
    assert np.array_equal(read_image(dataset.locate(row["path"]), ""), original)


def test_faces_are_cropped_and_pictures_without_one_are_skipped(home):
    for path in [*home.rglob("*.*g"), *home.rglob("*.JPG")]:  # a drawn face may pass for one
        Image.new("RGB", (60, 60), "gray").save(path)
    portrait = Image.fromarray(astronaut()).resize((256, 256))
    for number, person in enumerate(PEOPLE[:3]):
        turned = portrait.crop((number, number, 250, 250))
        turned.save(home / f"live/{person}/portrait.png")
        turned.save(home / f"fake/print/{person}/portrait.png")
    dataset = prepare(home, options=FolderOptions(crop=CropRules(size=64, turn=False), workers=1))
    assert len(dataset.manifest) == 6
    assert dataset.info["report"]["faces"]["cut"] == 6
    assert dataset.info["recipe"]["detector"]["name"] == "embedded"
    assert dataset.info["image_size"] == 64
    assert dataset.info["report"]["skipped"] == {f"no face found ({EmbeddedDetector().reach})": 15}
    assert open_dataset(home / "out")["train"][0]["image"].shape == (3, 64, 64)


def test_the_same_call_again_reads_and_other_files_need_overwrite(home):
    first = prepare(home)
    stamp = (home / "out/dataset.json").stat().st_mtime_ns
    assert prepare(home).info == first.info
    assert (home / "out/dataset.json").stat().st_mtime_ns == stamp
    write_face(home / "live/fay/new.jpg")
    with pytest.raises(DatasetError, match=r"different: files\)"):
        prepare(home)
    assert len(prepare(home, overwrite=True).manifest) == 16


def test_the_dataset_is_not_written_into_what_is_read(home):
    with pytest.raises(DatasetError, match=r"is inside .*, a folder to be read"):
        prepare(home, "live/out")


@pytest.mark.slow
def test_two_workers_write_the_same(home):
    write_video(home / "live/ann/clip.mp4", numbered(6))
    one = prepare(home, "one")
    two = prepare(home, "two", FolderOptions(workers=2))
    assert one.info["checksums"] == two.info["checksums"]


@pytest.mark.slow
def test_an_interrupted_build_goes_on_and_loses_nothing(home):
    """The process is killed while it works; the same call then finishes the rest."""
    whole = prepare(home, "whole")
    killer = (
        "import os, sys\n"
        "from data_prep.releases.folder import importer\n"
        "make, seen = importer.make_rows, []\n"
        "def die(work):\n"
        "    seen.append(work)\n"
        "    return make(work) if len(seen) < 8 else os._exit(9)\n"
        "importer.make_rows = die\n"
        "importer.import_folders(*sys.argv[1:4], importer.FolderOptions(workers=1))\n"
    )
    places = [str(home / name) for name in ("live", "fake", "out")]
    ended = subprocess.run([sys.executable, "-c", killer, *places], check=False)
    assert ended.returncode == 9
    assert len(list((home / "out/.work").glob("0*.json"))) == 7
    finished = prepare(home)
    assert finished.info["checksums"] == whole.info["checksums"]
    assert not (home / "out/.work").exists()


def test_nothing_outside_is_read_even_by_its_name(tmp_path):
    outside, live = tmp_path / "outside", tmp_path / "live"
    write_face(outside / "ann/a.jpg")
    live.mkdir()
    (live / "ann").symlink_to(outside)
    found, skipped = collect(live, "live", SubjectRule("folder"))
    assert found == []
    assert [skip.reason for skip in skipped] == ["a link that leads out of the folder or to itself"]


def test_what_is_told_is_also_kept(home):
    spoil(home)
    prepare(home)
    report = json.loads((home / "out/dataset.json").read_text("utf-8"))["report"]
    assert report["skipped"]["empty file"] == 2


def test_a_name_that_is_not_utf8_is_skipped_and_listed(home):
    Path(os.fsdecode(os.fsencode(home / "live") + b"/odd-\xff.jpg")).write_bytes(b"a picture")
    dataset = prepare(home)
    assert "odd-\\xff.jpg" in (dataset.folder / "skipped.csv").read_text("utf-8")


def test_a_picture_with_a_broken_exif_tag_is_skipped_as_readers_would_refuse_it(home):
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0  # to be turned; a resolution
    path = home / "live/ann/odd.jpg"
    Image.new("RGB", (40, 24)).save(path, exif=exif)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02"))  # as if it were text
    assert path.read_bytes() != data
    with pytest.raises(DatasetError, match="does not decode"):
        read_image(path, "odd")
    dataset = prepare(home)
    assert "live/ann/odd.jpg" not in set(dataset.manifest["id"])


def images_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("through", ["", "a link"])
@pytest.mark.parametrize("command", [{"crop": CropRules()}, {"copy": True}, {}])
def test_sources_in_the_folder_to_write_are_refused_before_anything_is_touched(
    home, command, through
):
    """A dataset that was written there before, with --overwrite: its sources must stay."""
    (home / "out/images").mkdir(parents=True)
    (home / "live").rename(home / "out/images/live")
    if through:
        (home / "live").symlink_to(home / "out/images/live")
    live = home / "live" if through else home / "out/images/live"
    before = images_in(home)
    for overwrite in (False, True):
        with pytest.raises(DatasetError, match=r"which is to be read, is inside .*was touched"):
            options = FolderOptions(workers=1, **command)
            import_folders(live, home / "fake", home / "out", options, overwrite)
    assert images_in(home) == before


def test_originals_kept_in_the_dataset_survive_overwrite(home):
    options = FolderOptions(copy=True, workers=1)
    prepare(home, options=options)
    (home / "out/raw").mkdir()
    (home / "out/raw/mine.jpg").write_bytes(b"mine")
    prepare(home, options=FolderOptions(copy=True, workers=1, frames=3), overwrite=True)
    assert (home / "out/raw/mine.jpg").read_bytes() == b"mine"
    assert len(validate(home / "out").manifest) == 15


@pytest.mark.parametrize("options", [{}, {"copy": True}])
def test_a_replaced_picture_of_equal_size_is_noticed(home, options):
    chosen = FolderOptions(workers=1, **options)
    path = home / "live/ann/b.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path, compress_level=0)
    first = prepare(home, options=chosen)
    size = path.stat().st_size
    Image.new("RGB", (8, 8), (3, 2, 1)).save(path, compress_level=0)
    assert path.stat().st_size == size
    with pytest.raises(DatasetError, match=r"1 of 15 were replaced since.*b\.png.*--overwrite"):
        prepare(home, options=chosen)
    second = prepare(home, options=chosen, overwrite=True)
    assert first.info["checksums"]["images"] != second.info["checksums"]["images"]
    (row,) = second.manifest[second.manifest["id"] == "live/ann/b.png"].to_dict("records")
    assert (read_image(second.locate(row["path"]), "") == (3, 2, 1)).all()


def test_a_replaced_video_is_noticed(home):
    path = home / "live/ann/clip.mp4"
    write_video(path, numbered(6))
    prepare(home)
    write_video(path, numbered(9))
    with pytest.raises(DatasetError, match=r"1 of 16 were replaced since"):
        prepare(home)
    frames = prepare(home, overwrite=True).manifest["video"] == "live/ann/clip.mp4"
    assert frames.sum() == 8


def test_a_damaged_dataset_is_repaired_by_its_own_command(home):
    options = FolderOptions(copy=True, workers=1)
    sums = prepare(home, options=options).info["checksums"]
    (home / "out/images/live/ann/b.png.png").write_bytes(b"damaged")
    (home / "out/images/live/ben/b.png.png").unlink()
    (home / "out/manifest.parquet").unlink()
    assert prepare(home, options=options).info["checksums"] == sums
    validate(home / "out")


def test_finished_work_outlives_an_error_and_another_choice_of_splits(home, monkeypatch):
    options = FolderOptions(copy=True, workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(importer, "_write", lambda *_: pytest.fail("late"))
        with pytest.raises(pytest.fail.Exception, match="late"):
            prepare(home, options=options)
    monkeypatch.setattr(importer, "make_rows", lambda _: pytest.fail("made again"))
    changed = FolderOptions(copy=True, workers=1, splits=(0, 0, 1), seed=3)
    assert set(prepare(home, options=changed).protocols["p1"]["split"]) == {"test"}


def test_a_folder_that_cannot_be_opened_is_listed(home, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("live/ben"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (home / "live/nobody").mkdir()
    monkeypatch.setattr(os, "scandir", refusing)
    prepare(home)
    skipped = pd.read_csv(home / "out/skipped.csv").set_index("file")["reason"].to_dict()
    assert skipped == {
        "live/ben": "a folder that cannot be opened (Permission denied)",
        "live/nobody": "an empty folder",
    }


def test_long_names_and_names_of_folders_do_not_collide(home):
    long = f"live/ann/{'x' * 251}.png"
    write_face(home / long)
    write_face(home / "live/ann/a.jpg")
    write_face(home / "live/ann/a.jpg.png/b.png")
    dataset = prepare(home, options=FolderOptions(copy=True, workers=1))
    assert {long, "live/ann/a.jpg", "live/ann/a.jpg.png/b.png"} <= set(dataset.manifest["id"])
    assert len(validate(home / "out").manifest) == 18


def test_names_of_files_differ_and_are_short():
    names = ["a.jpg", "a.jpg.png/b.png", "ü" * 125 + "1.png", "ü" * 125 + "2.png", "c/d.png"]
    found = file_names(names)
    assert found["c/d.png"] == "c/d.png" and found["a.jpg.png/b.png"] == "a.jpg.png/b.png"
    assert len(set(found.values())) == len(names)
    assert all(len(f"{name.split('/')[-1]}.png".encode()) <= 255 for name in found.values())


def test_a_link_as_the_folder_to_write_hides_no_error(home):
    (home / "real").mkdir()
    (home / "out").symlink_to(home / "real")
    for path in (home / "live").rglob("*.*g"):
        path.write_text("x")
    with pytest.raises(DatasetError, match="too little can be used"):
        prepare(home)
    assert (home / "out").is_symlink()


def test_the_same_picture_of_two_people_is_reported_and_refused_by_check(home, capsys):
    for person in ("ben", "cat", "dan", "eve"):
        (home / f"live/{person}/b.png").write_bytes((home / "live/ann/b.png").read_bytes())
    command = ["folder", "--live", home / "live", "--fake", home / "fake", "--out", home / "out"]
    assert main([*map(str, command), "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "4 images have the same bytes as another (1 groups across splits, 0 with two" in told
    assert main(["check", str(home / "out")]) == 2
    assert "have equal bytes and are in two splits" in capsys.readouterr().err
    (home / "fake/print/ann/c.JPG").write_bytes((home / "live/ann/b.png").read_bytes())
    with pytest.raises(DatasetError, match=r"have equal bytes and are labeled live and fake"):
        validate(prepare(home, "again").folder)


def test_a_set_for_testing_only_is_opened_for_that(home):
    """Our own message advises ``--splits 0 0 1``; testing needs no other split."""
    prepare(home, options=FolderOptions(splits=(0, 0, 1), workers=1))
    assert len(open_dataset(home / "out", image_size=16, splits=["test"])["test"]) == 15
    with pytest.raises(DatasetError, match="has no image in split 'train'"):
        open_dataset(home / "out", image_size=16)


def test_images_that_are_all_links_into_a_store_are_counted_with_what_to_do(home):
    store = home / "store"
    store.mkdir()
    for number, path in enumerate(sorted((home / "live").rglob("*.*"))):
        path.rename(store / f"{number}{path.suffix}")
        path.symlink_to(store / f"{number}{path.suffix}")
    (home / "live/notes.txt").write_text("x")
    with pytest.raises(DatasetError) as failed:
        prepare(home)
    told = str(failed.value)
    assert "live holds no image or video that could be live; found there:" in told
    assert "10 x a link that leads out of the folder" in told and "'live/ann/" in told
    assert "1 x neither an image nor a video, for example 'live/notes.txt'" in told
    assert "cp -rL FOLDER COPY" in told
    assert not (home / "out").exists()


def test_an_empty_folder_is_called_empty(home):
    import shutil

    shutil.rmtree(home / "live")
    (home / "live").mkdir()
    with pytest.raises(DatasetError, match=r"could be live; it is empty"):
        prepare(home)


def test_phone_formats_are_taken_and_what_must_be_converted_is_named(home):
    draw_face("x").save(home / "live/ann/a.jfif", "JPEG")
    (home / "live/ann/b.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    write_video(home / "live/ann/c.3gp", numbered(4), container="3gp")
    write_video(home / "live/ann/d.MTS", numbered(4), container="mpegts")
    dataset = prepare(home)
    ids = set(dataset.manifest["id"])
    assert {"live/ann/a.jfif", "live/ann/c.3gp/000000", "live/ann/d.MTS/000000"} <= ids
    skipped = pd.read_csv(home / "out/skipped.csv").set_index("file")["reason"]
    assert list(skipped.index) == ["live/ann/b.HEIC"]
    assert skipped.iloc[0].startswith("must be converted: HEIC, which iPhones write")


def test_deep_images_of_unknown_range_are_skipped_with_the_reason(home):
    dark = (np.arange(1600).reshape(40, 40) // 2).astype(np.uint16)
    Image.fromarray(dark).save(home / "live/ann/infrared.png")
    Image.fromarray(dark * 80).save(home / "live/ann/deep.png")
    dataset = prepare(home)
    assert "live/ann/deep.png" in set(dataset.manifest["id"])
    skipped = pd.read_csv(home / "out/skipped.csv").set_index("file")["reason"]
    assert "largest value is 799 of 65,535" in skipped["live/ann/infrared.png"]


def test_a_video_damaged_late_leaves_nothing_and_does_not_stop_the_others(home, monkeypatch):
    from data_prep.media.video import VideoError
    from data_prep.releases.folder import pictures

    write_video(home / "live/ann/bad.mp4", numbered(10))
    write_video(home / "live/ann/good.mp4", numbered(10))
    plain = pictures.sample_frames

    def failing(path, count, **options):
        frames = plain(path, count, **options)
        yield next(frames)
        if "bad" in str(path):
            raise VideoError(f"{path}: a frame does not decode")
        yield from frames

    monkeypatch.setattr(pictures, "sample_frames", failing)
    dataset = prepare(home)
    assert (dataset.manifest["video"] == "live/ann/good.mp4").sum() == 8
    assert not [path for path in (home / "out/images").rglob("*.png") if "bad" in str(path)]
    skipped = pd.read_csv(home / "out/skipped.csv").set_index("file")["reason"]
    assert skipped["live/ann/bad.mp4"] == "a frame does not decode"


def test_options_have_limits(home, capsys):
    command = ["folder", "--live", home / "live", "--fake", home / "fake", "--out", home / "out"]
    for option, value in (("--workers", "1000000"), ("--size", "100000"), ("--size", "9" * 5000)):
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, command), option, value])
        assert stopped.value.code == 2
        assert "is not possible; expected a whole number" in capsys.readouterr().err
    for margin in ("1e6", "nan", "-1"):
        assert main([*map(str, command), "--crop-faces", "--margin", margin]) == 2
        assert "expected a margin of 0 to 10" in capsys.readouterr().err
    assert not (home / "out").exists()
