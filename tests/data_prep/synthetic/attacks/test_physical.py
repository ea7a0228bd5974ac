import pytest
import torch

from data_prep.synthetic.attacks.physical import print_attack, recapture_place, replay_attack
from data_prep.synthetic.camera import capture, gaussian_blur
from data_prep.synthetic.people.session import BACKGROUNDS, sample_sessions

ATTACKS = {"print": print_attack, "replay": replay_attack}


def attacked(name, faces, generator, strength=None):
    again = sample_sessions(4, seed=13)
    return ATTACKS[name](faces.rendering.radiance, faces.sessions, again, generator, strength)


@pytest.mark.parametrize("name", ATTACKS)
def test_radiance_is_finite_light_of_a_finer_grid(name, faces, generator):
    radiance = attacked(name, faces, generator)
    assert radiance.shape[:2] == (4, 3)
    assert radiance.shape[-1] > faces.rendering.radiance.shape[-1]
    assert radiance.isfinite().all()
    assert radiance.min() >= 0


@pytest.mark.parametrize("name", ATTACKS)
def test_same_seed_same_light(name, faces):
    one, two, other = (
        attacked(name, faces, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ATTACKS)
def test_recapture_still_shows_the_person(name, faces, generator):
    """Mean color roughly kept, and the attack looks more like its own face than like others."""
    again = sample_sessions(4, seed=13)
    images = capture(attacked(name, faces, generator), again)
    difference = images.mean((2, 3)) - faces.captures.mean((2, 3))
    assert difference.abs().max() < 0.25

    def coarse(pictures):
        flat = gaussian_blur(pictures.mean(1, keepdim=True), 3.0)[..., ::8, ::8].flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        return flat / flat.norm(dim=1, keepdim=True)

    correlation = coarse(images) @ coarse(faces.captures).T
    assert (correlation.argmax(1) == torch.arange(4)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_strength_is_the_contrast_of_the_fine_pattern(name, faces):
    """Everything else drawn alike, more strength leaves more energy in the finest detail."""

    def detail(strength):
        light = attacked(name, faces, torch.Generator().manual_seed(3), strength)
        inner = light[..., 60:-60, 60:-60]
        return (inner - gaussian_blur(inner, 1.5)).square().mean()

    assert detail(0.9) > 1.5 * detail(0.02)


def test_indoors_is_warmer_and_noisier_than_outdoors():
    again = sample_sessions(40, seed=13)
    inside, outside = (
        recapture_place(again, setting, torch.Generator().manual_seed(1))
        for setting in ("indoor", "outdoor")
    )
    outdoors = BACKGROUNDS.index("outdoors")
    assert (outside.background == outdoors).all()
    assert set(inside.background.tolist()) == set(range(len(BACKGROUNDS))) - {outdoors}
    red_to_blue = [s.light_color[:, 0] / s.light_color[:, 2] for s in (inside, outside)]
    assert red_to_blue[0].mean() > 1.05 > 0.98 > red_to_blue[1].mean()
    assert (inside.sensor_noise > outside.sensor_noise).all()
    with pytest.raises(ValueError, match="unknown setting 'space'; expected indoor or outdoor"):
        recapture_place(again, "space", torch.Generator())


def test_settings_change_the_light_on_the_paper(faces):
    """Same sheet, same randomness: indoors and outdoors differ, each as its seed says."""
    again = sample_sessions(4, seed=13)
    lights = []
    for setting in ("indoor", "outdoor", "outdoor"):
        place = recapture_place(again, setting, torch.Generator().manual_seed(1))
        rows = (faces.rendering.radiance, faces.sessions, place)
        lights.append(print_attack(*rows, torch.Generator().manual_seed(2)))
    assert (lights[0] - lights[1]).abs().mean() > 0.02
    assert torch.equal(lights[1], lights[2])
