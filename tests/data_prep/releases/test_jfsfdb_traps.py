"""What releases do wrong, each with its documented outcome; nothing half-written stays."""

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep.contract.checks import DatasetError
from data_prep.manifest import validate
from data_prep.media import faces
from data_prep.media.faces import CropRules, EmbeddedDetector
from data_prep.media.kinds import MUST_CONVERT
from data_prep.releases.jfsfdb import prepare as module
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset
from tests.data_prep.releases.jfsfdb import (
    celebdf,
    clip_of,
    dfdc,
    face,
    faceforensics,
    msu_mfsd,
    pictures,
    threedmad,
    video,
)
from tests.data_prep.videos import cut, tag_rotation, write_video

WISHES = Wishes(frames=2, crop=CropRules(size=48), allow_missing=True)


def prepare(root, name="rose_youtu", overwrite=False, **changes):
    wishes = replace(WISHES, **changes)
    return prepare_subset(name, root, root.parent / "out", wishes, workers=1, overwrite=overwrite)


def add(root, name="G_NT_5s_g_E_2_1.mp4", person=0, **options):
    return video(root / name, person, **options)


@pytest.fixture
def root(tmp_path):
    add(tmp_path / "release", "G_NT_5s_g_E_9_9.mp4")
    return tmp_path / "release"


def broken_empty(path):
    path.write_bytes(b"")


def broken_single(path):
    write_video(path, clip_of(frames=1), "mpeg4")


def broken_truncated(path):
    cut(path, 0.5)


def broken_picture(path):
    Image.fromarray(face()).save(path, format="png")


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (broken_empty, r"the file is empty \(0 bytes\)"),
        (broken_single, r"1 frame\(s\), expected 2 or more"),
        (broken_truncated, "not a video that can be read .* cut off"),
        (broken_picture, "not a video that can be read .* something else"),
    ],
    ids=["zero bytes", "one frame", "truncated", "a picture under a video's name"],
)
def test_broken_clip_is_named_then_skipped_or_replaced(root, breaks, message):
    path = add(root)
    breaks(path)
    with pytest.raises(
        DatasetError, match=rf"1 of 2 clips cannot be read:\n  {path.name}: {message}"
    ):
        prepare(root)
    assert not (root.parent / "out/dataset.json").exists()
    dataset = prepare(root, skip_broken=True)
    clips = dataset.tables["clips"].set_index("video")
    assert clips.loc[path.name, "status"] == "broken"
    assert str(root) not in clips.loc[path.name, "message"]
    assert dataset.info["clips"] == {"used": 1, "no face": 0, "broken": 1}
    folders = [folder.name for folder in (dataset.folder / "images").iterdir()]
    assert len(folders) == 1 and folders[0].startswith("G-NT-5s-g-E-9-9")


def test_replaced_clip_is_the_only_one_done_again(root, read):
    path = add(root)
    broken_empty(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        prepare(root)
    add(root)
    del read[:]
    assert prepare(root).info["clips"]["used"] == 2
    assert read == [path.name]


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def read(monkeypatch):
    """The names of the clips that were opened."""
    names, plain = [], module.read_clip
    monkeypatch.setattr(module, "read_clip", lambda p, *a: names.append(p.name) or plain(p, *a))
    return names


def test_a_skipped_clip_is_taken_up_when_it_was_replaced(root, read):
    path = add(root)
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole))  # as long as the real one: a download that was reserved
    assert prepare(root, skip_broken=True).info["clips"]["broken"] == 1
    del read[:]
    before = contents(root.parent / "out")
    os.utime(path)
    prepare(root, skip_broken=True)
    assert not read and contents(root.parent / "out") == before, "the same file, only touched"
    path.write_bytes(whole)
    assert prepare(root, skip_broken=True).info["clips"] == {"used": 2, "no face": 0, "broken": 0}
    assert read == [path.name], "the others are not done again"
    prepare_subset("rose_youtu", root, root.parent / "anew", WISHES, workers=1)
    assert contents(root.parent / "out") == contents(root.parent / "anew")


def test_a_skipped_clip_whose_replacement_is_broken_too_leaves_the_dataset_as_it_was(root, read):
    path = add(root)
    path.write_bytes(b"")
    prepare(root, skip_broken=True)
    path.write_bytes(b"nor is this a video")
    with pytest.raises(DatasetError, match="1 of 2 clips cannot be read"):
        prepare(root)
    assert validate(root.parent / "out").info["clips"]["broken"] == 1
    del read[:]
    for _ in range(2):
        assert prepare(root, skip_broken=True).info["clips"]["broken"] == 1
    assert read == [path.name], "what is known to be broken is read once"


def test_a_finished_dataset_that_left_a_clip_out_is_none_for_who_wants_all_of_them(root):
    add(root).write_bytes(b"")
    prepare(root, skip_broken=True)
    before = contents(root.parent / "out")
    with pytest.raises(DatasetError, match="1 of 2 clips cannot be read"):
        prepare(root)
    assert contents(root.parent / "out") == before
    assert prepare(root, skip_broken=True).info["clips"]["broken"] == 1


def test_an_interrupted_preparation_takes_up_a_replaced_clip(root, monkeypatch):
    path = add(root)
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole))
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            prepare(root, skip_broken=True)
    path.write_bytes(whole)
    assert prepare(root, skip_broken=True).info["clips"]["used"] == 2


@pytest.mark.parametrize("moment", ["prepare_clip", "_write"])
def test_killed_while_a_replaced_clip_is_taken_up_goes_on(root, monkeypatch, moment):
    path = add(root)
    path.write_bytes(b"")
    prepare(root, skip_broken=True)
    add(root)
    with monkeypatch.context() as patch:
        patch.setattr(module, moment, lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            prepare(root)
    assert (root.parent / "out/dataset.json").exists() == (moment == "prepare_clip")
    assert prepare(root).info["clips"]["used"] == 2
    prepare_subset("rose_youtu", root, root.parent / "anew", WISHES, workers=1)
    assert contents(root.parent / "out") == contents(root.parent / "anew")


def test_a_skipped_folder_of_pictures_is_taken_up_when_one_was_replaced(tmp_path):
    root = tmp_path / "release"
    pictures(root / "Real/0928_018/16")
    pictures(root / "Real/0928_018/17")
    picture = min((root / "Real/0928_018/17").iterdir())
    whole = picture.read_bytes()
    picture.write_bytes(b"\0" * len(whole))
    assert prepare(root, "threedmask", skip_broken=True).info["clips"]["broken"] == 1
    picture.write_bytes(whole)
    assert prepare(root, "threedmask").info["clips"]["used"] == 2


def test_wrong_ending_is_read_by_its_content(root):
    add(root, container="avi")
    assert prepare(root).info["clips"] == {"used": 2, "no face": 0, "broken": 0}


def test_names_with_spaces_and_other_alphabets(tmp_path):
    root = tmp_path / "мои данные"
    add(root, "запись 1/G_NT_5s_g_E_2_1.mp4")
    add(root, "запись 2/G_NT_5s_g_E_2_1.mp4", person=1)
    manifest = prepare(root).manifest
    assert set(manifest["video"]) == {
        "запись 1/G_NT_5s_g_E_2_1.mp4",
        "запись 2/G_NT_5s_g_E_2_1.mp4",
    }
    assert manifest["path"].str.fullmatch(r"[A-Za-z0-9/._-]+").all()
    assert manifest["id"].is_unique and len(manifest) == 4


def test_clip_without_a_face_is_counted_and_left_out(root):
    write_video(root / "Ps_NT_5s_g_E_2_1.mp4", [np.full((96, 96, 3), 127, np.uint8)] * 3, "mpeg4")
    dataset = prepare(root)
    assert dataset.info["clips"] == {"used": 1, "no face": 1, "broken": 0}
    assert dataset.info["faces"]["none"] == 2
    assert set(dataset.manifest["type"]) == {"live"}


def test_release_without_any_face_is_an_error(tmp_path):
    root = tmp_path / "release"
    write_video(root / "G_NT_5s_g_E_2_1.mp4", [np.full((96, 96, 3), 127, np.uint8)] * 3, "mpeg4")
    with pytest.raises(
        DatasetError, match=r"no face was found in any of 1 clips.*--detector yunet"
    ):
        prepare(root)


def test_several_faces_take_the_largest_or_skip(tmp_path):
    root = tmp_path / "release"
    pair = np.concatenate([face(0), face(1)], axis=1)
    write_video(root / "G_NT_5s_g_E_2_1.mp4", [pair] * 3, "mpeg4")
    faces = prepare(root).info["faces"]
    assert faces["several"] == faces["cut"] == 2
    with pytest.raises(DatasetError, match="no face was found"):
        prepare_subset(
            "rose_youtu",
            root,
            tmp_path / "skip",
            replace(WISHES, crop=CropRules(size=48, several="skip")),
            workers=1,
        )


def test_tiny_faces_are_counted(root):
    with pytest.raises(DatasetError, match="--smallest"):
        prepare(root, crop=CropRules(size=48, smallest=90))


def test_phones_held_sideways(root, tmp_path):
    sideways = [np.rot90(frame) for frame in clip_of()]
    write_video(root / "Ps_NT_IP_g_E_2_1.mp4", sideways, "mpeg4")
    tagged = write_video(root / "Ps_NT_HS_g_E_3_1.mp4", sideways, "mpeg4")
    tag_rotation(tagged, 90)
    dataset = prepare(root)
    assert dataset.info["clips"]["used"] == 3
    assert dataset.info["faces"]["turned"] == 2, "the tagged one is upright, the other is turned"
    rules = tmp_path / "rules.yaml"
    rules.write_text("rotation: {IP: 90}\n")
    other = prepare_subset(
        "rose_youtu", root, tmp_path / "ruled", replace(WISHES, rules=rules), workers=1
    )
    assert other.info["faces"]["turned"] == 0 and other.info["clips"]["used"] == 3


def test_unknown_name_is_an_error_or_left_out(root):
    video(root / "holiday.mp4")
    with pytest.raises(DatasetError, match=r"1 clips have names .* 'holiday\.mp4'.*--skip-unknown"):
        prepare(root)
    assert prepare(root, skip_unknown=True).info["clips"]["used"] == 1


def test_empty_release_says_what_was_expected(tmp_path):
    (tmp_path / "release").mkdir()
    with pytest.raises(DatasetError, match="holds no clip of ROSE-Youtu; expected"):
        prepare(tmp_path / "release")


def test_missing_split_list_is_an_error_with_a_way_out(tmp_path):
    root = msu_mfsd(tmp_path / "release")
    (root / "test_sub_list.txt").unlink()
    with pytest.raises(DatasetError, match=r"split list test_sub_list\.txt is missing.*by-subject"):
        prepare(root, "msu_mfsd")
    assert list(prepare(root, "msu_mfsd", by_subject=True).protocols) == ["by_subject"]


def test_subject_in_two_splits_is_an_error(tmp_path):
    root = msu_mfsd(tmp_path / "msu")
    (root / "test_sub_list.txt").write_text("7\n21\n3\n")
    with pytest.raises(DatasetError, match="the subject '3' stands in train and in test"):
        prepare(root, "msu_mfsd")
    root = tmp_path / "siw"
    video(root / "Train/live/003/003-1-1-1-1.mov")
    video(root / "Test/live/003/003-1-1-1-2.mov")
    with pytest.raises(DatasetError, match=r"the subject '3' stands in two splits: .*Test/live"):
        prepare(root, "siw")


def test_subject_in_no_list_and_folder_without_a_split(tmp_path):
    root = faceforensics(tmp_path / "forensics")
    (root / "splits/val.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"the subject '054' of .* is in no list"):
        prepare(root, "faceforensics")
    (root / "splits/val.json").write_text("{")
    with pytest.raises(DatasetError, match=r"val\.json is not readable JSON"):
        prepare(root, "faceforensics")
    video(tmp_path / "siw/003-1-1-1-1.mov")
    with pytest.raises(DatasetError, match="lies in no folder named train or test"):
        prepare(tmp_path / "siw", "siw")


def test_list_of_the_other_polarity_is_an_error_that_names_the_line(tmp_path):
    root = celebdf(tmp_path / "release")
    path = root / "List_of_testing_videos.txt"
    path.write_text(_swapped(path.read_text()))
    with pytest.raises(DatasetError, match=r"videos\.txt:1: '0 YouTube.*real_integer: 0"):
        prepare(root, "celebdf")
    rules = tmp_path / "rules.yaml"
    rules.write_text("real_integer: 0\n")
    assert prepare(root, "celebdf", rules=rules).info["clips"]["used"] == 12


def _swapped(text):
    return "".join(f"{1 - int(line[0])}{line[1:]}\n" for line in text.splitlines())


def test_listed_video_that_is_absent_and_line_that_leads_outside(tmp_path):
    root = celebdf(tmp_path / "release")
    with (root / "List_of_testing_videos.txt").open("a") as lines:
        lines.write("1 Celeb-real/../../secret.mp4\n")
    video(tmp_path / "secret.mp4")
    with pytest.raises(DatasetError, match=r"1 listed videos are absent.*secret\.mp4"):
        prepare(root, "celebdf", allow_missing=False)
    assert not prepare(root, "celebdf").manifest["video"].str.contains("secret").any()


def test_video_without_metadata_and_label_nobody_knows(tmp_path):
    root = dfdc(tmp_path / "release")
    video(root / "dfdc_part_0/stray.mp4")
    with pytest.raises(DatasetError, match=r"the first is 'dfdc_part_0/stray\.mp4'"):
        prepare(root, "dfdc")
    path = root / "dfdc_part_0/metadata.json"
    listed = json.loads(path.read_text())
    path.write_text(json.dumps(listed | {"stray.mp4": {"label": "MAYBE", "split": "train"}}))
    with pytest.raises(DatasetError, match=r"stray\.mp4: labels .*has no entry 'MAYBE'"):
        prepare(root, "dfdc")


def test_links_out_of_the_release_are_errors_and_loops_are_not_followed(root):
    (root / "loop").symlink_to(root, target_is_directory=True)
    assert prepare(root).info["clips"]["used"] == 1
    video(root.parent / "outside.mp4")
    (root / "G_NT_IP_g_E_3_1.mp4").symlink_to(root.parent / "outside.mp4")
    with pytest.raises(DatasetError, match="points outside"):
        prepare(root)


def test_a_folder_in_the_release_is_refused(root):
    with pytest.raises(DatasetError, match=r"is inside .*, a folder to be read"):
        prepare_subset("rose_youtu", root, root / "out", WISHES, workers=1)


def test_another_release_or_recipe_does_not_mix(root, monkeypatch):
    prepare(root)
    with pytest.raises(DatasetError, match=r"another recipe \(different: frames\).*--overwrite"):
        prepare(root, frames=1)
    with pytest.raises(DatasetError, match=r"another recipe \(different: detector\)"):
        prepare(root, detector=EmbeddedDetector(smallest=0.2))
    with monkeypatch.context() as patch:
        patch.setattr(faces, "_cascade_sha256", lambda: "another file")
        with pytest.raises(DatasetError, match=r"another recipe \(different: detector\)"):
            prepare(root)
    add(root)
    with pytest.raises(DatasetError, match=r"another recipe \(different: clips\)"):
        prepare(root)


def test_a_picture_that_is_a_link_out_of_the_release_is_an_error(tmp_path):
    pictures(tmp_path / "release/Real/0928_018/16")
    Image.fromarray(face()).save(tmp_path / "outside.png")
    (tmp_path / "release/Real/0928_018/16/3.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DatasetError, match="points outside"):
        prepare(tmp_path / "release", "threedmask")


def test_frames_are_known_by_their_contents(tmp_path):
    folder = tmp_path / "release/Real/0928_018/16"
    pictures(folder)
    first, second, *_ = sorted(folder.iterdir())
    Image.open(second).save(second.with_suffix(".webp"), lossless=True)
    second.unlink()
    first.rename(first.with_suffix(""))
    dataset = prepare(tmp_path / "release", "threedmask", frames=len(list(folder.iterdir())))
    assert len(dataset.manifest) == len(list(folder.iterdir()))


def test_hidden_files_are_no_frames(tmp_path):
    pictures(tmp_path / "release/Real/0928_018/16")
    (tmp_path / "release/Real/0928_018/16/._1.png").write_bytes(b"left by a system")
    assert prepare(tmp_path / "release", "threedmask").info["clips"]["used"] == 1


def test_a_list_that_is_a_link_out_of_the_release_is_an_error(tmp_path):
    root = msu_mfsd(tmp_path / "release")
    (root / "test_sub_list.txt").rename(tmp_path / "outside.txt")
    (root / "test_sub_list.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(DatasetError, match="points outside"):
        prepare(root, "msu_mfsd")


@pytest.mark.parametrize("kind", ["link", "raw", "virtual"])
def test_a_recording_that_refers_to_another_file_is_broken(kind, tmp_path):
    root = threedmad(tmp_path / "release")
    path, outside = root / "01_01_01.hdf5", tmp_path / "outside.hdf5"
    path.rename(outside)
    with h5py.File(outside) as other, h5py.File(path, "w") as recording:
        frames = other["Color_Data"]
        if kind == "link":
            recording["Color_Data"] = h5py.ExternalLink(outside, "Color_Data")
        elif kind == "raw":
            where = [(str(outside), 0, frames.size)]
            recording.create_dataset("Color_Data", frames.shape, np.uint8, external=where)
        else:
            layout = h5py.VirtualLayout(frames.shape, np.uint8)
            layout[:] = h5py.VirtualSource(frames)
            recording.create_virtual_dataset("Color_Data", layout)
    with pytest.raises(DatasetError, match="nothing is read from other files"):
        prepare(root, "threedmad", frames=1)


def test_another_order_of_axes_is_another_recipe(tmp_path):
    root = threedmad(tmp_path / "release")
    prepare(root, "threedmad", frames=1)
    (tmp_path / "rules.yaml").write_text("axes: ncwh\n")
    with pytest.raises(DatasetError, match=r"another recipe \(different: axes\)"):
        prepare(root, "threedmad", frames=1, rules=tmp_path / "rules.yaml")


def test_celebdf_list_counts_from_its_own_folder(tmp_path):
    celebdf(tmp_path / "release/Celeb-DF-v2")
    (protocol,) = prepare(tmp_path / "release", "celebdf", frames=1).protocols.values()
    assert (protocol["split"] == "test").sum() == 3


def test_a_good_clip_that_was_replaced_is_noticed(root, read):
    path = add(root)
    prepare(root)
    video(path, 1)
    del read[:]
    with pytest.raises(DatasetError, match=r"1 of 2 were replaced since.*G_NT_5s_g_E_2_1"):
        prepare(root)
    prepare(root, overwrite=True)
    assert read == [path.name]
    prepare_subset("rose_youtu", root, root.parent / "anew", WISHES, workers=1)
    assert contents(root.parent / "out") == contents(root.parent / "anew")


def test_everything_that_is_not_used_is_listed(root, monkeypatch):
    add(root).write_bytes(b"")
    (root / "README.txt").write_text("x")
    (root / "photo.heic").touch()
    (root / "cover.webp").touch()
    (root / ".hidden").mkdir()
    (root / "empty").mkdir()
    (root / "closed").mkdir()
    (root / "loop").symlink_to(root)
    video(root / "holiday.mp4")
    write_video(root / "Ps_NT_5s_g_E_2_1.mp4", [np.full((96, 96, 3), 127, np.uint8)] * 3, "mpeg4")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    dataset = prepare(root, skip_broken=True, skip_unknown=True)
    found = pd.read_csv(dataset.folder / "skipped.csv").set_index("file")["reason"].to_dict()
    assert "the file is empty" in found.pop("G_NT_5s_g_E_2_1.mp4")
    heic = next(reason for endings, reason in MUST_CONVERT.items() if ".heic" in endings)
    assert found == {
        "README.txt": "neither an image nor a video",
        "photo.heic": f"must be converted: {heic}",
        "cover.webp": "an image in no folder of frames",
        ".hidden": "hidden",
        "empty": "an empty folder",
        "closed": "a folder that cannot be opened (Permission denied)",
        "loop": "a link to a folder (folders are not followed twice)",
        "holiday.mp4": "a name that no pattern knows",
        "Ps_NT_5s_g_E_2_1.mp4": "no face found",
    }


def test_a_release_in_the_folder_to_write_is_refused_and_a_users_file_stays(root):
    with pytest.raises(DatasetError, match="which is to be read, is inside"):
        prepare_subset("rose_youtu", root, root.parent, WISHES, workers=1, overwrite=True)
    assert (root / "G_NT_5s_g_E_9_9.mp4").is_file()
    (dataset,) = {prepare(root).folder}
    crops = next((dataset / "images").iterdir())
    (crops / "mine.png").write_bytes(b"mine")
    prepare(root, overwrite=True, frames=3)
    assert (crops / "mine.png").read_bytes() == b"mine"


def test_damaged_crops_are_made_again(root):
    before = contents(prepare(root).folder)
    crops = sorted((root.parent / "out/images").rglob("*.png"))
    crops[0].unlink()
    crops[1].write_bytes(b"damaged")
    assert contents(prepare(root).folder) == before


RULES = {
    "dev_share: many": "rule dev_share: expected a number, found 'many'",
    "by_subject: {dev: 0.2}": "rule by_subject lacks test",
    "by_subject: none of it": "rule by_subject",
    "rotation: {phone: 45}": "rule rotation, 'phone': expected one of 0, 90, 180, 270, found 45",
    "rotation: [90]": "rule rotation: expected",
    "types: [live]": "rule types: expected a table of keys and values",
    "patterns: 3": "rule patterns: expected a list, found 3",
    "patterns: ['(']": "the pattern '\\(' is wrong",
    "- a": "expected `rule: value` lines",
    "1: 2": "has no rule '1'",
}


@pytest.mark.parametrize("text", RULES)
def test_rules_of_a_wrong_type_name_the_file_and_the_rule(text, tmp_path):
    from data_prep.releases.jfsfdb.table import SUBSETS

    (tmp_path / "rules.yaml").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match=rf"rules\.yaml.*{RULES[text]}"):
        SUBSETS["siw"].with_rules(tmp_path / "rules.yaml")


def test_recordings_that_fill_the_memory_or_are_empty_are_told(tmp_path):
    import h5py

    from data_prep.media.video import VideoError
    from data_prep.releases.jfsfdb.clips import read_hdf5

    shapes = {
        (4, 60_000, 60_000, 3): (1, 1000, 1000, 3),
        (4, 3, 0, 5): None,
        (400, 480, 640, 3): (400, 480, 640, 3),
    }
    for number, (shape, chunks) in enumerate(shapes.items()):
        path = tmp_path / f"{number}.hdf5"
        with h5py.File(path, "w") as recording:
            recording.create_dataset("Color_Data", shape, "u1", chunks=chunks)
        with pytest.raises(VideoError, match=r"holds no pixel|limit frame_pixels is 40,000,000"):
            list(read_hdf5(path, 2))


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    import os

    from data_prep.releases.jfsfdb.find import find_clips
    from data_prep.releases.jfsfdb.table import SUBSETS

    folder = os.fsencode(tmp_path) + b"/Train/\xff"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for name in (b"/001-1-1-1-1.mov", b"/../002-1-1-1-1.mov"):
        with open(folder + name, "wb") as file:  # noqa: PTH123 (a name of bytes)
            file.write(b"x")
    subset = SUBSETS["siw"]
    rules = subset.with_rules(None)
    with pytest.raises(DatasetError, match=r"1 clips have names .*\\udcff"):
        find_clips(subset, tmp_path, rules)
    clips, skipped = find_clips(subset, tmp_path, rules, skip_unknown=True)
    assert len(clips) == 1 and skipped[-1][0].endswith("001-1-1-1-1.mov")
