import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.synthetic.attacks.adversarial import (
    ADVERSARIAL,
    _from_blocks,
    _to_blocks,
    adversarial_attack,
)
from data_prep.synthetic.attacks.draw import draw_strength
from data_prep.synthetic.attacks.surrogate import Surrogate, load_surrogate
from data_prep.taxonomy import LOWEST_SHARE, attack_type


@pytest.fixture(scope="module")
def surrogate():
    return load_surrogate()


def attack(name, faces, surrogate, strength=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return adversarial_attack(name, faces.captures, surrogate, generator, strength)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_pictures_stay_pictures(name, faces, surrogate):
    attacked = attack(name, faces, surrogate)
    assert attacked.shape == faces.captures.shape
    assert not attacked.requires_grad
    assert attacked.isfinite().all()
    assert attacked.min() >= 0 and attacked.max() <= 1
    # Once a whole type came out black, and only a look at the pictures told.
    assert (attacked.mean((1, 2, 3)) - faces.captures.mean((1, 2, 3))).abs().max() < 0.05
    assert torch.equal(attacked, attack(name, faces, surrogate)), "same seed, other picture"


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mifgsm"])
@pytest.mark.parametrize("strength", [1.0, 8.0])
def test_sign_attacks_stay_within_epsilon(name, strength, faces, surrogate):
    change = attack(name, faces, surrogate, strength) - faces.captures
    assert change.abs().max() <= strength / 255 + 1e-6
    assert change.abs().max() > LOWEST_SHARE * strength / 255 / 2


def test_cw_stays_within_its_root_mean_square(faces, surrogate):
    change = attack("cw", faces, surrogate, 2.0) - faces.captures
    size = change.square().mean((1, 2, 3)).sqrt()
    assert size.max() <= 2 / 255 + 1e-6
    assert size.min() > 0.2 / 255


def test_semantic_changes_each_value_by_a_share_only(faces, surrogate):
    attacked = attack("semantic", faces, surrogate, 0.1)
    assert (attacked <= faces.captures * 1.1 + 1e-6).all()
    assert (attacked >= faces.captures * 0.9 - 1e-6).all()
    ratio = attacked / faces.captures.clamp(min=0.05)
    assert (ratio[..., 1:] - ratio[..., :-1]).abs().median() < 0.01, "not smooth"


def test_advdrop_moves_no_coefficient_by_more_than_half_a_step(faces, surrogate):
    # Clipping to [0, 1] adds to that: leave out pictures near black and white.
    faces = type(faces)(
        faces.identities, faces.sessions, faces.rendering, 0.2 + 0.6 * faces.captures
    )
    attacked = attack("advdrop", faces, surrogate, 40.0)
    change = _to_blocks(attacked) - _to_blocks(faces.captures)
    assert change.abs().max() <= 40 / 255 / 2 + 1e-4
    assert change[..., 0, 0].abs().max() < 1e-5, "the mean of a block is kept"


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_moves_the_surrogate_more_than_noise_of_the_same_size(name, faces, surrogate):
    attacked = attack(name, faces, surrogate)
    change = attacked - faces.captures
    order = torch.randperm(change[0].numel(), generator=torch.Generator().manual_seed(3))
    shuffled = change.flatten(1)[:, order].reshape(change.shape)
    clean = surrogate(faces.captures)
    moved = (clean * surrogate(attacked)).sum(1).mean()
    noise = (clean * surrogate((faces.captures + shuffled).clamp(0, 1))).sum(1).mean()
    assert moved < noise - 0.05


def test_wants_gradients_of_the_given_network(faces):
    """Another network, another attack: nothing is hard-wired to the shipped weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        other = Surrogate().eval().requires_grad_(False)
    moved = (other(faces.captures) * other(attack("pgd", faces, other))).sum(1)
    stayed = (other(faces.captures) * other(attack("pgd", faces, load_surrogate()))).sum(1)
    assert moved.mean() < stayed.mean() - 0.05


def test_unknown_and_other_attacks_are_errors(faces, surrogate, generator):
    with pytest.raises(ValueError, match="unknown attack type 'deepfool'"):
        adversarial_attack("deepfool", faces.captures, surrogate, generator)
    with pytest.raises(ValueError, match="'print' is not adversarial; known: fgsm"):
        adversarial_attack("print", faces.captures, surrogate, generator)


def test_blocks_and_back():
    images = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    blocks = _to_blocks(images)
    assert blocks.shape == (2, 3, 2, 3, 8, 8)
    assert torch.allclose(_from_blocks(blocks), images, atol=1e-5)
    assert torch.allclose(blocks[0, 1, 0, 2, 0, 0], 8 * images[0, 1, :8, 16:].mean(), atol=1e-5)
    energy = blocks.square().sum()
    assert torch.allclose(energy, images.square().sum(), rtol=1e-4), "the DCT keeps energy"


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(sorted(ADVERSARIAL)), st.integers(0, 1000), st.floats(0.01, 100))
def test_strengths_are_drawn_between_share_and_whole(name, seed, strength):
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_strength(name, 6, generator, strength)
    assert drawn.shape == (6, 1, 1, 1)
    assert (drawn >= LOWEST_SHARE * strength * (1 - 1e-5)).all()
    assert (drawn <= strength * (1 + 1e-5)).all()
    table = draw_strength(name, 6, torch.Generator().manual_seed(seed))
    assert (table <= attack_type(name).strength).all()
