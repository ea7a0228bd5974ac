"""Both distributions of UniAttackData, in miniature and with lists of full length."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cli import main
from data_prep.manifest import DatasetError, validate
from data_prep.releases.uniattackdata import Options, import_uniattackdata
from data_prep.releases.uniattackdata.attack_types import ATTACK_TYPES
from data_prep.releases.uniattackdata.counts import PUBLISHED
from data_prep.releases.uniattackdata.layouts import PROTOCOLS, find_layout
from data_prep.releases.uniattackdata.listed import read_labeled
from data_prep.releases.uniattackdata.names import parse_name
from data_prep.taxonomy import ATTACK_TYPES as TAXONOMY
from lasoftmoe.data import open_dataset
from tests.data_prep.releases.uniattackdata import (
    build_challenge,
    build_official,
    published_lines,
    write_lists,
)

MINIATURE = Options(skip_counts=True)
PEOPLE = {0, 700, 1000}


@pytest.fixture()
def published_miniature(monkeypatch):
    """As if the published table were that of the miniature."""
    lines = published_lines("p1", PEOPLE.__contains__)
    families = ("live", "physical", "adversarial", "editing")
    table = {
        split: {name: [i for _, i in rows].count(n) for n, name in enumerate(families)}
        for split, rows in lines.items()
    }
    monkeypatch.setitem(PUBLISHED, "p1", table)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return build_official(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def prepared(release):
    return import_uniattackdata(release, "p1", release / "prepared", MINIATURE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lists_of_full_length_have_the_published_counts(protocol, tmp_path):
    lines = published_lines(protocol)
    write_lists(tmp_path, protocol, lines)
    table, report = read_labeled(find_layout(tmp_path, protocol), protocol, Options())
    assert report["lines"] == {split: len(listed) for split, listed in lines.items()}
    if protocol not in PUBLISHED:
        assert report["counts"].startswith("not compared")
        return
    assert sum(report["lines"].values()) == 35_906
    assert report["counts"] == "equal to the published table"
    found = Counter(zip(table["split"], table["family"], strict=True))
    repeated = report["repeated_lines"]["number"]
    found["test", "editing"] += repeated
    assert repeated == (7 if protocol == "p1" else 0)
    published = {
        (split, family): number
        for split, numbers in PUBLISHED[protocol].items()
        for family, number in numbers.items()
        if number
    }
    assert +found == Counter(published)


def test_protocol_1_tests_on_nine_attacks_that_training_does_not_show(tmp_path):
    """In lists written by the rule that was seen in the released ones."""
    write_lists(tmp_path, "p1", published_lines("p1", PEOPLE.__contains__))
    table, _ = read_labeled(find_layout(tmp_path, "p1"), "p1", MINIATURE)
    attacks = table[table["family"] != "live"].groupby("split")["type"].agg(set)
    assert (len(attacks["train"]), len(attacks["test"])) == (3, 9)
    assert not attacks["train"] & attacks["test"]


def test_the_published_table_adds_up():
    totals = {name: sum(sum(row.values()) for row in t.values()) for name, t in PUBLISHED.items()}
    assert totals == {"p1": 35_906, "p2.1": 35_906, "p2.2": 35_906}
    assert sum(PUBLISHED["p1"]["train"].values()) == 8_400
    assert sum(PUBLISHED["p2.2"]["test"].values()) == 26_006


def test_the_page_of_the_book_has_the_published_table():
    page = (Path(__file__).parents[3] / "book/datasets.md").read_text("utf-8")
    for protocol, splits in PUBLISHED.items():
        for split, numbers in splits.items():
            row = [f"P{protocol[1:]} {split}", *numbers.values(), sum(numbers.values())]
            assert "| " + " | ".join(map(str, row)) + " |" in page


@pytest.mark.parametrize("command", ["uniattackdata", "folder"])
def test_the_commands_explain_themselves(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 20


def test_one_line_too_few_is_told_and_a_partial_copy(tmp_path, published_miniature):
    lines = published_lines("p1", PEOPLE.__contains__)
    del lines["dev"][0]
    write_lists(tmp_path, "p1", lines)
    layout, told = find_layout(tmp_path, "p1"), "dev, live: 4 lines, published 5"
    with pytest.raises(DatasetError, match=rf"published table:\n  {told}\n.*--allow-missing"):
        read_labeled(layout, "p1", Options())
    _, report = read_labeled(layout, "p1", Options(allow_missing=True))
    assert report["count_differences"] == [told]


def test_one_line_too_many_is_no_partial_copy(tmp_path, published_miniature):
    lines = published_lines("p1", PEOPLE.__contains__)
    lines["test"].append(("UniAttackData/Data/spoof/x/EA-999/screen-rs/color/1.jpg", 1))
    write_lists(tmp_path, "p1", lines)
    layout = find_layout(tmp_path, "p1")
    with pytest.raises(DatasetError, match="test, physical: 4 lines, published 3"):
        read_labeled(layout, "p1", Options(allow_missing=True))
    assert len(read_labeled(layout, "p1", Options(skip_counts=True))[0]) == 61


def test_a_miniature_is_prepared_with_everything_its_names_say(release, prepared):
    dataset = validate(release / "prepared")
    assert not any(path.suffix == ".jpg" for path in (release / "prepared").rglob("*"))
    assert dataset.info["root"] == ".."
    rows = dataset.manifest.set_index("id")
    swap = rows.loc["simswap/africa/AF-000-To-CA-010/14.jpg"]
    expected = {
        "path": "../UniAttackData/Data/simswap/africa/AF-000-To-CA-010/14.jpg",
        "label": "fake",
        "family": "editing",
        "type": "simswap",
        "subject": "AF-000",
        "target": "CA-010",
        "region": "africa",
        "video": "simswap/africa/AF-000-To-CA-010",
        "frame": 14,
        "height": 48,
    }
    assert {name: swap[name] for name in expected} == expected
    assert Counter(rows["family"]) == {"live": 15, "physical": 9, "adversarial": 18, "editing": 18}
    assert dataset.info["counts"]["protocols"]["p1"]["train"] == {
        "DaGAN": 3,
        "cloth-indoor": 3,
        "ila_da": 3,
        "live": 5,
    }


def test_the_training_code_reads_it(release, prepared):
    splits = open_dataset(release / "prepared", "p1", image_size=24)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 14,
        "dev": 14,
        "test": 32,
    }
    item = splits["test"][0]
    assert item["image"].shape == (3, 24, 24)
    with pytest.raises(DatasetError, match="image_size"):
        open_dataset(release / "prepared", "p1")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_read(protocol, tmp_path):
    build_official(tmp_path, protocol, (0, 700, 1000))
    dataset = import_uniattackdata(tmp_path, protocol, tmp_path / "out", MINIATURE)
    assert list(dataset.protocols) == [protocol]
    binary = "1 = fake" in dataset.info["report"]["convention"]
    assert binary == protocol.startswith("p1.")


def test_the_release_folder_itself_may_be_named(release, prepared, tmp_path):
    inner = import_uniattackdata(release / "UniAttackData", "p1", tmp_path / "out", MINIATURE)
    assert inner.info["root"].endswith("/UniAttackData")
    assert inner.manifest["id"].tolist() == prepared.manifest["id"].tolist()
    assert validate(tmp_path / "out").locate(inner.manifest["path"].iloc[0]).is_file()


def test_every_type_has_a_family_and_a_description():
    assert len(ATTACK_TYPES) == 15
    assert all(facts["description"] and facts["source"] for facts in ATTACK_TYPES.values())
    for name in set(ATTACK_TYPES) & set(TAXONOMY):
        assert ATTACK_TYPES[name]["family"] == TAXONOMY[name].family


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "UniAttackData/Data/live/east-asia/EA-321/real.rssdk/color/0070.jpg",
            ("live", "live", "EA-321", "", "east-asia", 70),
        ),
        (
            "UniAttackData/Data/spoof/central-asia/CA-011/cloth-outdoor/color/0005.jpg",
            ("physical", "cloth-outdoor", "CA-011", "", "central-asia", 5),
        ),
        (
            "UniAttackData/Data/simswap/east-asia/EA-131-To-CA-021/14.jpg",
            ("editing", "simswap", "EA-131", "CA-021", "east-asia", 14),
        ),
        (
            "UniAttackData/Data/OneShotTH/east-asia/EA-139-To-ref2/face.jpg",
            ("editing", "OneShotTH", "EA-139", "ref2", "east-asia", 0),
        ),
        (
            "Data/DaGAN/africa_faces/AF-002/clip_7.png",
            ("editing", "DaGAN", "AF-002", "", "africa", 7),
        ),
        (
            "Data/adv-attacks/advdrop/advdrop_east-asia-112x112/EA-321/0081.jpg",
            ("adversarial", "advdrop", "EA-321", "", "east-asia", 81),
        ),
    ],
)
def test_names_documented_by_the_release(path, expected):
    name = parse_name(path)
    found = (name.family, name.type, name.subject, name.target, name.region, name.frame)
    assert found == expected
    assert path.rpartition("/")[0].endswith(name.video)


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), min_size=1))
def test_any_other_name_is_refused_in_words(parts):
    try:
        name = parse_name("/".join(["Data", *parts]))
    except ValueError as error:
        assert str(error)
    else:
        assert name.type == "live" or name.type in ATTACK_TYPES


def test_both_phases_of_the_challenge_become_one_dataset(tmp_path):
    build_challenge(tmp_path)
    dataset = import_uniattackdata(tmp_path, "p1", tmp_path / "out", MINIATURE)
    assert dataset.info["counts"]["protocols"]["p1"] == {
        "train": {"live": 5, "unknown": 9},
        "dev": {"live": 5, "unknown": 9},
        "test": {},
    }
    assert "0 = live, 1 = fake (assumed)" in dataset.info["report"]["convention"]
    assert len(dataset.tables["unlabeled"]) == 32
    assert dataset.locate(dataset.tables["unlabeled"]["path"].iloc[0]).is_file()
    assert dataset.manifest["path"].str.startswith("../phase1/p1/").all()


def test_the_challenge_can_be_tested_on_a_share_of_dev(tmp_path):
    build_challenge(tmp_path)
    halves = Options(skip_counts=True, test_from_dev=0.5)
    dataset = import_uniattackdata(tmp_path, "p1", tmp_path / "out", halves)
    table = dataset.protocols["p1"].merge(dataset.manifest, on="id")
    found = Counter(zip(table["split"], table["label"], strict=True))
    assert found["train", "live"] == 5
    assert found["dev", "live"] + found["test", "live"] == 5
    assert found["test", "fake"] in (4, 5)
    assert "flatters" in dataset.info["report"]["test_from_dev"]
    assert set(open_dataset(tmp_path / "out", "p1", image_size=8)) == {"train", "dev", "test"}


def test_test_labels_of_the_challenge_are_used_where_they_are_given(tmp_path):
    build_challenge(tmp_path, test_labels=True)
    dataset = import_uniattackdata(tmp_path, "p1", tmp_path / "out", MINIATURE)
    assert dataset.info["counts"]["protocols"]["p1"]["test"] == {"live": 5, "unknown": 27}
    assert dataset.tables == {}
    with pytest.raises(DatasetError, match="for releases without test labels"):
        halves = Options(skip_counts=True, test_from_dev=0.5)
        import_uniattackdata(tmp_path, "p1", tmp_path / "other", halves)


def test_one_phase_may_be_given_by_itself(tmp_path):
    build_challenge(tmp_path)
    dataset = import_uniattackdata(
        tmp_path / "phase1", "p1", tmp_path / "out", Options(skip_counts=True, allow_missing=True)
    )
    assert set(dataset.protocols["p1"]["split"]) == {"train"}
    assert set(dataset.tables["unlabeled"]["split"]) == {"dev"}


def test_the_challenge_has_no_further_protocols(tmp_path):
    build_challenge(tmp_path)
    with pytest.raises(DatasetError, match=r"challenge has no protocol 'p1.2'; it has p1, p2.1"):
        import_uniattackdata(tmp_path, "p1.2", tmp_path / "out", MINIATURE)


def test_the_published_counts_refute_a_swapped_challenge_list(tmp_path):
    folder = tmp_path / "phase1/p1"
    folder.mkdir(parents=True)
    text = "".join(f"p1/train/{n}.jpg {int(n < 3000)}\n" for n in range(8400))
    (folder / "train_label.txt").write_text(text, "utf-8")
    layout, partial = find_layout(tmp_path, "p1"), {"allow_missing": True}
    with pytest.raises(DatasetError, match=r"train_label.txt: 5400 lines say 0 .* --live-is 1"):
        read_labeled(layout, "p1", Options(**partial))
    table, report = read_labeled(layout, "p1", Options(live_is=1, **partial))
    assert Counter(table["label"]) == {"live": 3000, "fake": 5400}
    assert report["convention"] == "1 = live, 0 = fake (as --live-is says)"


def test_quick_reads_no_image(release, tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.media.images.inspect_image", lambda path: pytest.fail("read"))
    quick = Options(skip_counts=True, quick=True)
    dataset = import_uniattackdata(release, "p1", tmp_path / "out", quick)
    assert dataset.info["images_checked_by"] == "size"
    assert len(validate(tmp_path / "out").manifest) == 60


def test_the_same_release_elsewhere_has_the_same_checksum(prepared, tmp_path):
    again = build_official(tmp_path / "copy")
    for person in (again / "UniAttackData").rglob("*.jpg"):
        inside = person.relative_to(again)
        person.write_bytes((prepared.folder.parent / inside).read_bytes())
    dataset = import_uniattackdata(again, "p1", tmp_path / "far" / "out", MINIATURE)
    assert dataset.info["root"] == "../../copy"
    assert dataset.info["checksums"] == prepared.info["checksums"]


def test_equal_contents_are_reported(tmp_path):
    build_official(tmp_path)
    images = sorted((tmp_path / "UniAttackData/Data/live").rglob("*.jpg"))
    images[-1].write_bytes(images[0].read_bytes())
    images[1].write_bytes(images[0].read_bytes())
    equal = import_uniattackdata(tmp_path, "p1", tmp_path / "out", MINIATURE).info["report"]
    assert equal["equal_contents"]["images"] == 2
    assert equal["equal_contents"]["across_splits"] == 1
    assert equal["equal_contents"]["with_two_labels"] == 0
