"""Edits of a face on its true geometry, each with the exact mask of what it changed.

An edit draws the scene again with something else in it and lays the changed region over the
first image, as deepfake tools do: where the mask is 0, the image is the first one's to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.atlas import canvas
from data_prep.synthetic.heads.draw import Drawing, draw
from data_prep.synthetic.heads.expression import FACES
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.hair import facial_hair
from data_prep.synthetic.heads.mesh import TORSO, load_head
from data_prep.synthetic.heads.people import OLDEST, YOUNGEST
from data_prep.synthetic.heads.scene import PIECE, Scene
from data_prep.synthetic.heads.session import FACE_NAMES
from data_prep.synthetic.heads.shape import person_shape, template
from data_prep.synthetic.heads.skin import paint_skin
from data_prep.synthetic.heads.steady import blur, smoothstep
from data_prep.synthetic.heads.strand import HAIR

Array = np.ndarray
_MATCHED = 0.85
"""How far a swapped face takes on the color of the skin around it."""
_STILL, _MOVED = 0.004, 0.03
"""Motion in decimeters below which skin counts as unchanged, and above which as changed."""


@dataclass(frozen=True)
class Edit:
    """An edited image."""

    radiance: Array
    """Linear RGB, (3, size, size)."""
    mask: Array
    """Share of the edit in each pixel, (size, size) from 0 to 1."""
    drawing: Drawing
    """The scene that was laid over the first image."""


def face_swap(live: Drawing, target: Figure, source: Figure, session: SimpleNamespace) -> Edit:
    """Put the inner face of ``source`` on ``target``, matched in size and color.

    Args:
        live: the target in the session, as ``draw`` gave it.
        target, source: two figures.
        session: the row that ``live`` was drawn in.
    """
    size = live.scene.view.size
    swapped = draw(swapped_figure(target, source), session, size, live.gain)
    inner = load_head().subdivide @ inner_face(template().T)
    mask = _seen_share(swapped, inner, bodies=False)
    return _laid_over(live, swapped, mask)


def swapped_figure(target: Figure, source: Figure, matched: bool = True) -> Figure:
    """A figure with another's inner face, brows, and beard.

    Args:
        target: gives the head, the hair, and what is worn.
        source: gives the inner face.
        matched: whether its color is matched to the target's.
    """
    share = inner_face(template().T)
    share[load_head().vertex_part > 0] = 1  # eyes, teeth, and tongue belong to the inner face
    fitted = _fit(source.shape, target.shape, share)
    shape = target.shape + share[:, None] * (fitted - target.shape)
    inner = inner_face(canvas().place)[..., None]
    painted = source.texture.copy()
    if matched:
        painted[..., :3] *= _color_gain(source.texture, target.texture)
    texture = target.texture + inner * (painted - target.texture)
    taken = ("iris", "brow_color", "brow_width", "beard", "beard_length", "makeup")
    other = {name: getattr(source.person, name) for name in taken}
    person = SimpleNamespace(**vars(target.person) | other)
    hair = target.hair.chosen(np.nonzero(target.hair.kind == HAIR)[0])
    hair = hair.with_others(facial_hair(person, shape, target.detail))
    return target.replace(person=person, shape=shape, texture=texture, hair=hair)


def inner_face(places: Array) -> Array:
    """Share of the inner face at template places (3, ...): an ellipse from brows to chin."""
    x, y = places[0] / 0.56, (places[1] - 6.98) / 0.72
    ellipse = smoothstep(1.25, 0.75, x * x + y * y)
    return (ellipse * smoothstep(0.5, 0.9, places[2])).astype(np.float32)


def _fit(source: Array, target: Array, share: Array) -> Array:
    """Vertices of the source scaled and moved so that the seam meets the target's.

    All heads look forward and have their eyes in one place, so no turn is needed.
    """
    seam = (share > 0.05) & (share < 0.95)
    ours, theirs = (shape[seam].astype(np.float64) for shape in (source, target))
    middle, aim = ours.mean(axis=0), theirs.mean(axis=0)
    spread, wanted = (((v - m) ** 2).sum() for v, m in ((ours, middle), (theirs, aim)))
    return ((source - middle) * np.sqrt(wanted / spread) + aim).astype(np.float32)


def _color_gain(source: Array, target: Array) -> Array:
    """Factors on the source's colors, (3,), that bring its mean close to the target's."""
    inner = inner_face(canvas().place) > 0.5
    ours, theirs = (texture[inner][:, :3].mean(axis=0) for texture in (source, target))
    return np.array(
        [float(b / a) ** _MATCHED for a, b in zip(ours, theirs, strict=True)], np.float32
    )


def reenactment(
    live: Drawing, figure: Figure, session: SimpleNamespace, other: SimpleNamespace
) -> Edit:
    """Give the face the facial actions of another session; pose and gaze stay."""
    names = ("face", "face_strength", "blink", "small_actions")
    moved = {name: getattr(other, name) for name in names}
    return _moved(live, figure, SimpleNamespace(**vars(session) | moved))


def talking(
    live: Drawing, figure: Figure, session: SimpleNamespace, sound: str, strength: float = 1.0
) -> Edit:
    """Let the mouth say a sound: one of ``expression.VISEMES``.

    Raises:
        ValueError: If there is no such face.
    """
    if sound not in FACES:
        raise ValueError(f"no face {sound!r}; expected one of: {', '.join(FACES)}")
    said = {"face": FACE_NAMES.index(sound), "face_strength": strength}
    mouth = smoothstep(7.15, 6.95, template()[:, 1])
    return _moved(live, figure, SimpleNamespace(**vars(session) | said), mouth)


def _moved(
    live: Drawing, figure: Figure, session: SimpleNamespace, allowed: Array | None = None
) -> Edit:
    """Draw another expression, and lay over what moved, or what of it is allowed to."""
    drawing = draw(figure, session, live.scene.view.size, live.gain)
    shift = drawing.scene.neutral - live.scene.neutral
    motion = np.sqrt((shift * shift).sum(axis=1))
    share = smoothstep(_STILL, _MOVED, motion)
    if allowed is not None:
        share = share * (load_head().subdivide @ allowed)
    mask = np.maximum(_seen_share(live, share), _seen_share(drawing, share))
    return _laid_over(live, drawing, blur(np.maximum(mask, blur(mask))))


def attribute(
    live: Drawing, figure: Figure, session: SimpleNamespace, changes: Mapping[str, object]
) -> Edit:
    """Change numbers of the person that the head shows, such as ``age`` or ``sex``.

    Raises:
        ValueError: If a person has no such number, or the age is out of range.
    """
    drawing = draw(changed_figure(figure, changes), session, live.scene.view.size, live.gain)
    everywhere = np.ones(len(figure.fine), np.float32)
    both = [_seen_share(image, everywhere, bodies=False) for image in (live, drawing)]
    return _laid_over(live, drawing, blur(np.maximum(*both)))


def changed_figure(figure: Figure, changes: Mapping[str, object]) -> Figure:
    """A figure whose person has other numbers; its hair stays and moves with the scalp."""
    unknown = sorted(set(changes) - set(vars(figure.person)))
    if unknown:
        known = ", ".join(vars(figure.person))
        raise ValueError(f"a person has no {unknown[0]!r}; it has: {known}")
    age = changes.get("age", figure.person.age)
    if not YOUNGEST <= age <= OLDEST:
        raise ValueError(f"age is {age}; expected {YOUNGEST} to {OLDEST} years")
    person = SimpleNamespace(**vars(figure.person) | dict(changes))
    shape = person_shape(person)
    shift = load_head().subdivide @ (shape - figure.shape)
    hair = figure.hair
    place = hair.place + shift[hair.root].T
    hair = type(hair)(**vars(hair) | {"place": place.astype(np.float32)})
    return figure.replace(person=person, shape=shape, texture=paint_skin(person), hair=hair)


def redrawn(live: Drawing, mask: Array, fill: Array) -> Edit:
    """Lay any image (3, size, size) over the live one, as in-painters and GANs do.

    Args:
        live: the image to change.
        mask: share of the fill, (size, size); ones replace the whole image.
        fill: linear RGB.
    """
    radiance = live.radiance + (fill - live.radiance) * mask
    return Edit(np.where(mask > 0, radiance, live.radiance), mask, live)


def patch(live: Drawing, x: float, y: float, radius: float) -> Array:
    """A soft round region of the face, (size, size): canonical place and radius (half heads)."""
    right, up = live.canonical[0] - x, live.canonical[1] - y
    return (
        smoothstep(radius * 1.1, radius * 0.85, np.sqrt(right * right + up * up)) * live.face_mask
    )


def _seen_share(drawing: Drawing, share: Array, bodies: bool = True) -> Array:
    """A share of fine vertices as a map (size, size), without what hair of the head covers."""
    scene: Scene = drawing.scene
    values = scene.fine_per_hit(share.astype(np.float32))
    left_out = (PIECE,) if bodies else (PIECE, TORSO)
    values = np.where(np.isin(scene.kind, left_out), 0, values)
    return scene.image(values) * (1 - drawing.hair)


def _laid_over(live: Drawing, drawing: Drawing, mask: Array) -> Edit:
    mask = np.clip(mask, 0, 1).astype(np.float32)
    radiance = live.radiance + (drawing.radiance - live.radiance) * mask
    return Edit(radiance, mask, drawing)
