import pandas as pd
import pytest

from data_prep.contract.checks import DatasetError
from data_prep.contract.leave_out import leave_one_type_out
from data_prep.taxonomy import family_of
from tests.data_prep.small import manifest as small_manifest
from tests.data_prep.small import protocol as small_protocol

SPLIT = {"a": "train", "b": "dev", "c": "test"}


def dataset():
    """Three subjects, one a split, each live and under three attacks; masks are in no split."""
    rows = [
        {"id": f"{subject}-{kind}", "subject": subject, "type": kind, "family": family_of(kind)}
        for subject in SPLIT
        for kind in ("live", "print", "cw", "mask")
    ]
    manifest = pd.DataFrame(rows)
    ordinary = manifest[manifest["type"] != "mask"]
    return manifest, pd.DataFrame({"id": ordinary["id"], "split": ordinary["subject"].map(SPLIT)})


@pytest.mark.parametrize("held_out", ["print", "cw", "mask"])
def test_held_out_type_is_tested_only(held_out):
    manifest, base = dataset()
    table = leave_one_type_out(manifest, base, held_out)
    others = {"live", "print", "cw"} - {held_out}
    expected = {f"{subject}-{kind}": SPLIT[subject] for subject in "ab" for kind in others}
    expected |= {"c-live": "test", f"c-{held_out}": "test"}
    assert dict(zip(table["id"], table["split"], strict=True)) == expected


def test_subjects_that_the_base_leaves_out_stay_out():
    manifest, base = dataset()
    table = leave_one_type_out(manifest, base[base["split"] != "dev"], "mask")
    assert not table["id"].str.startswith("b").any()


def test_a_type_nobody_can_be_tested_on_is_an_error():
    with pytest.raises(DatasetError, match="no image of type 'cw' belongs to a test subject"):
        leave_one_type_out(small_manifest(), small_protocol(), "cw")


def test_crossing_subjects_and_unknown_types_are_errors():
    manifest, base = dataset()
    with pytest.raises(ValueError, match="unknown attack type 'doll'"):
        leave_one_type_out(manifest, base, "doll")
    base.loc[base["id"] == "a-cw", "split"] = "test"
    with pytest.raises(DatasetError, match="subject 'a' is in two splits"):
        leave_one_type_out(manifest, base, "print")
