from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data_prep.synthetic.attacks import digital
from data_prep.synthetic.camera import capture
from data_prep.synthetic.heads.draw import LANDMARKS, PART_NAMES, Drawing, draw
from data_prep.synthetic.heads.figure import Figure, make_figure
from data_prep.synthetic.heads.people import HEADWEAR, People, sample_people
from data_prep.synthetic.heads.renderer import Rendering, render
from data_prep.synthetic.heads.session import (
    BACKGROUNDS,
    CLOTHES,
    FABRICS,
    FACE_NAMES,
    Sessions,
    sample_sessions,
)
from data_prep.synthetic.heads.tables import row_of
from tests.data_prep.synthetic.heads.conftest import SIZE, calm, plain


@pytest.fixture(scope="module")
def rendering(people: People, sessions: Sessions) -> Rendering:
    return render(people, sessions, SIZE)


def part(name: str) -> int:
    return PART_NAMES.index(name)


def in_session(session: SimpleNamespace, **changes: object) -> SimpleNamespace:
    return SimpleNamespace(**vars(session) | changes)


def test_shapes_and_ranges(rendering: Rendering) -> None:
    n = 8
    assert rendering.radiance.shape == (n, 3, SIZE, SIZE)
    assert rendering.depth.shape == rendering.face_mask.shape == (n, 1, SIZE, SIZE)
    assert rendering.canonical.shape == rendering.uv.shape == (n, 2, SIZE, SIZE)
    assert rendering.parts.shape == (n, SIZE, SIZE)
    assert rendering.landmarks.shape == (n, len(LANDMARKS), 2)
    for field in fields(rendering):
        values = getattr(rendering, field.name)
        assert values.dtype == (torch.uint8 if field.name == "parts" else torch.float32)
        assert torch.isfinite(values.float()).all(), field.name
    assert rendering.radiance.min() >= 0
    for name in ("depth", "face_mask", "uv"):
        assert getattr(rendering, name).min() >= 0
        assert getattr(rendering, name).max() <= 1
    assert rendering.parts.max() < len(PART_NAMES)


def test_an_image_does_not_depend_on_its_neighbors(
    people: People, sessions: Sessions, rendering: Rendering
) -> None:
    order = [5, 2]
    again = render(people[order], sessions[order], SIZE)
    for field in fields(rendering):
        assert torch.equal(getattr(again, field.name), getattr(rendering, field.name)[order])


def test_bad_tables_and_sizes_are_refused(people: People, sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="expected at least one row"):
        render(people[[]], sessions[[]])
    with pytest.raises(ValueError, match=r"8 people and 3 sessions.*\.repeat"):
        render(people, sessions[:3])
    with pytest.raises(ValueError, match="size is 97; expected an even number"):
        render(people[:1], sessions[:1], 97)


def test_the_camera_takes_well_exposed_images(rendering: Rendering, sessions: Sessions) -> None:
    images = capture(rendering.radiance, sessions, SIZE // 2)
    brightness = images.mean(dim=(1, 2, 3))
    assert brightness.min() > 0.12
    assert brightness.max() < 0.85
    assert images.std(dim=(1, 2, 3)).min() > 0.05


def test_depth_grows_toward_the_nose_and_is_zero_behind(live: Drawing) -> None:
    assert (live.depth[live.parts == part("background")] == 0).all()
    assert live.depth[live.parts == part("skin")].min() >= 0.1
    x, y = (live.landmarks[4] * SIZE).astype(int)
    assert live.depth[y, x] >= live.depth.max() - 0.08
    right, low = (live.landmarks[0] * SIZE).astype(int)
    assert live.depth[y, x] > live.depth[low, right] + 0.05


def test_landmarks_are_where_their_names_say(live: Drawing) -> None:
    names = list(LANDMARKS)
    at = dict(zip(names, live.landmarks, strict=True))
    assert at["right eye, outer corner"][0] < at["right eye, inner corner"][0]
    assert at["left eye, inner corner"][0] < at["left eye, outer corner"][0]
    assert at["upper lip"][1] < at["lower lip"][1] < at["chin"][1]
    assert at["tip of the nose"][1] < at["upper lip"][1]
    eyes = np.argwhere(live.parts == part("eye")) / SIZE
    for side in ("right", "left"):
        corners = [at[f"{side} eye, {end} corner"] for end in ("outer", "inner")]
        middle = np.mean(corners, axis=0)[::-1]
        assert np.abs(eyes - middle).max(axis=1).min() < 0.04


def test_the_canonical_place_follows_the_face(live: Drawing) -> None:
    face = live.face_mask > 0.9
    x, y = live.canonical
    rows, columns = np.nonzero(face)
    assert np.corrcoef(columns, x[face])[0, 1] > 0.98
    assert np.corrcoef(-rows, y[face])[0, 1] > 0.98
    mouth = (np.abs(x) < 0.1) & (np.abs(y + 0.53) < 0.05)
    assert face[mouth].all()


def test_edits_of_images_find_the_face_by_its_canonical_place(
    rendering: Rendering, sessions: Sessions
) -> None:
    """Image-space edits read canonical places: eyes near 0, the chin near -1."""
    noise = sessions.sensor_noise.view(-1, 1, 1, 1)
    images = capture(rendering.radiance, sessions, SIZE, jpeg=False)
    target = digital.Capture(images, rendering.canonical, rendering.face_mask, noise)
    edited, mask = digital.inpainting(target, torch.Generator().manual_seed(1))
    assert mask.flatten(1).amax(dim=1).min() > 0.5
    assert not mask[rendering.face_mask == 0].any()
    assert torch.equal(edited[mask.expand_as(edited) == 0], images[mask.expand_as(edited) == 0])


def test_faces_turn_with_the_head(figure: Figure, session: SimpleNamespace) -> None:
    nose = [draw(figure, in_session(session, yaw=yaw), SIZE).landmarks for yaw in (-0.4, 0.4)]

    def lean(marks: np.ndarray) -> float:
        return float(marks[4, 0] - (marks[0, 0] + marks[3, 0]) / 2)

    assert lean(nose[0]) < -0.02
    assert lean(nose[1]) > 0.02


def test_shoulders_stay_when_the_head_turns(figure: Figure, session: SimpleNamespace) -> None:
    first, second = (
        draw(figure, in_session(session, yaw=yaw), SIZE).scene.points for yaw in (0.0, 0.4)
    )
    low = first[1] < 5.4
    assert np.allclose(first[:, low], second[:, low], atol=1e-5)


def test_the_side_toward_the_light_is_brighter(figure: Figure, session: SimpleNamespace) -> None:
    for side in (-1, 1):
        light = np.array([0.8 * side, 0, 0.6], np.float32)
        drawing = draw(figure, in_session(session, light=light), SIZE)
        skin = (drawing.parts == part("skin")) & (drawing.face_mask > 0.9)
        x, green = drawing.canonical[0] * side, drawing.radiance[1]
        assert green[skin & (x > 0.2)].mean() > 1.15 * green[skin & (x < -0.2)].mean()


def test_eyes_follow_the_gaze(figure: Figure, session: SimpleNamespace) -> None:
    def iris(right: float) -> float:
        gaze = np.array([right, 0], np.float32)
        drawing = draw(figure, in_session(session, gaze=gaze), 2 * SIZE)
        eye = drawing.parts == part("eye")
        dark = eye & (
            drawing.radiance.sum(axis=0) < np.quantile(drawing.radiance.sum(axis=0)[eye], 0.3)
        )
        return float(np.nonzero(dark)[1].mean())

    assert iris(0.35) > iris(-0.35) + 2


def test_blinking_hides_the_eyes(figure: Figure, session: SimpleNamespace) -> None:
    shut = in_session(session, face=FACE_NAMES.index("blink"), face_strength=1.0)
    drawing = draw(figure, shut, SIZE)
    assert (drawing.parts == part("eye")).sum() < 6
    assert (draw(figure, session, SIZE).parts == part("eye")).sum() > 20


def test_an_open_mouth_shows_bright_teeth(figure: Figure, session: SimpleNamespace) -> None:
    laughing = in_session(session, face=FACE_NAMES.index("laugh"), face_strength=1.0)
    drawing = draw(figure, laughing, 2 * SIZE)
    teeth = drawing.parts == part("mouth")
    assert teeth.sum() > 10
    skin = drawing.parts == part("skin")
    assert np.quantile(drawing.radiance[2][teeth], 0.8) > np.median(drawing.radiance[2][skin])


def test_dark_skin_stays_darker_after_metering(session: SimpleNamespace) -> None:
    person = plain(sample_people(1, seed=3))
    values = []
    for tone in (0.3, 4.7):
        shown = draw(
            make_figure(row_of(person.replace(skin_tone=torch.tensor([tone])), 0)), session, SIZE
        )
        values.append(np.median(shown.radiance[:, shown.parts == part("skin")]))
    assert values[1] < 0.75 * values[0]


@pytest.mark.parametrize("name", HEADWEAR[1:])
def test_headwear_covers_the_top_of_the_head(name: str, session: SimpleNamespace) -> None:
    person = sample_people(1, seed=9).replace(
        headwear=torch.tensor([HEADWEAR.index(name)]), glasses=torch.zeros(1)
    )
    drawing = draw(make_figure(row_of(person, 0)), session, SIZE)
    assert (drawing.parts == part("headwear")).mean() > 0.03
    rows, _ = np.nonzero(drawing.parts == part("headwear"))
    hair = np.nonzero(drawing.parts == part("hair"))[0]
    assert len(hair) == 0 or rows.min() <= hair.min()


def test_glasses_stay_around_the_eyes(session: SimpleNamespace) -> None:
    person = plain(sample_people(1, seed=9))
    without = draw(make_figure(row_of(person, 0)), session, SIZE)
    worn = person.replace(glasses=torch.ones(1))
    glasses = draw(make_figure(row_of(worn, 0)), session, SIZE, without.gain)
    changed = np.abs(glasses.radiance - without.radiance).max(axis=0) > 1e-4
    assert changed.sum() > 40
    eye_line = (without.landmarks[:4, 1]).mean()
    rows = np.nonzero(changed)[0] / SIZE
    assert np.abs(rows - eye_line).max() < 0.2


@pytest.mark.parametrize("name", CLOTHES)
def test_clothes_cover_the_shoulders(name: str, figure: Figure, session: SimpleNamespace) -> None:
    dressed = in_session(session, clothes=CLOTHES.index(name))
    drawing = draw(figure, dressed, SIZE)
    bottom = drawing.parts[-3:]
    worn = bottom == part("clothes")
    assert worn.mean() > 0.5


def test_fabrics_and_backgrounds_differ(figure: Figure, session: SimpleNamespace) -> None:
    for column, names in (("fabric", FABRICS), ("background", BACKGROUNDS)):
        images = [
            draw(figure, in_session(session, **{column: k}), 48).radiance for k in range(len(names))
        ]
        for i, first in enumerate(images):
            assert all(np.abs(first - other).max() > 0.01 for other in images[:i]), names[i]


def test_the_same_person_is_closer_than_another(session: SimpleNamespace) -> None:
    people, sessions = plain(sample_people(6, seed=30)), calm(sample_sessions(6, seed=31))
    sessions = sessions.replace(
        **{name: getattr(sessions[0].repeat(6), name) for name in ("light", "light_color", "span")}
    )
    images = render(people, sessions[0].repeat(6), 48).radiance
    distance = (images[:, None] - images[None]).abs().mean(dim=(2, 3, 4))
    assert distance[~torch.eye(6, dtype=torch.bool)].min() > 0.01
