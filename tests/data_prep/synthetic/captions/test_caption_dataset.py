import random

import pytest

from data_prep.manifest import validate
from data_prep.seeds import derive_seed
from data_prep.synthetic.captions.caption_dataset import _draw_dev, write_caption_dataset
from data_prep.synthetic.captions.captions import caption
from data_prep.synthetic.people.identity import sample_identities


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


def test_dev_is_a_twentieth_of_the_people_drawn_by_the_seed():
    people = [f"c{number:05d}" for number in range(200)]
    dev = _draw_dev(people, seed=0)
    assert len(dev) == 10 and dev < set(people)
    assert dev == _draw_dev(people, seed=0) != _draw_dev(people, seed=1)


def test_dev_and_train_wear_glasses_equally_often():
    """The sequence that gives out glasses is regular: every 20th person may have none."""
    seed = derive_seed("captions", 0)
    people = {f"c{number:05d}": number for number in range(4000)}
    dev = [people[name] for name in _draw_dev(list(people), seed=0)]
    glasses = sample_identities(4000, seed).glasses
    assert glasses[dev].mean() == pytest.approx(float(glasses.mean()), abs=0.08)


def test_number_of_subjects_has_to_be_positive(tmp_path):
    with pytest.raises(ValueError, match="subjects is 0; expected 1 or more"):
        write_caption_dataset(tmp_path / "none", subjects=0)
