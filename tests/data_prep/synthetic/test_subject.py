import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.seeds import derive_seed
from data_prep.synthetic import subject as module
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.plan import AttackPlan, SubjectPlan
from data_prep.synthetic.subject import SubjectWork, make_subject


def make(folder, attacks, live=4, seed=0, nuisance="none"):
    planned = tuple(
        AttackPlan(name, nuisance, "indoor" if name == "print" else "none") for name in attacks
    )
    plan = SubjectPlan(0, "train", (nuisance,) * live, planned, donor=1)
    return make_subject(SubjectWork(plan, seed, folder, with_maps=False))


def test_live_and_fake_are_saved_again_alike(tmp_path, monkeypatch):
    """A JPEG of the last step that only one label met would give the label away."""
    monkeypatch.setattr(module, "jpeg", lambda image, quality: torch.ones_like(image))
    rows = make(tmp_path, ["inpainting", "reenactment", "print", "fgsm"] * 8, live=16)
    share = {}
    for label in ("live", "fake"):
        paths = [tmp_path / row["path"] for row in rows if row["label"] == label]
        share[label] = np.mean([np.asarray(Image.open(path)).min() == 255 for path in paths])
    assert 0.2 < share["live"] < 0.8
    assert 0.2 < share["fake"] < 0.8


def test_live_and_fake_are_reprocessed_alike(tmp_path, monkeypatch):
    """The nuisance of the plan is what happens, whatever the picture is, and is written down."""
    black = torch.zeros(1, 3, 96, 96)
    monkeypatch.setattr(module, "reprocess", lambda image, name, generator: black)
    rows = make(tmp_path, ["print", "fgsm", "mask"], live=2, nuisance="blur")
    assert [np.asarray(Image.open(tmp_path / row["path"])).max() for row in rows] == [0] * 5
    assert {row["nuisance"] for row in rows} == {"blur"}
    assert [row["setting"] for row in rows] == ["none", "none", "indoor", "none", "none"]


def test_a_mask_shows_the_subject_on_another_head(tmp_path, monkeypatch):
    """The face that is copied is the subject's; the head behind it is the donor's."""
    seen = []
    original = module.render

    def spy(identities, sessions, *rest, worn=None):
        if worn is not None:
            seen.append((identities, worn[0]))
        return original(identities, sessions, *rest, worn=worn)

    monkeypatch.setattr(module, "render", spy)
    make(tmp_path, ["mask"], live=1)
    ((wearer, face),) = seen
    people = sample_identities(2, derive_seed("dataset", 0))
    assert torch.equal(face.skin, people.skin[:1])
    assert torch.equal(wearer.skin, people.skin[1:])


def test_an_attack_does_not_depend_on_those_before_it(tmp_path):
    make(tmp_path / "one", ["reenactment", "inpainting"])
    make(tmp_path / "two", ["semantic", "inpainting"])
    one, two = (tmp_path / name / "images/s0000/inpainting-1.png" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_another_seed_is_another_person(tmp_path):
    paths = [make(tmp_path / str(seed), [], live=1, seed=seed)[0]["path"] for seed in (0, 1)]
    one, two = ((tmp_path / str(seed) / paths[seed]).read_bytes() for seed in (0, 1))
    assert one != two


@pytest.mark.parametrize("seed", [0, 1])
def test_nobody_is_in_the_dataset_the_captions_and_the_surrogate_at_once(seed):
    people = [
        sample_identities(3, derive_seed(purpose, seed)).skin.flatten()
        for purpose in ("dataset", "captions", "surrogate")
    ]
    assert len({tuple(values.tolist()) for values in people}) == 3
