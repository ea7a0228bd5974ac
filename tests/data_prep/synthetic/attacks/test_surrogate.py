import json

import pytest
import torch
from safetensors.torch import save_file

from data_prep.seeds import derive_seed
from data_prep.synthetic.attacks.surrogate import WEIGHTS, Surrogate, load_surrogate
from data_prep.synthetic.attacks.surrogate_training import (
    SurrogateTraining,
    measure_verification,
    train_surrogate,
)
from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.scene.renderer import render


def test_embeddings_have_length_one(faces):
    embeddings = load_surrogate()(faces.captures)
    assert embeddings.shape == (4, 64)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(4), atol=1e-5)


def test_a_picture_does_not_depend_on_its_neighbors(faces):
    surrogate = load_surrogate()
    alone = torch.cat([surrogate(image) for image in faces.captures.split(1)])
    assert torch.allclose(surrogate(faces.captures), alone, atol=1e-5)


def test_shipped_weights_are_small_and_have_a_card():
    assert WEIGHTS.stat().st_size < 1_000_000
    card = json.loads(WEIGHTS.with_suffix(".json").read_text("utf-8"))
    assert card["parameters"] == sum(p.numel() for p in Surrogate().parameters())
    assert card["verification"]["auc"] > 0.95
    assert {"command", "date", "wall_seconds", "training"} <= set(card)


def test_the_surrogate_recognizes_people_whom_it_has_not_seen():
    """Measured anew: fewer people than on the card, of another seed."""
    people = []
    for number in range(12):
        identity = sample_identities(1, derive_seed("unseen"), number).repeat(3)
        sessions = sample_sessions(3, derive_seed("unseen", number))
        people.append(to_bytes(capture(render(identity, sessions).radiance, sessions)))
    assert measure_verification(load_surrogate(), torch.stack(people))["auc"] > 0.97


def test_missing_weights_tell_how_to_train_them(tmp_path):
    with pytest.raises(ValueError, match=r"no surrogate weights at .*data_prep surrogate --out"):
        load_surrogate(tmp_path / "none.safetensors")


def test_weights_of_another_shape_are_an_error(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(Surrogate(dim=32).state_dict(), path)
    with pytest.raises(ValueError, match=r"other.safetensors does not hold the surrogate's"):
        load_surrogate(path)


def test_measure_sees_a_perfect_recognizer():
    """Pictures of one color a person, and a network that reads the color: AUC 1."""
    colors = torch.tensor([[250, 5, 5], [5, 250, 5], [5, 5, 250]], dtype=torch.uint8)
    people = colors[:, None, :, None, None].expand(3, 2, 3, 96, 96).contiguous()

    def read_color(images):
        return torch.nn.functional.normalize(images.mean((2, 3)), dim=1)

    figures = measure_verification(read_color, people)
    assert figures["auc"] == 1
    assert figures["eer"] == 0
    assert figures["pairs"] == 15


@pytest.mark.slow
def test_training_writes_weights_that_load_and_the_same_again(tmp_path):
    training = SurrogateTraining(
        identities=6,
        captures=3,
        unseen_identities=3,
        unseen_captures=2,
        epochs=2,
        batch_size=6,
    )
    cards = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.safetensors"
        cards.append(train_surrogate(out, training, seed=3, workers=1))
        assert not load_surrogate(out).training
        assert json.loads(out.with_suffix(".json").read_text("utf-8")) == cards[-1]
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert cards[0]["verification"] == cards[1]["verification"]
