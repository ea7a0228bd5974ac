import pytest
import torch

from data_prep.synthetic.attacks import digital
from data_prep.synthetic.attacks.edit_sources import (
    changed_attribute,
    donor_session,
    fresh_grain,
    other_mouth,
)
from data_prep.synthetic.camera import capture
from data_prep.synthetic.scene.renderer import render
from data_prep.taxonomy import types_of

NEEDS_A_PICTURE = ("face_swap", "attribute", "gan", "talking")


@pytest.fixture(scope="module")
def others(faces):
    """The same people in the same sessions with fresh noise, rolled on by one: other faces."""
    sessions = fresh_grain(faces.sessions, torch.Generator().manual_seed(6))
    pictures = capture(faces.rendering.radiance, sessions, jpeg=False)
    return {"face_swap": pictures.roll(1, 0)} | dict.fromkeys(NEEDS_A_PICTURE[1:], pictures)


def edited(name, faces, others, generator, strength=None):
    picture = [others[name]] if name in NEEDS_A_PICTURE else []
    return getattr(digital, name)(faces.targets, *picture, generator, strength)


@pytest.mark.parametrize("name", types_of("editing"))
def test_changes_lie_inside_the_mask(name, faces, others, generator):
    image, mask = edited(name, faces, others, generator)
    assert image.shape == faces.captures.shape
    assert mask.shape == (4, 1, 96, 96)
    assert image.min() >= 0 and image.max() <= 1
    assert mask.min() >= 0 and mask.max() <= 1 + 1e-6
    change = (image - faces.captures).abs().amax(1, keepdim=True)
    assert (change <= mask + 1e-6).all()
    assert change[mask == 0].numel() == 0 or change[mask == 0].max() == 0
    assert (change.amax((1, 2, 3)) > 0.02).all(), "an edit that changes nothing"


@pytest.mark.parametrize("name", sorted({*types_of("editing")} - {"gan"}))
def test_edits_leave_most_of_the_picture_alone(name, faces, others, generator):
    _, mask = edited(name, faces, others, generator)
    assert (mask.mean((1, 2, 3)) > 0.002).all()
    assert (mask.mean((1, 2, 3)) < 0.6).all()


@pytest.mark.parametrize("name", types_of("editing"))
def test_same_seed_same_edit(name, faces, others):
    one, two = (edited(name, faces, others, torch.Generator().manual_seed(1))[0] for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("face_swap", 1.0, 4.0), ("attribute", 1.0, 4.0), ("talking", 1.0, 4.0)],
)
def test_a_coarser_decoder_loses_detail(name, weak, strong, faces, others):
    def detail(strength):
        image, mask = edited(name, faces, others, torch.Generator().manual_seed(2), strength)
        rough = image - torch.nn.functional.avg_pool2d(image, 3, 1, 1)
        return (rough.square() * mask).sum() / mask.sum()

    assert detail(strong) < 0.8 * detail(weak)


def test_reenactment_without_shift_only_loses_detail(faces):
    def change(strength):
        generator = torch.Generator().manual_seed(4)
        image, mask = digital.reenactment(faces.targets, generator, strength)
        return ((image - faces.captures).square() * mask).sum() / mask.sum()

    assert change(0.15) > 2 * change(0.0)


def test_inpainted_patches_grow_with_the_strength(faces):
    def area(strength):
        return digital.inpainting(faces.targets, torch.Generator().manual_seed(4), strength)[1]

    assert area(0.3).mean() > 1.5 * area(0.15).mean()


def test_gan_checkerboard_has_a_period_of_two_pixels(faces, others):
    """Strength is what separates even from odd columns of the same picture."""
    weak, strong = (
        digital.gan(faces.targets, others["gan"], torch.Generator().manual_seed(4), strength)[0]
        for strength in (0.0, 0.05)
    )
    gain = (strong / weak.clamp(min=0.05) - 1).mean((0, 1))
    even, odd = gain[:, ::2], gain[:, 1::2]
    assert abs(even[::2].mean() - odd[1::2].mean()) < 0.02
    assert even[::2].mean() - even[1::2].mean() > 0.04


def test_other_mouth_opens_what_was_shut_and_shuts_what_was_open(faces, generator):
    shut = faces.sessions.replace(mouth_open=torch.tensor([0.0, 0.2, 0.6, 1.0]))
    opening = other_mouth(shut, generator).mouth_open
    assert (opening[:2] >= 0.5).all()
    assert (opening[2:] == 0).all()


def test_donor_stands_nearly_as_the_target(faces, generator):
    session = donor_session(faces.sessions, generator)
    assert (session.yaw - faces.sessions.yaw).abs().max() < 0.3
    assert torch.allclose(session.light.norm(dim=1), torch.ones(4))
    assert not torch.equal(session.seed, faces.sessions.seed)


def test_changed_attribute_shows(faces):
    """Over seeds, all four kinds of change come up, and each changes the picture."""
    fields = set()
    for seed in range(16):
        person = faces.identities[0]
        other = changed_attribute(person, torch.Generator().manual_seed(seed))
        fields |= {
            name
            for name in ("hair_color", "age", "makeup", "glasses")
            if not torch.equal(getattr(person, name), getattr(other, name))
        }
    assert fields == {"hair_color", "age", "makeup", "glasses"}
    with_glasses = faces.identities[0].replace(glasses=1 - faces.identities.glasses[:1])
    changed = render(with_glasses, faces.sessions[0]).radiance - faces.rendering.radiance[:1]
    assert changed.abs().max() > 0.05
