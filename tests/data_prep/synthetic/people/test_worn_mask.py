import pytest
import torch

from data_prep.synthetic.camera import gaussian_blur
from data_prep.synthetic.people.worn_mask import MATERIALS, fit_to_wearer, sample_masks
from data_prep.synthetic.scene.renderer import render


def masks_for(faces, strength=None, **columns):
    masks = sample_masks(4, torch.Generator().manual_seed(3), strength)
    return masks.replace(**columns)


def worn(faces, masks):
    """Everybody wears a mask of the next person."""
    copied = faces.identities[[1, 2, 3, 0]]
    face = fit_to_wearer(copied, faces.identities)
    return render(faces.identities, faces.sessions, worn=(face, masks))


@pytest.fixture(scope="module")
def masked(faces):
    return worn(faces, masks_for(faces))


def test_covers_the_face_and_leaves_the_scene(faces, masked):
    change = (masked.radiance - faces.rendering.radiance).abs().amax(1)
    on_face = faces.rendering.face_mask[:, 0] > 0.99
    assert (change[on_face] > 0.02).float().mean() > 0.6
    corners = change[:, :10, :10]
    assert corners.max() == 0


def test_eyes_of_the_wearer_show(faces, masked):
    """Below the mask's light, both pictures share the eyes: dark where the wearer's are dark."""
    x, y = faces.rendering.canonical[:, 0], faces.rendering.canonical[:, 1]
    for i in range(4):
        eye_x, eye_y = faces.identities.eye_x[i], faces.identities.eye_y[i]
        at_eye = ((x[i].abs() - eye_x).abs() < 0.04) & ((y[i] - eye_y).abs() < 0.02)
        with_mask, without = (
            picture.radiance[i].mean(0)[at_eye] for picture in (masked, faces.rendering)
        )
        correlation = torch.corrcoef(torch.stack([with_mask, without]))[0, 1]
        assert correlation > 0.5, i


def test_lies_in_front_of_the_face(faces, masked):
    closer = masked.depth - faces.rendering.depth
    middle = faces.rendering.face_mask > 0.99
    x, y = faces.rendering.canonical.split(1, 1)
    cheek = middle & (x.abs() > 0.2) & (x.abs() < 0.4) & (y < -0.2) & (y > -0.35)
    assert closer[cheek].mean() > 0.005
    assert masked.depth.min() >= 0 and masked.depth.max() <= 1


def test_an_artificial_mask_has_less_fine_texture(faces):
    plastic = torch.full((4,), MATERIALS.index("plastic"))

    def texture(strength):
        # A narrow range of strengths: both ends of the draw are nearly the same.
        masks = masks_for(faces, artificial=torch.full((4,), strength), material=plastic)
        light = worn(faces, masks).radiance
        fine = (light - gaussian_blur(light, 1.0)).square().mean(1, keepdim=True)
        x, y = faces.rendering.canonical.split(1, 1)
        forehead = (x.abs() < 0.3) & (y > 0.3) & (y < 0.45)
        return fine[forehead].mean()

    assert texture(1.0) < 0.7 * texture(0.0)


def test_expression_of_the_wearer_does_not_show(faces):
    """A mask is stiff: its own surface ignores smile and mouth."""
    masks = masks_for(faces)
    face = fit_to_wearer(faces.identities[[1, 2, 3, 0]], faces.identities)
    pictures = []
    for smile in (0.0, 1.0):
        sessions = faces.sessions.replace(smile=torch.full((4,), smile))
        pictures.append(render(faces.identities, sessions, worn=(face, masks)).radiance)
    x, y = faces.rendering.canonical.split(1, 1)
    mouth = ((x.abs() < 0.2) & ((y + 0.5).abs() < 0.08)).expand(-1, 3, -1, -1)
    assert (pictures[0] - pictures[1])[mouth].abs().max() < 1e-4


def test_copied_face_has_neither_beard_nor_glasses(faces):
    copied = faces.identities.replace(glasses=torch.ones(4), beard=torch.ones(4).long())
    face = fit_to_wearer(copied, faces.identities[[1, 2, 3, 0]])
    assert not face.glasses.any() and not face.beard.any()
    assert torch.equal(face.eye_x, faces.identities.eye_x[[1, 2, 3, 0]])


def test_needs_a_mask_for_every_wearer(faces):
    masks = masks_for(faces)
    with pytest.raises(ValueError, match="4 faces and 1 masks for 4 wearers"):
        render(faces.identities, faces.sessions, worn=(faces.identities, masks[:1]))
