import json

import pytest
import torch

from data_prep.studies.second_recognizer import WEIGHTS as SECOND_WEIGHTS
from data_prep.studies.second_recognizer import SecondRecognizer, load_second_recognizer
from data_prep.studies.transfer import NOISE, dodging, measure_transfer, verification
from data_prep.synthetic.attacks.adversarial import ADVERSARIAL
from data_prep.taxonomy import ATTACK_TYPES
from lasoftmoe.records.recorded import read_recorded


def unit(*angles):
    """Embeddings on a circle, from angles in degrees."""
    radians = torch.tensor(angles).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_only_accepted_people_can_be_dodged():
    """Of three people the third was never accepted; the attack moves one of the others away."""
    clean = unit(0.0, 10.0, 90.0, 100.0, 200.0, 300.0)
    attacked = unit(70.0, 80.0, 90.0, 100.0, 0.0, 0.0)
    effect = dodging(clean, attacked, captures=2, threshold=0.5)
    assert effect["accepted"] == 4
    # 70 against 10 degrees is a cosine of 0.5: still accepted. 80 against 0 is not.
    assert effect["success"] == 0.25
    assert effect["cosine_before"] > effect["cosine_after"]


def test_a_picture_is_compared_with_another_capture_not_with_itself():
    clean = unit(0.0, 90.0)
    assert dodging(clean, clean, captures=2, threshold=0.5)["accepted"] == 0


def test_verification_of_a_perfect_and_of_a_blind_recognizer():
    person = torch.tensor([0, 0, 1, 1])
    assert verification(unit(0.0, 5.0, 90.0, 95.0), person)["auc"] == 1
    assert verification(unit(0.0, 90.0, 0.0, 90.0), person)["auc"] < 0.5


def test_second_recognizer_is_small_and_maps_to_the_sphere():
    assert SECOND_WEIGHTS.stat().st_size < 1_000_000
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    embeddings = load_second_recognizer()(images)
    assert embeddings.shape == (2, SecondRecognizer().dim)
    assert embeddings.norm(dim=1) == pytest.approx(torch.ones(2), abs=1e-5)
    card = json.loads(SECOND_WEIGHTS.with_suffix(".json").read_text("utf-8"))
    assert "--network second" in card["command"]
    assert card["training"]["seed"] != 0, "the surrogate's people"
    assert card["verification"]["auc"] > 0.9


def test_missing_weights_tell_how_to_train_them(tmp_path):
    with pytest.raises(ValueError, match=r"no weights of the second .* --network second"):
        load_second_recognizer(tmp_path / "none.safetensors")


def test_every_attack_is_shown_to_both_networks():
    result = measure_transfer("test", people=3, captures=2)
    assert len(result.attacks) == 2 * (1 + len(ADVERSARIAL))
    assert result.attacks["success"].fillna(0).between(0, 1).all()
    text = result.to_text()
    assert all(name in text for name in (NOISE, *ADVERSARIAL, "surrogate", "second"))
    assert text == measure_transfer("test", people=3, captures=2).to_text()


def test_nobody_or_one_picture_each_is_refused():
    with pytest.raises(ValueError, match="1 people with 4 captures; expected 2 or more of each"):
        measure_transfer("test", people=1)


def test_recorded_attacks_hit_the_surrogate_harder_than_noise():
    record = read_recorded("attacks_transfer").facts
    success = {(row["attack"], row["network"]): row["success"] for row in record["attacks"]}
    assert {network for _, network in success} == {"surrogate", "second"}
    for name in ADVERSARIAL:
        assert success[name, "surrogate"] > success[NOISE, "surrogate"]
        assert success[name, "surrogate"] > success[name, "second"]
    for row in record["attacks"]:
        shipped = ATTACK_TYPES["fgsm" if row["attack"] == NOISE else row["attack"]].strength
        assert row["strength"] == shipped, "recorded at a strength that is no longer shipped"
