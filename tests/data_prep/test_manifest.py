import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.contract.checks import check_manifest, check_protocol
from data_prep.manifest import (
    DatasetError,
    read_dataset,
    read_image,
    relative_root,
    validate,
    write_dataset,
)
from tests.data_prep.small import INFO, manifest, protocol, write_images, write_small

HERE = Path("manifest.parquet")


def changed(row: int, **values) -> pd.DataFrame:
    table = manifest().astype(object)
    for column, value in values.items():
        table.loc[row, column] = value
    return table.astype({"frame": int})


def test_reads_back_what_was_written(tmp_path):
    written = write_small(tmp_path)
    read = validate(tmp_path)
    pd.testing.assert_frame_equal(read.manifest, written.manifest, check_dtype=False)
    pd.testing.assert_frame_equal(read.protocols["p1"], protocol(), check_dtype=False)
    assert read.info["counts"]["protocols"]["p1"]["train"] == {"live": 1, "print": 1}
    assert read.info["counts"]["subjects"] == 2


def test_missing_folder_names_it_and_the_remedy(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset folder at .*nowhere.*data_prep synthetic"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["manifest.parquet", "dataset.json"])
def test_missing_file_is_an_unfinished_dataset(tmp_path, name):
    write_small(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DatasetError, match=f"has no {name}.*interrupted"):
        read_dataset(tmp_path)


def test_unreadable_files_are_named(tmp_path):
    write_small(tmp_path)
    (tmp_path / "dataset.json").write_text("{", "utf-8")
    with pytest.raises(DatasetError, match=r"dataset.json is not readable JSON"):
        read_dataset(tmp_path)
    write_small(tmp_path)
    (tmp_path / "manifest.parquet").write_bytes(b"not a table")
    with pytest.raises(DatasetError, match=r"manifest.parquet is not a readable parquet"):
        read_dataset(tmp_path)


def test_incomplete_information_is_an_error(tmp_path):
    write_images(tmp_path)
    info = {key: value for key, value in INFO.items() if key != "license"}
    with pytest.raises(DatasetError, match="lacks license"):
        write_dataset(tmp_path, manifest(), {}, info)


def test_wrong_label_names_row_value_and_allowed_words():
    with pytest.raises(
        DatasetError, match=r"row 'ben-live', label is 'real'; expected one of: live, fake"
    ):
        check_manifest(changed(2, label="real"), HERE)


def test_unknown_attack_type_names_row_and_known_types():
    with pytest.raises(DatasetError, match=r"row 'anna-print', type is 'wig'.*print, replay"):
        check_manifest(changed(1, type="wig"), HERE)


def test_family_has_to_fit_the_type():
    with pytest.raises(DatasetError, match=r"'anna-print' has family 'editing'.*'physical'"):
        check_manifest(changed(1, family="editing"), HERE)


def test_label_has_to_fit_the_type():
    with pytest.raises(DatasetError, match=r"'anna-print' is labeled 'live'.*type 'print'"):
        check_manifest(changed(1, label="live"), HERE)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.png", "images/../../x.png", "images\\x.png", "C:/x.png"]
)
def test_path_leaving_the_folder_is_an_error(path):
    with pytest.raises(DatasetError, match=r"row 'anna-live', path is .*relative"):
        check_manifest(changed(0, path=path), HERE)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(["a", "b.png", "..", "", "."]), min_size=1, max_size=5))
def test_accepted_paths_stay_inside_the_folder(parts):
    path = "/".join(parts)
    try:
        check_manifest(changed(0, path=path), HERE)
    except DatasetError:
        return
    assert (Path("/data/set") / path).resolve().is_relative_to("/data/set")


def test_double_id_missing_column_and_missing_value_are_errors():
    with pytest.raises(DatasetError, match="expected no id twice"):
        check_manifest(changed(1, id="anna-live"), HERE)
    with pytest.raises(DatasetError, match="column 'subject' is missing"):
        check_manifest(manifest().drop(columns="subject"), HERE)
    with pytest.raises(DatasetError, match="row 'ben-live', subject is None; expected a value"):
        check_manifest(changed(2, subject=None), HERE)
    with pytest.raises(DatasetError, match="frame is -1"):
        check_manifest(changed(2, frame=-1), HERE)


def test_id_in_two_splits_is_an_error():
    table = pd.concat([protocol(), pd.DataFrame({"id": ["anna-live"], "split": ["dev"]})])
    with pytest.raises(DatasetError, match=r"'anna-live' is listed twice \(splits: train, dev\)"):
        check_protocol(table.reset_index(drop=True), manifest(), HERE)


def test_subject_in_two_splits_is_an_error_unless_the_dataset_says_so():
    table = protocol().assign(split=["train", "test", "dev", "dev"])
    with pytest.raises(DatasetError, match=r"subject 'anna' stands in two splits \(test, train\)"):
        check_protocol(table, manifest(), HERE)
    check_protocol(table, manifest(), HERE, subjects_may_cross=True)


def test_unknown_split_and_unknown_id_are_errors():
    with pytest.raises(DatasetError, match=r"split is 'valid'; expected one of: train, dev, test"):
        check_protocol(protocol(anna="valid"), manifest(), HERE)
    with pytest.raises(DatasetError, match=r"'carl-live' is not in manifest"):
        check_protocol(pd.DataFrame({"id": ["carl-live"], "split": ["dev"]}), manifest(), HERE)


def test_missing_image_is_found_when_writing_and_when_checking(tmp_path):
    write_small(tmp_path)
    (tmp_path / "images/ben-live.png").unlink()
    with pytest.raises(DatasetError, match=r"image 'ben-live': the file .*ben-live.png is missing"):
        validate(tmp_path)
    with pytest.raises(DatasetError, match=r"image 'ben-live': the file .*ben-live.png is missing"):
        write_dataset(tmp_path, manifest(), {}, INFO)


@pytest.mark.parametrize("keep", [0, 40], ids=["empty", "cut off"])
def test_image_that_does_not_decode_is_named(tmp_path, keep):
    write_small(tmp_path)
    path = tmp_path / "images/ben-print.png"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=r"image 'ben-print': .*ben-print.png does not decode"):
        validate(tmp_path)


def test_changed_image_is_found_by_its_checksum(tmp_path):
    write_small(tmp_path)
    good = tmp_path / "images/ben-live.png"
    good.write_bytes((tmp_path / "images/anna-live.png").read_bytes())
    with pytest.raises(DatasetError, match=r"checksum of .* a file changed"):
        validate(tmp_path)


def test_a_table_changed_by_hand_is_refused_when_read(tmp_path):
    write_small(tmp_path)
    path = tmp_path / "protocols/p1.parquet"
    table = pd.read_parquet(path)
    table.iloc[1:].to_parquet(path)
    with pytest.raises(DatasetError, match=r"checksum of 'protocols/p1' .* a file changed"):
        read_dataset(tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"protocols/p1\.parquet is missing"):
        read_dataset(tmp_path)


def test_checksum_depends_on_contents_only(tmp_path):
    first = write_small(tmp_path / "one").info["checksums"]
    write_images(tmp_path / "two")
    shuffled = manifest().sample(frac=1, random_state=1)
    second = write_dataset(tmp_path / "two", shuffled, {"p1": protocol()}, INFO).info["checksums"]
    assert first == second
    relabeled = protocol(anna="dev")
    third = write_dataset(tmp_path / "two", manifest(), {"p1": relabeled}, INFO)
    assert third.info["checksums"]["dataset"] != first["dataset"]


def test_further_tables_are_read_and_covered_by_the_checksum(tmp_path):
    write_images(tmp_path)
    words = pd.DataFrame({"id": manifest()["id"], "medium": "photo"})
    write_dataset(tmp_path, manifest(), {}, INFO, {"captions": words})
    assert validate(tmp_path).tables["captions"]["medium"].tolist() == ["photo"] * 4
    words.assign(medium="print").to_parquet(tmp_path / "captions.parquet")
    with pytest.raises(DatasetError, match="checksum"):
        validate(tmp_path)


def test_information_is_written_last_and_nothing_else_is_left(tmp_path):
    write_small(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"images", "protocols", "manifest.parquet", "dataset.json"}
    assert json.loads((tmp_path / "dataset.json").read_text("utf-8"))["name"] == "small"


def in_place(tmp_path, **info):
    """The four images lie in a release; a dataset beside it refers to them."""
    release, folder = tmp_path / "release", tmp_path / "deep" / "prepared"
    write_images(release)
    root = relative_root(release, folder)
    table = manifest().assign(path=lambda rows: f"{root}/" + rows["path"])
    return folder, table, {**INFO, "root": root, **info}


def test_images_are_used_where_they_lie(tmp_path):
    folder, table, info = in_place(tmp_path)
    write_dataset(folder, table, {"p1": protocol()}, info)
    dataset = validate(folder)
    assert dataset.info["root"] == "../../release"
    assert {path.name for path in folder.iterdir()} == {
        "protocols",
        "manifest.parquet",
        "dataset.json",
    }
    path = dataset.locate(dataset.manifest["path"].iloc[1])
    assert read_image(path, "x").mean() == 40


def test_the_checksum_does_not_depend_on_where_the_root_lies(tmp_path):
    folder, table, info = in_place(tmp_path)
    first = write_dataset(folder, table, {}, info).info["checksums"]
    near = tmp_path / "near"
    root = relative_root(tmp_path / "release", near)
    moved = table.assign(path=table["path"].str.replace(info["root"], root, regex=False))
    assert moved["path"].iloc[0] != table["path"].iloc[0]
    assert write_dataset(near, moved, {}, {**info, "root": root}).info["checksums"] == first


@pytest.mark.parametrize(
    "path", ["../../release/../secret.png", "../../other/x.png", "../../release2/x.png", "/x.png"]
)
def test_only_the_declared_root_may_be_reached(tmp_path, path):
    folder, table, info = in_place(tmp_path)
    table.loc[0, "path"] = path
    with pytest.raises(DatasetError, match=r"row 'anna-live', path is .*'../../release'"):
        write_dataset(folder, table, {}, info)
    assert not folder.exists()


def test_a_link_that_leads_out_is_refused_wherever_it_is_followed(tmp_path):
    folder, table, info = in_place(tmp_path)
    write_dataset(folder, table, {}, info)
    secret = tmp_path / "secret.png"
    image = tmp_path / "release/images/anna-live.png"
    image.rename(secret)
    image.symlink_to(secret)
    with pytest.raises(DatasetError, match=r"anna-live.png points outside .*secret.png"):
        read_dataset(folder).locate(table["path"].iloc[0])
    with pytest.raises(DatasetError, match="points outside"):
        validate(folder)
    with pytest.raises(DatasetError, match="points outside"):
        write_dataset(folder, table, {}, info)


def test_a_directory_that_links_out_and_a_loop_are_refused(tmp_path):
    folder, table, info = in_place(tmp_path)
    dataset = write_dataset(folder, table, {}, info)
    (tmp_path / "outside").mkdir()
    (tmp_path / "release/more").symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetError, match="points outside"):
        dataset.locate("../../release/more/x.png")
    (tmp_path / "release/round").symlink_to(tmp_path / "release/round")
    with pytest.raises(DatasetError, match="cannot be followed"):
        dataset.locate("../../release/round/x.png")


def test_a_link_that_stays_inside_is_fine(tmp_path):
    folder, table, info = in_place(tmp_path)
    (tmp_path / "release/again").symlink_to(tmp_path / "release/images")
    table["path"] = table["path"].str.replace("images", "again")
    write_dataset(folder, table, {}, info)
    assert len(validate(folder).manifest) == 4


def test_a_root_that_went_away_is_told(tmp_path):
    folder, table, info = in_place(tmp_path)
    write_dataset(folder, table, {}, info)
    (tmp_path / "release").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"'../../release' .* not there: put the release back"):
        validate(folder)


@pytest.mark.parametrize("root", ["/data", "", 3])
def test_the_root_is_a_relative_path(tmp_path, root):
    folder, table, info = in_place(tmp_path)
    with pytest.raises(
        DatasetError, match=r"expected the release's folder, relative|root: expected text or null"
    ):
        write_dataset(folder, table, {}, {**info, "root": root})


def test_a_dataset_may_declare_attack_types(tmp_path):
    folder, table, info = in_place(tmp_path)
    table.loc[1, "type"] = "screen-rs"
    screen = {"screen-rs": {"family": "physical", "description": "a replay", "source": "a page"}}
    write_dataset(folder, table, {}, {**info, "attack_types": screen})
    assert read_dataset(folder).info["counts"]["type"]["screen-rs"] == 1
    screen["screen-rs"]["family"] = "editing"
    with pytest.raises(DatasetError, match=r"family 'physical' .* belongs to 'editing'"):
        write_dataset(folder, table, {}, {**info, "attack_types": screen})


@pytest.mark.parametrize(("name", "family"), [("print", "editing"), ("live", "physical")])
def test_a_declared_type_does_not_redefine_a_known_one(tmp_path, name, family):
    folder, table, info = in_place(tmp_path, attack_types={name: {"family": family}})
    with pytest.raises(DatasetError, match="choose another name"):
        write_dataset(folder, table, {}, info)


def test_a_declared_type_has_a_known_family(tmp_path):
    folder, table, info = in_place(tmp_path, attack_types={"wig": {"family": "hair"}})
    with pytest.raises(DatasetError, match=r"'wig' has the family 'hair'; expected one of"):
        write_dataset(folder, table, {}, info)


def test_sizes_may_stand_for_contents(tmp_path):
    folder, table, info = in_place(tmp_path, images_checked_by="size")
    write_dataset(folder, table, {}, info)
    image = tmp_path / "release/images/anna-live.png"
    image.write_bytes((tmp_path / "release/images/ben-live.png").read_bytes() + b" ")
    with pytest.raises(DatasetError, match="a file changed"):
        validate(folder)


def test_known_digests_are_not_computed_again(tmp_path):
    folder, table, info = in_place(tmp_path)
    plain = write_dataset(folder, table, {}, info).info["checksums"]
    known = {path: hashlib.sha256((folder / path).read_bytes()).digest() for path in table["path"]}
    for path in table["path"]:
        (folder / path).write_bytes(b"")
    again = write_dataset(folder, table, {}, info, digests=known)
    assert again.info["checksums"] == plain


def spoiled(folder: Path, **changes) -> None:
    """Write a dataset, then change keys of its dataset.json by hand."""
    write_small(folder)
    info = json.loads((folder / "dataset.json").read_text("utf-8"))
    (folder / "dataset.json").write_text(json.dumps(info | changes), "utf-8")


WRONG = {
    "image_size": ("abc", 97.5, 0, -1, 10**9, True, float("nan")),
    "name": (3, None, ["a"]),
    "seed": ("0", 1.5),
    "counts": ([], {}, {"images": "4"}),
    "checksums": ([], {}, {"dataset": "../../x", "images": "0" * 64}),
    "root": (3, ["/"], "a\0b"),
    "attack_types": ([], {"wig": 3}, {"wig": {"family": ["physical"]}}),
    "subjects_cross_splits": ("yes", 1),
    "images_checked_by": ("luck", None),
    "shards": (3, None),
    "recipe": ([], "x"),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG.items() for value in values]
)
def test_wrong_types_name_the_file_and_the_key(key, value, tmp_path):
    spoiled(tmp_path, **{key: value})
    with pytest.raises(DatasetError, match=r"dataset\.json") as failed:
        read_dataset(tmp_path)
    assert len(str(failed.value)) < 500


@pytest.mark.parametrize("value", [[], "text", 3, None])
def test_a_file_that_is_no_table_of_keys_is_told(value, tmp_path):
    write_small(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(value), "utf-8")
    with pytest.raises(DatasetError, match=r"dataset\.json: expected a table of keys"):
        read_dataset(tmp_path)


def test_check_holds_images_against_the_declared_size(tmp_path):
    spoiled(tmp_path, image_size=97)
    with pytest.raises(DatasetError, match=r"'anna-live': .* is 8 x 8 pixels, .* says 97 x 97"):
        validate(tmp_path)


def test_a_manifest_with_an_index_of_words_names_the_row():
    table = changed(2, label="real").set_index(pd.Index(list("wxyz")))
    with pytest.raises(DatasetError, match=r"row 'ben-live', label is 'real'"):
        check_manifest(table, HERE)
    with pytest.raises(DatasetError, match=r"row 'anna-live', path is 'a\\x00b'; expected a path"):
        check_manifest(changed(0, path="a\0b"), HERE)
    with pytest.raises(DatasetError, match="a column holds lists or tables"):
        check_manifest(changed(0, id=["a"]), HERE)
    twice = pd.concat([manifest(), manifest()[["label"]]], axis=1)
    with pytest.raises(DatasetError, match="two columns are named 'label'"):
        check_manifest(twice, HERE)


def test_a_further_table_without_ids_is_told(tmp_path):
    write_small(tmp_path)
    pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "captions.parquet")
    info = json.loads((tmp_path / "dataset.json").read_text("utf-8"))
    info["checksums"]["captions"] = "0" * 64
    (tmp_path / "dataset.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(DatasetError, match=r"captions\.parquet: column 'id' is missing"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["mine.parquet", "protocols/mine.parquet"])
def test_parquet_files_of_the_user_are_left_alone(name, tmp_path):
    write_small(tmp_path)
    (tmp_path / name).write_bytes(b"a table of somebody")
    dataset = validate(tmp_path)
    assert set(dataset.protocols) == {"p1"} and not dataset.tables


@pytest.mark.parametrize("name", ["dataset.json", "manifest.parquet", "protocols/p1.parquet"])
def test_a_table_that_is_a_link_to_elsewhere_is_refused(name, tmp_path):
    write_small(tmp_path / "set")
    (tmp_path / "set" / name).rename(tmp_path / "moved")
    (tmp_path / "set" / name).symlink_to(tmp_path / "moved")
    with pytest.raises(DatasetError, match="points outside"):
        read_dataset(tmp_path / "set")


def test_the_whole_file_system_is_no_root(tmp_path):
    """The writer of dataset.json chooses the root; it must not open every file."""
    (tmp_path / "out").symlink_to("/")
    for root in ("/".join([".."] * 20), "out"):
        spoiled(tmp_path, root=root)
        with pytest.raises(DatasetError, match=r"root .* is the whole file system"):
            validate(tmp_path)
