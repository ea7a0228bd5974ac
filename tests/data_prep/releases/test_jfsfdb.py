"""Each of the nine sets, from a miniature release to a prepared dataset."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from data_prep.cli import main
from data_prep.manifest import read_image, validate
from data_prep.media.faces import CropRules
from data_prep.media.video import VideoError
from data_prep.releases.jfsfdb.clips import Clip, read_hdf5
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset
from data_prep.releases.jfsfdb.split import split_by_subject
from data_prep.releases.jfsfdb.table import SUBSETS
from data_prep.releases.jfsfdb.types import REAL_TYPES, family
from data_prep.taxonomy import ATTACK_TYPES, FAMILIES
from tests.data_prep.releases import jfsfdb as releases

WISHES = Wishes(frames=2, crop=CropRules(size=48), allow_missing=True)

# Clips by type, and people by split, of each miniature.
EXPECTED = {
    "siw": ({"live": 5, "print": 5, "replay": 5}, (2, 1, 2)),
    "threedmad": ({"live": 10, "mask_resin": 5}, (3, 1, 1)),
    "hkbu_marsv2": ({"live": 10, "mask_3d": 10}, (3, 1, 1)),
    "msu_mfsd": ({"live": 8, "print": 4, "replay": 8}, (1, 1, 2)),
    "threedmask": ({"live": 2, "mask_3d": 2}, (0, 0, 2)),
    "rose_youtu": ({"live": 1, "paper_mask_cropped": 1, "print": 4, "replay": 4}, (0, 0, 5)),
    "faceforensics": (
        {"live": 6, "deepfakes": 6, "face2face": 6, "neuraltextures": 6},
        (2, 2, 2),
    ),
    "dfdc": ({"live": 4, "dfdc_swap": 4}, (1, 1, 2)),
    "celebdf": ({"live": 9, "celebdf_swap": 3}, None),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Miniature and prepared dataset by name, each made once."""
    folder, made = tmp_path_factory.mktemp("jfsfdb"), {}

    def make(name):
        if name not in made:
            root = releases.BUILDERS[name](folder / name)
            made[name] = prepare_subset(name, root, folder / f"out-{name}", WISHES, workers=1)
        return made[name]

    return make


@pytest.mark.parametrize("name", EXPECTED)
def test_miniature_becomes_a_dataset_with_the_counts_it_was_built_with(prepared, name):
    dataset = prepared(name)
    types, people = EXPECTED[name]
    clips = dataset.tables["clips"]
    assert clips["type"].value_counts().to_dict() == types
    assert (clips["status"] == "used").all()
    manifest = dataset.manifest
    assert manifest["type"].value_counts().to_dict() == {kind: 2 * n for kind, n in types.items()}
    assert (manifest["subset"] == name).all()
    assert manifest["video"].isin(clips["video"]).all()
    if people:
        split = dataset.protocols[next(iter(dataset.protocols))].merge(manifest, on="id")
        found = split.groupby("split")["subject"].nunique()
        assert tuple(int(found.get(part, 0)) for part in ("train", "dev", "test")) == people
    crop = read_image(dataset.folder / manifest["path"][0], manifest["id"][0])
    assert crop.shape == (48, 48, 3)


def test_a_prepared_dataset_passes_every_check(prepared):
    validate(prepared("siw").folder)


def test_official_lists_decide_the_split(prepared):
    msu = prepared("msu_mfsd").tables["clips"].set_index("subject")["split"]
    assert {msu[f"msu_mfsd-{number}"].iloc[0] for number in (2, 3)} == {"train", "dev"}
    assert set(msu["msu_mfsd-7"]) | set(msu["msu_mfsd-21"]) == {"test"}
    forensics = prepared("faceforensics").tables["clips"].set_index("video")["split"]
    manipulated = "manipulated_sequences/Face2Face/c23/videos"
    assert forensics[f"{manipulated}/000_003.mp4"] == forensics[f"{manipulated}/003_000.mp4"]
    assert forensics[f"{manipulated}/054_071.mp4"] == "dev"
    celeb = prepared("celebdf").tables["clips"].set_index("video")["split"]
    assert (celeb == "test").sum() == 3 and celeb["Celeb-synthesis/id0_id1_0000.mp4"] == "test"


def test_attacks_name_the_recording_that_was_attacked(prepared):
    manifest = prepared("faceforensics").manifest
    swapped = manifest[manifest["type"] == "deepfakes"].iloc[0]
    assert swapped["source"] == f"original_sequences/youtube/{swapped['subject'][-3:]}"
    manifest = prepared("dfdc").manifest
    assert set(manifest[manifest["label"] == "fake"]["source"]) == {
        f"real{part}{person}" for part in range(2) for person in range(2)
    }


def test_only_one_compression_of_faceforensics_is_taken(prepared):
    videos = prepared("faceforensics").tables["clips"]["video"]
    assert videos.str.contains("/c23/").all() and not videos.str.contains("masks").any()


def test_preview_of_dfdc(tmp_path):
    root = releases.dfdc_preview(tmp_path / "preview")
    dataset = prepare_subset("dfdc", root, tmp_path / "out", WISHES, workers=1)
    clips = dataset.tables["clips"].set_index("video")
    assert clips.loc["method_A/0/fake.mp4", ["type", "subject", "split"]].tolist() == [
        "dfdc_swap",
        "dfdc-actor0",
        "train",
    ]


@pytest.mark.parametrize("axes", ["nchw", "nhwc", "ncwh"])
def test_axes_of_3dmad_are_told_from_their_lengths(tmp_path, axes):
    frames = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3)).astype(np.uint8)
    path = tmp_path / "01_01_01.hdf5"
    with h5py.File(path, "w") as recording:
        recording["Color_Data"] = frames.transpose(
            [{"n": 0, "h": 1, "w": 2, "c": 3}[a] for a in axes]
        )
    read = read_hdf5(path, 2)
    assert [index for index, _ in read] == [1, 3]
    for index, frame in read:
        np.testing.assert_array_equal(frame, frames[index])
    ((_, turned),) = read_hdf5(path, 1, rotation=90)
    np.testing.assert_array_equal(turned, np.rot90(frames[2], -1))


def test_recordings_of_another_kind_are_errors(tmp_path):
    path = tmp_path / "a.hdf5"
    path.touch()
    with pytest.raises(VideoError, match=r"a\.hdf5: the file is empty"):
        list(read_hdf5(path, 1))
    path.write_bytes(b"something else")
    with pytest.raises(VideoError, match=r"a\.hdf5: not an HDF5 file"):
        list(read_hdf5(path, 1))
    with h5py.File(path, "w") as recording:
        recording["Depth_Data"] = np.zeros(3)
    with pytest.raises(VideoError, match=r"has no Color_Data \(it has: Depth_Data\)"):
        list(read_hdf5(path, 1))
    with h5py.File(path, "w") as recording:
        recording["Color_Data"] = np.zeros((4, 5, 6, 7), np.uint8)
    with pytest.raises(VideoError, match="has shape"):
        list(read_hdf5(path, 1))
    with h5py.File(path, "w") as recording:
        recording["Color_Data"] = np.zeros((1, 5, 6, 3), np.uint8)
    with pytest.raises(VideoError, match=r"1 frame\(s\), expected 2"):
        list(read_hdf5(path, 1))


def test_drawn_splits_depend_on_the_people_only():
    clips = [Clip(f"{subject}/{n}", "live", str(subject)) for subject in range(10) for n in "ab"]
    rules = {"by_subject": {"dev": 0.2, "test": 0.3}}
    placed = {clip.video: clip.split for clip in split_by_subject("x", clips, rules)}
    again = {clip.video: clip.split for clip in split_by_subject("x", clips[::-1], rules)}
    assert placed == again
    count = {split: list(placed.values()).count(split) for split in ("train", "dev", "test")}
    assert count == {"train": 10, "dev": 4, "test": 6}


def test_every_type_has_a_family_and_no_name_of_the_taxonomy():
    assert not set(REAL_TYPES) & set(ATTACK_TYPES)
    assert {row.family for row in REAL_TYPES.values()} <= set(FAMILIES)
    assert family("live") == "live" and family("print") == "physical"
    with pytest.raises(ValueError, match="unknown attack type 'hologram'"):
        family("hologram")


def test_rules_known_from_memory_are_marked_and_can_be_replaced(tmp_path):
    for subset in SUBSETS.values():
        assert set(subset.unverified) <= set(subset.rules)
    file = tmp_path / "rules.yaml"
    file.write_text("types: {1: live, 2: replay, 3: print}\nrotation: {2: 90}\n")
    siw = SUBSETS["siw"]
    clip = siw.describe("003-2-2-1-1.mov", siw.with_rules(file))
    assert clip.type == "replay" and clip.rotation == 90
    assert siw.describe("003-1-2-1-1.mov", siw.with_rules(None)).type == "print"
    file.write_text("sorts: {}\n")
    with pytest.raises(ValueError, match=r"rules\.yaml: siw has no rule 'sorts'; it has: .*types"):
        siw.with_rules(file)
    file.write_text("patterns: ['(']\n")
    with pytest.raises(ValueError, match=r"the pattern '\(' is wrong"):
        siw.with_rules(file)
    file.write_text("- 1\n")
    with pytest.raises(ValueError, match="expected `rule: value` lines"):
        siw.with_rules(file)


def test_command_line(tmp_path, capsys):
    root = releases.threedmask(tmp_path / "release")
    command = ["jfsfdb", "threedmask", "--root", str(root), "--out", str(tmp_path / "out")]
    options = ["--frames", "1", "--size", "32", "--workers", "1"]
    assert main([*command, *options]) == 2
    told = capsys.readouterr().err
    assert "2 clips of live, published are 288" in told and "--allow-missing" in told
    assert not (tmp_path / "out").exists()
    assert main([*command, *options, "--allow-missing"]) == 0
    told = capsys.readouterr().out
    assert "4 images (2 fake, 2 live)" in told
    assert "clips: 4 used, 0 no face, 0 broken" in told
    assert "faces: 4 of 4 frames gave a face" in told
    assert "known from memory only, check against your copy: patterns" in told
    assert main([*command, *options, "--detector", "yunet"]) == 2
    assert "--detector yunet needs --weights FILE" in capsys.readouterr().err
    assert main([*command, "--weights", "x.onnx"]) == 2
    assert main(["jfsfdb", "threedmask", "--root", "none", "--out", "x"]) == 2
    assert "no folder at none" in capsys.readouterr().err


def test_fetching_the_weights_says_what_and_from_where(tmp_path, capsys, monkeypatch):
    fetched = []
    monkeypatch.setattr("data_prep.media.yunet.fetch", lambda *arguments: fetched.append(arguments))
    assert main(["fetch-yunet", "--out", str(tmp_path / "yunet.onnx")]) == 0
    told = capsys.readouterr().out
    ((path, url, checksum),) = fetched
    assert path == tmp_path / "yunet.onnx" and url in told and checksum in told


def test_backend_is_handed_on(tmp_path, monkeypatch):
    from data_prep.building import resume

    seen = {}

    def run_units(function, units, workers, description, **where):
        seen.update(where)
        return [function(unit) for unit in units]

    monkeypatch.setattr(resume, "run_units", run_units)
    root = releases.threedmask(tmp_path / "release")
    prepare_subset("threedmask", root, tmp_path / "a", WISHES, 1, backend="dask")
    assert seen == {"backend": "dask"}


def test_unknown_subset_and_detector_by_name(tmp_path):
    with pytest.raises(ValueError, match="unknown subset 'casia'; known subsets: siw"):
        prepare_subset("casia", tmp_path, tmp_path / "out")
    assert replace(WISHES, frames=3).detector.name == "embedded"
