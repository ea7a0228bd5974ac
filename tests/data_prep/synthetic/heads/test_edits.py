from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.synthetic.heads.draw import PART_NAMES, Drawing, draw
from data_prep.synthetic.heads.edits import (
    Edit,
    attribute,
    changed_figure,
    face_swap,
    patch,
    redrawn,
    reenactment,
    swapped_figure,
    talking,
)
from data_prep.synthetic.heads.expression import VISEMES
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.session import FACE_NAMES
from data_prep.synthetic.heads.worn import MATERIALS, WornMask, mask_region, masked_figure
from tests.data_prep.synthetic.heads.conftest import SIZE


def with_face(session: SimpleNamespace, name: str) -> SimpleNamespace:
    changes = {"face": FACE_NAMES.index(name), "face_strength": 1.0}
    return SimpleNamespace(**vars(session) | changes)


def check(edit: Edit, live: Drawing, least: float, most: float) -> np.ndarray:
    """The mask is exact and of a plausible size; returns what changed."""
    assert edit.radiance.shape == live.radiance.shape
    assert edit.radiance.dtype == np.float32
    assert edit.mask.min() >= 0
    assert edit.mask.max() <= 1
    untouched = edit.mask == 0
    assert np.array_equal(edit.radiance[:, untouched], live.radiance[:, untouched])
    changed = np.abs(edit.radiance - live.radiance).max(axis=0)
    assert changed.max() > 0.02
    assert least < edit.mask.mean() < most
    return changed


def test_face_swap_changes_the_inner_face(
    live: Drawing, figure: Figure, other_figure: Figure, session: SimpleNamespace
) -> None:
    edit = face_swap(live, figure, other_figure, session)
    changed = check(edit, live, 0.03, 0.25)
    x, y = live.canonical
    inner = (np.abs(x) < 0.2) & (np.abs(y + 0.28) < 0.2)
    assert edit.mask[inner].min() > 0.9
    assert np.median(changed[inner]) > 0.003
    assert edit.mask[live.parts == PART_NAMES.index("background")].max() == 0


def test_a_swap_with_oneself_changes_little(figure: Figure) -> None:
    again = swapped_figure(figure, figure)
    assert np.abs(again.shape - figure.shape).max() < 1e-3
    assert np.abs(again.texture - figure.texture).max() < 1e-3


def test_the_swapped_face_takes_on_the_targets_color(figure: Figure, other_figure: Figure) -> None:
    def distance(matched: bool) -> float:
        swapped = swapped_figure(figure, other_figure, matched)
        difference = swapped.texture[..., :3] - figure.texture[..., :3]
        return float(np.abs(difference.mean(axis=(0, 1))).sum())

    assert distance(True) < 0.6 * distance(False)


def test_reenactment_takes_the_face_of_another_session(
    live: Drawing, figure: Figure, session: SimpleNamespace
) -> None:
    edit = reenactment(live, figure, session, with_face(session, "laugh"))
    check(edit, live, 0.01, 0.25)
    mouth = PART_NAMES.index("mouth")
    assert (edit.drawing.parts == mouth).sum() > (live.parts == mouth).sum()
    same = reenactment(live, figure, session, session)
    assert same.mask.max() == 0


@pytest.mark.parametrize("sound", VISEMES)
def test_talking_changes_the_lower_face(
    live: Drawing, figure: Figure, session: SimpleNamespace, sound: str
) -> None:
    edit = talking(live, figure, session, sound)
    check(edit, live, 0.002, 0.2)
    assert edit.mask[live.canonical[1] > 0.0].max() < 0.02


def test_an_unknown_sound_is_refused(
    live: Drawing, figure: Figure, session: SimpleNamespace
) -> None:
    with pytest.raises(ValueError, match="no face 'ZZ'; expected one of: neutral"):
        talking(live, figure, session, "ZZ")


@pytest.mark.parametrize("changes", [{"age": 79.0}, {"sex": 0.5}, {"makeup": 1.0}])
def test_attributes_change_the_head_and_not_the_place(
    live: Drawing, figure: Figure, session: SimpleNamespace, changes: dict
) -> None:
    edit = attribute(live, figure, session, changes)
    check(edit, live, 0.05, 0.5)
    background = live.parts == PART_NAMES.index("background")
    assert edit.mask[background].mean() < 0.06


def test_hair_moves_with_the_scalp(other_figure: Figure) -> None:
    older = changed_figure(other_figure, {"age": 80.0})
    moved = np.abs(older.hair.place - other_figure.hair.place)
    assert 0 < moved.mean() < 0.2
    assert len(older.hair.tint) == len(other_figure.hair.tint)


def test_unknown_attributes_and_ages_are_refused(figure: Figure) -> None:
    with pytest.raises(ValueError, match="a person has no 'height'; it has: seed"):
        changed_figure(figure, {"height": 1})
    with pytest.raises(ValueError, match="age is 5; expected 20 to 80 years"):
        changed_figure(figure, {"age": 5})


def test_in_painters_fill_a_patch_of_the_face(live: Drawing) -> None:
    mask = patch(live, 0.0, -0.3, 0.2)
    assert 0.001 < mask.mean() < 0.1
    edit = redrawn(live, mask, np.zeros_like(live.radiance))
    check(edit, live, 0.001, 0.1)
    assert edit.radiance[:, mask == 1].max() == 0


@pytest.mark.parametrize("material", MATERIALS)
def test_worn_masks_cover_the_face_but_not_the_eyes(
    live: Drawing,
    figure: Figure,
    other_figure: Figure,
    session: SimpleNamespace,
    material: str,
) -> None:
    mask = WornMask(material)
    masked = draw(masked_figure(figure, other_figure, mask), session, SIZE)
    region = mask_region(masked, mask)
    assert 0.02 < region.mean() < 0.25
    assert masked.face_mask[region == 1].min() > 0.5
    assert region[masked.parts == PART_NAMES.index("eye")].max(initial=0) == 0
    assert (masked.parts == PART_NAMES.index("eye")).any()


def test_worn_masks_are_rigid(
    figure: Figure, other_figure: Figure, session: SimpleNamespace
) -> None:
    masked = masked_figure(figure, other_figure, WornMask("plastic", mouth=False))
    calm, laughing = (
        draw(masked, with_face(session, name), SIZE).scene for name in ("neutral", "laugh")
    )
    stiff = masked.stiff > 0.99
    assert stiff.sum() > 200
    shift = np.abs(laughing.neutral - calm.neutral)[: len(stiff)][stiff]
    assert np.quantile(shift, 0.9) < 0.01


def test_masks_of_unknown_material_are_refused() -> None:
    with pytest.raises(ValueError, match="no material 'steel'; expected one of: paper"):
        WornMask("steel")
