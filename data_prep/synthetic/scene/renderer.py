"""The renderer: linear light of a person in a session, in layers from back to front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.fields import in_chunks
from data_prep.synthetic.noise import SKIN, blend, gray, noise, smoothstep
from data_prep.synthetic.people import face_parts as parts
from data_prep.synthetic.people.body import clothes, ears, neck
from data_prep.synthetic.people.canvas import Canvas, make_canvas
from data_prep.synthetic.people.eyes import paint_eyes
from data_prep.synthetic.people.geometry import (
    Landmarks,
    Surface,
    View,
    find_landmarks,
    head_surface,
    make_view,
)
from data_prep.synthetic.people.hair import Layer, hair_curtain, hair_shell
from data_prep.synthetic.people.identity import Identities
from data_prep.synthetic.people.mouth import paint_mouth
from data_prep.synthetic.people.session import Sessions
from data_prep.synthetic.people.shading import shade
from data_prep.synthetic.people.worn_mask import Masks, mask_layer
from data_prep.synthetic.scene.background import paint_background

RENDER_SIZE = 144
_FARTHEST_OUTLINE = 0.05
_CLOSEST_NOSE = 1.15
"""Depths of the outline and of a long nose, which become 0.1 and 1 in the depth map."""


@dataclass(frozen=True)
class Rendering:
    """Images and maps, all (b, ., size, size) float32."""

    radiance: Tensor
    """Linear RGB of 0 or more, (b, 3, size, size)."""
    canonical: Tensor
    """Position on the face (x right, y up, in half head heights), (b, 2, size, size).

    Continues smoothly outside the face, where it has no meaning.
    """
    face_mask: Tensor
    """Share of the pixel that is face, including beard and glasses, 0 to 1."""
    depth: Tensor
    """0 outside the face, from 0.1 (outline) to 1 (tip of a long nose) inside."""


def render(
    identities: Identities,
    sessions: Sessions,
    size: int = RENDER_SIZE,
    worn: tuple[Identities, Masks] | None = None,
    device: torch.device | str = "cpu",
    chunk: int | None = None,
) -> Rendering:
    """Draw row i of ``identities`` in row i of ``sessions``.

    ``worn`` puts masks on them: the faces that the masks copy (see ``fit_to_wearer``) and the
    masks, with a row for every row of ``identities``. The tables are on the CPU; the images are
    drawn on ``device`` and stay there.

    ``chunk`` rows are drawn at once; None chooses for the device (see ``in_chunks``). An image does
    not depend on its neighbors. On a CPU, its bits do not depend on the chunk either if ``size`` is
    a multiple of 4 (otherwise the rest of a processor's vectors is rounded differently).

    Raises:
        ValueError: If the tables are empty or of different lengths, or ``chunk`` is less than 1.
    """
    if not len(identities):
        raise ValueError("no identities to draw: expected at least one row")
    if len(identities) != len(sessions):
        raise ValueError(
            f"{len(identities)} identities and {len(sessions)} sessions: expected equal numbers; "
            "repeat the identities with .repeat(pictures_per_person)"
        )
    if worn is not None and not len(worn[0]) == len(worn[1]) == len(identities):
        raise ValueError(
            f"{len(worn[0])} faces and {len(worn[1])} masks for {len(identities)} wearers: "
            "expected equal numbers"
        )
    tables = (identities, sessions, *(worn or ()))
    device = torch.device(device)
    drawn = []
    with device:
        for rows in in_chunks(len(identities), device, chunk):
            drawn.append(_draw(size, *(table.for_drawing(rows, device) for table in tables)))
    return Rendering(*(_stack(maps) for maps in zip(*drawn, strict=True)))


def _stack(chunks: Sequence[Tensor]) -> Tensor:
    """Concatenate chunks (b, c, h, w), or (c, h, w) for one row, to (n, c, h, w)."""
    return torch.cat([maps.reshape(-1, *maps.shape[-3:]) for maps in chunks])


def _draw(
    size: int,
    person: SimpleNamespace,
    session: SimpleNamespace,
    face: SimpleNamespace | None = None,
    worn: SimpleNamespace | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw radiance, canonical coordinates, face mask, and depth of one row or of a batch."""
    view = make_view(session, size)
    marks = find_landmarks(person, session)
    surface = head_surface(view, person, marks)
    face_alpha = smoothstep(0.03, 0.10, surface.inside)
    hair = hair_shell(view, surface, person, session)
    curtain = hair_curtain(view, person, session)

    picture = paint_background(view, session)
    picture = _over(picture, curtain)
    picture = _over(picture, neck(view, person, session))
    for ear in ears(view, person, session):
        picture = _over(picture, ear)
    picture = _over(picture, clothes(view, person, session))
    picture = _over(picture, _front_of(curtain, view))
    picture = _over(picture, (_lit_face(surface, person, session, marks, hair), face_alpha))
    picture = _over(picture, hair)

    mask = face_alpha if hair is None else face_alpha * (1 - hair[1])
    depth = mask * _closeness(surface)
    if worn is not None:
        front = mask_layer(view, face, worn, session)
        picture = blend(picture * gray(front.shadow), front.color, front.alpha)
        mask = torch.lerp(mask, torch.ones_like(mask), front.alpha)
        depth = torch.lerp(depth, _closeness(front.surface), front.alpha)
    radiance = picture.clamp(min=0) * session.exposure
    return radiance, torch.stack([surface.x, surface.y], dim=-3), gray(mask), gray(depth)


def _closeness(surface: Surface) -> Tensor:
    """Return depth for the map: 0.1 at the outline, 1 at the tip of a long nose."""
    closeness = (surface.depth - _FARTHEST_OUTLINE) / (_CLOSEST_NOSE - _FARTHEST_OUTLINE)
    return 0.1 + 0.9 * closeness.clamp(0, 1)


def _over(picture: Tensor, layer: Layer | None) -> Tensor:
    return picture if layer is None else blend(picture, *layer)


def _front_of(curtain: Layer | None, view: View) -> Layer | None:
    """Return the part of long hair that falls in front of the shoulders."""
    if curtain is None:
        return None
    color, alpha = curtain
    return color, alpha * smoothstep(0.48, 0.58, view.x.abs())


def _lit_face(
    surface: Surface,
    person: SimpleNamespace,
    session: SimpleNamespace,
    marks: Landmarks,
    hair: Layer | None,
) -> Tensor:
    """Paint and light the face, linear RGB (..., 3, size, size)."""
    canvas = make_canvas(surface, person)
    albedo = parts.paint_skin(canvas, person, marks)
    albedo = parts.paint_brows(albedo, canvas, person, session)
    eyes = paint_eyes(albedo, canvas, person, session)
    mouth = paint_mouth(eyes.albedo, canvas, person, marks)
    albedo = parts.paint_nose(mouth.albedo, canvas, person, marks)
    albedo, beard = parts.paint_beard(albedo, canvas, person, marks, mouth)
    albedo, glare = parts.paint_glasses(albedo, canvas, person)

    lips = mouth.lower_lip + 0.4 * mouth.upper_lip
    specular = session.shine * parts.shine_map(canvas, person, marks) * (1 - 0.8 * beard)
    specular = specular + 0.30 * lips * (0.3 + person.makeup)
    lit = shade(_skin_normals(surface, canvas, person), albedo, session, specular, gloss=14.0)
    contour = 0.70 + 0.30 * smoothstep(0.0, 0.22, surface.inside)
    lit = lit * gray(parts.occlusion(canvas, person, marks))
    if hair is not None:
        lit = lit * gray(_hair_shadow(hair))
    return lit * gray(contour) + gray(0.6 * eyes.glint + glare) * session.key


def _skin_normals(surface: Surface, canvas: Canvas, person: SimpleNamespace) -> Tensor:
    """Return normals with the fine relief of skin, which grows with age."""
    ox, oy = canvas.offset
    relief = torch.stack(
        [
            canvas.grain,
            noise(SKIN, 0.9 * canvas.y + ox, 0.9 * canvas.x - oy),
            torch.zeros_like(canvas.x),
        ],
        dim=-3,
    )
    return F.normalize(surface.normal + 0.03 * (0.4 + person.age) * relief, dim=-3)


def _hair_shadow(hair: Layer) -> Tensor:
    """Return hair's shadow on the skin below, from a blurred, lowered copy of its alpha."""
    alpha = gray(hair[1])
    size = alpha.shape[-1]
    reach = max(size // 36, 1) * 2 + 1
    lowered = F.pad(alpha, (0, 0, reach // 2, 0))[..., :size, :]
    soft = F.avg_pool2d(lowered, reach, stride=1, padding=reach // 2, count_include_pad=False)
    return 1 - 0.5 * soft.squeeze(-3)


__all__ = ["RENDER_SIZE", "Rendering", "render"]
