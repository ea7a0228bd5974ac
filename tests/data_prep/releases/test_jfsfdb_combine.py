"""The benchmark's protocols over prepared subsets."""

import shutil

import pytest

from data_prep.cli import main
from data_prep.contract import inside
from data_prep.contract.checks import DatasetError
from data_prep.manifest import validate
from data_prep.media.faces import CropRules
from data_prep.releases.jfsfdb.combine import combine
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset
from tests.data_prep.releases import jfsfdb as releases

WISHES = Wishes(frames=1, crop=CropRules(size=48), allow_missing=True)
SPOOFING = {"siw", "threedmad", "hkbu_marsv2"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for name, build in releases.BUILDERS.items():
        prepare_subset(name, build(folder / "releases" / name), folder / name, WISHES, workers=1)
    return {name: folder / name for name in releases.BUILDERS}


def sets(dataset, protocol, *splits):
    rows = dataset.protocols[protocol].merge(dataset.manifest, on="id")
    return set(rows[rows["split"].isin(splits)]["subset"])


def test_all_nine_give_all_six_protocols(parts, tmp_path):
    dataset = validate(combine(list(parts.values()), tmp_path / "out").folder)
    assert set(dataset.protocols) == {
        f"{name}_{test}"
        for name in ("separate_pad", "separate_dad", "joint")
        for test in ("intra", "cross")
    }
    for test in ("intra", "cross"):
        assert sets(dataset, f"separate_pad_{test}", "train", "dev") == SPOOFING
        assert sets(dataset, f"separate_dad_{test}", "train", "dev") == {"faceforensics"}
        assert sets(dataset, f"joint_{test}", "train", "dev") == SPOOFING | {"faceforensics"}
    assert sets(dataset, "separate_pad_intra", "test") == SPOOFING
    assert sets(dataset, "joint_intra", "test") == SPOOFING | {"faceforensics"}
    cross = {"msu_mfsd", "threedmask", "rose_youtu"}
    assert sets(dataset, "separate_pad_cross", "test") == cross
    assert sets(dataset, "separate_dad_cross", "test") == {"dfdc", "celebdf"}
    assert sets(dataset, "joint_cross", "test") == cross | {"dfdc", "celebdf"}
    assert not list((tmp_path / "out").rglob("*.png")), "images are used where they lie"
    assert dataset.info["absent"] == {}
    assert len(dataset.manifest) == dataset.manifest["id"].nunique()


def test_people_of_two_sets_with_the_same_number_are_two_people(parts, tmp_path):
    dataset = combine([parts["siw"], parts["threedmad"]], tmp_path / "out", allow_missing=True)
    subjects = dataset.manifest.groupby("subset")["subject"].unique()
    assert not set(subjects["siw"]) & set(subjects["threedmad"])


def test_missing_sets_are_an_error_or_said(parts, tmp_path):
    folders = [parts["siw"], parts["msu_mfsd"]]
    with pytest.raises(DatasetError, match="no protocol can be made from msu_mfsd, siw alone"):
        combine(folders, tmp_path / "out")
    with pytest.raises(DatasetError, match="separate_pad_intra also needs threedmad, hkbu_marsv2"):
        combine(folders, tmp_path / "out", ["separate_pad"])
    dataset = combine(folders, tmp_path / "out", ["separate_pad"], allow_missing=True)
    assert set(dataset.protocols) == {"separate_pad_intra", "separate_pad_cross"}
    assert dataset.info["absent"]["separate_pad_cross"] == [
        *("threedmad", "hkbu_marsv2", "threedmask", "rose_youtu")
    ]


def test_what_cannot_be_combined(parts, tmp_path):
    with pytest.raises(ValueError, match="unknown protocol 'all'"):
        combine([parts["siw"]], tmp_path / "out", ["all"])
    shutil.copytree(parts["siw"], tmp_path / "again")
    with pytest.raises(DatasetError, match="are both siw; give one"):
        combine([parts["siw"], tmp_path / "again"], tmp_path / "out")
    release = releases.threedmad(tmp_path / "release")
    for crop, told in (
        (CropRules(size=32), "size 48.*32"),
        (CropRules(size=48, margin=0.9), "margin"),
    ):
        wishes = Wishes(frames=1, crop=crop, allow_missing=True)
        prepare_subset("threedmad", release, tmp_path / told[:4], wishes, workers=1)
        with pytest.raises(DatasetError, match=f"siw was cut with {told}"):
            combine([parts["siw"], tmp_path / told[:4]], tmp_path / "out")
    combine([parts["siw"]], tmp_path / "out", allow_missing=True)
    with pytest.raises(DatasetError, match="is not a prepared subset"):
        combine([tmp_path / "out"], tmp_path / "other")


def test_sets_on_two_disks_are_refused_before_anything_is_written(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(inside.os.path, "commonpath", lambda _: "/")
    with pytest.raises(DatasetError, match=r"no folder in common.*move the prepared sets below"):
        combine([parts["siw"], parts["threedmad"]], tmp_path / "out", allow_missing=True)
    assert not (tmp_path / "out").exists()


def test_the_root_is_no_wider_than_it_has_to_be(parts, tmp_path):
    alone = combine([parts["siw"]], tmp_path / "alone", allow_missing=True)
    assert (tmp_path / "alone" / alone.info["root"]).resolve() == parts["siw"].resolve()
    assert not alone.manifest["path"].str.contains("/./", regex=False).any()
    both = combine([parts["siw"], parts["threedmad"]], tmp_path / "both", allow_missing=True)
    assert (tmp_path / "both" / both.info["root"]).resolve() == parts["siw"].resolve().parent
    validate(alone.folder)
    validate(both.folder)


def test_command_line(parts, tmp_path, capsys):
    folders = [str(parts[name]) for name in ("faceforensics", "dfdc", "celebdf")]
    assert main(["jfsfdb", "combine", *folders, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "separate_dad_intra: " in told and "separate_dad_cross: " in told
    assert "joint" not in told and "without" not in told
