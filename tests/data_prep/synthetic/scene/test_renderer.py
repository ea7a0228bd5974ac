import pytest
import torch
from torch import Tensor

from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.people.identity import BEARDS, Identities, sample_identities
from data_prep.synthetic.people.session import BACKGROUNDS, NECKLINES, Sessions, sample_sessions
from data_prep.synthetic.people.worn_mask import MATERIALS, fit_to_wearer, sample_masks
from data_prep.synthetic.scene.renderer import RENDER_SIZE, Rendering, render

N = 6


@pytest.fixture(scope="module")
def people() -> Identities:
    return sample_identities(N, seed=21)


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return sample_sessions(N, seed=22)


@pytest.fixture(scope="module")
def rendering(people: Identities, sessions: Sessions) -> Rendering:
    return render(people, sessions)


def changed(before: Rendering, after: Rendering) -> Tensor:
    """Which pixels differ, (b, size, size)."""
    return (before.radiance - after.radiance).abs().amax(dim=1) > 1e-6


def test_shapes_and_ranges(rendering: Rendering) -> None:
    size = RENDER_SIZE
    assert rendering.radiance.shape == (N, 3, size, size)
    assert rendering.canonical.shape == (N, 2, size, size)
    assert rendering.face_mask.shape == rendering.depth.shape == (N, 1, size, size)
    for maps in (rendering.radiance, rendering.canonical, rendering.face_mask, rendering.depth):
        assert maps.dtype == torch.float32
        assert torch.isfinite(maps).all()
    assert rendering.radiance.min() >= 0
    assert rendering.face_mask.min() >= 0
    assert rendering.face_mask.max() == 1


def test_the_same_seeds_give_the_same_bytes(people: Identities, sessions: Sessions) -> None:
    first, second = render(people[:2], sessions[:2]), render(people[:2], sessions[:2])
    for name in ("radiance", "canonical", "face_mask", "depth"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_a_picture_does_not_depend_on_its_neighbors(
    people: Identities, sessions: Sessions, rendering: Rendering
) -> None:
    together = to_bytes(capture(rendering.radiance, sessions))
    order = [4, 1]
    apart = render(people[order], sessions[order])
    assert torch.equal(apart.radiance, rendering.radiance[order])
    assert torch.equal(to_bytes(capture(apart.radiance, sessions[order])), together[order])


MAPS = ("radiance", "canonical", "face_mask", "depth")


@pytest.fixture(scope="module")
def all_kinds() -> tuple[Identities, Sessions, tuple]:
    """People, sessions and masks of every kind, in many combinations."""
    n = 15
    number = torch.arange(n)
    people = sample_identities(n, seed=5).replace(
        beard=number % len(BEARDS),
        bald=(number % 5 == 0).float(),
        long_hair=(number % 3 == 0).float(),
        glasses=(number % 2).float(),
        freckles=(number % 7 == 0).float(),
        fringe=(number % 4 == 1).float(),
        age=torch.linspace(1, 0, n),
    )
    sessions = sample_sessions(n, seed=6).replace(
        background=number % len(BACKGROUNDS),
        neckline=number // 5 % len(NECKLINES),
        mouth_open=(number % 3 / 2).float(),
    )
    masks = sample_masks(n, torch.Generator().manual_seed(1))
    masks = masks.replace(material=number % len(MATERIALS))
    return people, sessions, (fit_to_wearer(people[number.flip(0)], people), masks)


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_has_the_bits_of_its_rows(all_kinds: tuple, masked: bool) -> None:
    people, sessions, worn = all_kinds
    worn = worn if masked else None
    alone = render(people, sessions, size=48, worn=worn)
    for chunk in (15, 7):
        together = render(people, sessions, size=48, worn=worn, chunk=chunk)
        for name in MAPS:
            assert torch.equal(getattr(together, name), getattr(alone, name)), (name, chunk)


def test_a_batch_ignores_order_and_neighbors(all_kinds: tuple) -> None:
    people, sessions, _ = all_kinds
    together = render(people, sessions, size=48, chunk=15)
    order = [14, 3, 9, 0, 3]
    again = render(people[order], sessions[order], size=48, chunk=5)
    for name in MAPS:
        assert torch.equal(getattr(again, name), getattr(together, name)[order]), name


def test_a_chunk_holds_at_least_one_row(people: Identities, sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="chunk is 0; expected 1 or more"):
        render(people, sessions, chunk=0)


def test_the_size_only_changes_the_sampling(
    people: Identities, sessions: Sessions, rendering: Rendering
) -> None:
    small = render(people[:1], sessions[:1], size=72)
    reduced = torch.nn.functional.avg_pool2d(rendering.radiance[:1], 2)
    assert small.radiance.shape[-1] == 72
    assert (small.radiance - reduced).abs().mean() < 0.03


def test_two_people_differ_more_than_two_sessions_of_one() -> None:
    """Canonical albedo is the person's: light and pose are held still here."""
    people, session = sample_identities(8, seed=30), sample_sessions(1, seed=31)
    pictures = render(people, session.repeat(8), size=48).radiance
    other_noise = render(people, session.replace(seed=session.seed + 1).repeat(8), size=48)
    assert torch.equal(pictures, other_noise.radiance)
    distances = (pictures[:, None] - pictures[None]).abs().mean(dim=(2, 3, 4))
    assert distances[~torch.eye(8, dtype=torch.bool)].min() > 0.02


def test_depth_is_zero_outside_and_larger_towards_the_nose(rendering: Rendering) -> None:
    depth, mask = rendering.depth, rendering.face_mask
    assert (depth[mask == 0] == 0).all()
    assert depth[mask == 1].min() >= 0.1
    assert depth.max() <= 1
    x, y = rendering.canonical[:, :1], rendering.canonical[:, 1:]
    for i in range(N):
        inner = (mask[i] == 1) & (x[i].abs() < 0.1) & ((y[i] + 0.30).abs() < 0.15)
        rim = (mask[i] > 0.9) & (x[i].abs() > 0.55)
        assert depth[i][inner].mean() > depth[i][rim].mean() + 0.15


def test_the_mask_covers_the_middle_of_the_face_and_not_the_corners(rendering: Rendering) -> None:
    x, y = rendering.canonical[:, :1], rendering.canonical[:, 1:]
    # Nose to mouth is bare of hair in everyone; the upper corners of a picture hold no face.
    center = (x.abs() < 0.3) & (y < -0.2) & (y > -0.6)
    for i in range(N):
        assert rendering.face_mask[i][center[i]].min() > 0.95
    assert rendering.face_mask[:, :, :12, :12].max() == 0
    assert rendering.face_mask[:, :, -4:].max() < 0.05


def test_the_face_hides_the_background_wherever_the_mask_is_one(
    people: Identities, sessions: Sessions, rendering: Rendering
) -> None:
    moved = sessions.replace(background=(sessions.background + 1) % len(BACKGROUNDS))
    difference = changed(rendering, render(people, moved))[:, None]
    assert not difference[rendering.face_mask == 1].any()
    assert difference[:, :, :10].float().mean() > 0.5


def test_makeup_changes_the_face_only(
    people: Identities, sessions: Sessions, rendering: Rendering
) -> None:
    painted = render(people.replace(makeup=1 - people.makeup), sessions)
    difference = changed(rendering, painted)[:, None]
    assert difference.flatten(1).any(dim=1).all()
    assert not difference[rendering.face_mask == 0].any()


@pytest.mark.parametrize("name", ["glasses", "beard", "bald", "long_hair", "fringe", "curl"])
def test_every_attribute_can_be_seen(name: str) -> None:
    man = sample_identities(40, seed=2)
    man = man[int(man.male.argmax())].replace(
        glasses=torch.zeros(1),
        beard=torch.zeros(1, dtype=torch.long),
        bald=torch.zeros(1),
        long_hair=torch.zeros(1),
        fringe=torch.zeros(1),
        curl=torch.zeros(1),
    )
    session = sample_sessions(1, seed=3).replace(yaw=torch.zeros(1))
    with_it = man.replace(**{name: torch.ones_like(getattr(man, name))})
    share = changed(render(man, session), render(with_it, session)).float().mean()
    assert share > 0.01


def test_glasses_stay_around_the_eyes(people: Identities, sessions: Sessions) -> None:
    without = people.replace(glasses=torch.zeros(N))
    before = render(without, sessions)
    difference = changed(before, render(people.replace(glasses=torch.ones(N)), sessions))
    y = before.canonical[:, 1]
    eye_y = people.eye_y[:, None, None]
    assert difference.any()
    assert not (difference & ((y - eye_y).abs() > 0.35)).any()


def test_the_color_of_frames_matters_to_those_who_wear_glasses(
    people: Identities, sessions: Sessions
) -> None:
    for worn in (0.0, 1.0):
        wearers = people[:2].replace(glasses=torch.full((2,), worn))
        red = wearers.replace(glasses_color=torch.tensor([[0.5, 0.0, 0.0]] * 2))
        difference = changed(render(wearers, sessions[:2]), render(red, sessions[:2]))
        assert difference.any() == bool(worn)


def test_the_iris_is_seen_in_open_eyes_only(people: Identities, sessions: Sessions) -> None:
    awake = sessions[:2].replace(blink=torch.zeros(2))
    before = render(people[:2], awake)
    blue = people[:2].replace(iris=torch.tensor([[0.0, 0.0, 0.9]] * 2))
    difference = changed(before, render(blue, awake))
    assert difference.flatten(1).any(dim=1).all()
    x, y = before.canonical[:, 0].abs(), before.canonical[:, 1]
    distance = (x - people.eye_x[:2, None, None]).hypot(y - people.eye_y[:2, None, None])
    assert distance[difference].max() < 0.2


def test_hair_hides_the_face_beneath(people: Identities, sessions: Sessions) -> None:
    bald = render(people.replace(bald=torch.ones(N)), sessions).face_mask
    fringe = people.replace(bald=torch.zeros(N), fringe=torch.ones(N))
    hidden = render(fringe, sessions).face_mask
    assert (hidden <= bald + 1e-6).all()
    assert (hidden.mean(dim=(1, 2, 3)) < 0.85 * bald.mean(dim=(1, 2, 3))).all()


def test_the_side_towards_the_light_is_the_brighter_one(people: Identities) -> None:
    session = sample_sessions(1, seed=50).replace(
        yaw=torch.zeros(1), background=torch.zeros(1, dtype=torch.long)
    )
    for side in (-1.0, 1.0):
        lit = session.replace(light=torch.tensor([[side * 0.8, 0.0, 0.6]]))
        rendering = render(people[0], lit)
        skin = rendering.face_mask[0, 0] == 1
        x = rendering.canonical[0, 0]
        green = rendering.radiance[0, 1]
        towards, away = green[skin & (side * x > 0.2)], green[skin & (side * x < -0.2)]
        assert towards.mean() > 1.2 * away.mean()


def test_unequal_and_empty_tables_are_refused(people: Identities, sessions: Sessions) -> None:
    with pytest.raises(ValueError, match=r"6 identities and 2 sessions"):
        render(people, sessions[:2])
    with pytest.raises(ValueError, match="at least one"):
        render(people[:0], sessions[:0])


def test_pictures_are_neither_black_nor_white() -> None:
    """Looking at a sheet found black pictures once; this looks at every one."""
    people, sessions = sample_identities(16, seed=40), sample_sessions(16, seed=41)
    rendering = render(people, sessions, size=96)
    pictures = capture(rendering.radiance, sessions)
    brightness = pictures.mean(dim=(1, 2, 3))
    assert brightness.min() > 0.12
    assert brightness.max() < 0.85
    assert pictures.std(dim=(1, 2, 3)).min() > 0.05
    share = rendering.face_mask.mean(dim=(1, 2, 3))
    assert share.min() > 0.12
    assert share.max() < 0.6
