import random

import pytest

from data_prep.manifest import validate
from data_prep.synthetic.caption_dataset import write_caption_dataset
from data_prep.synthetic.captions import caption


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_caption_dataset(tmp_path_factory.mktemp("captions"), subjects=3, workers=1)


def test_every_person_has_two_photos_a_print_and_a_screen(written):
    dataset = validate(written.folder)
    captions = dataset.tables["captions"]
    assert set(captions["id"]) == set(dataset.manifest["id"])
    merged = captions.merge(dataset.manifest, on="id")
    assert (
        merged.groupby("subject")["medium"].apply(sorted).tolist()
        == [["photo", "photo", "print", "screen"]] * 3
    )
    kinds = dict(zip(merged["medium"], merged["type"], strict=True))
    assert kinds == {"photo": "live", "print": "print", "screen": "replay"}


def test_captions_can_be_worded_from_the_table(written):
    for row in written.tables["captions"].to_dict("records"):
        sentence = caption(row, row["medium"], random.Random(0))
        assert "man" in sentence or "person" in sentence or "face" in sentence


def test_words_follow_the_session_of_the_picture(written):
    """A print shows the session of photo 0, a screen that of photo 1."""
    table = written.tables["captions"].set_index("id")
    words = table.drop(columns="medium")
    for subject in written.manifest["subject"].unique():
        assert (words.loc[f"{subject}-photo-0"] == words.loc[f"{subject}-print-0"]).all()
        assert (words.loc[f"{subject}-photo-1"] == words.loc[f"{subject}-screen-1"]).all()


def test_number_of_subjects_has_to_be_positive(tmp_path):
    with pytest.raises(ValueError, match="subjects is 0; expected 1 or more"):
        write_caption_dataset(tmp_path / "none", subjects=0)
