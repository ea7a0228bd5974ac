"""Masks that people wear: rigid shells of another person's face, with holes for eyes and mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.heads.atlas import canvas
from data_prep.synthetic.heads.draw import Drawing
from data_prep.synthetic.heads.edits import inner_face, swapped_figure
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.mesh import load_head
from data_prep.synthetic.heads.shape import template
from data_prep.synthetic.heads.skin import GLOSS, RELIEF
from data_prep.synthetic.heads.steady import bell, linear, smoothstep
from data_prep.synthetic.heads.strand import HAIR

Array = np.ndarray
MATERIALS = ("paper", "plastic", "silicone")


@dataclass(frozen=True)
class _Material:
    pale: float
    """How far painted colors fade toward the material's own."""
    color: Array
    gloss: float
    smooth: float
    """Share of the skin's relief that is lost."""


_OF = {
    "paper": _Material(0.30, linear(218, 212, 200), 0.02, 0.7),
    "plastic": _Material(0.22, linear(206, 190, 176), 1.6, 1.0),
    "silicone": _Material(0.12, linear(200, 172, 156), 0.7, 0.8),
}
_EDGE = 0.45
"""Share of the inner face at which the shell ends."""


@dataclass(frozen=True)
class WornMask:
    """What a mask is like.

    Args:
        material: one of MATERIALS.
        artificial: 0 (like skin) to 1 (plain material).
        hole: size of the holes for the eyes against the usual one.
        offset: distance from the wearer's skin in decimeters.
        mouth: whether the mouth is cut out.
    """

    material: str
    artificial: float = 0.6
    hole: float = 1.0
    offset: float = 0.05
    mouth: bool = True

    def __post_init__(self) -> None:
        if self.material not in MATERIALS:
            raise ValueError(
                f"no material {self.material!r}; expected one of: {', '.join(MATERIALS)}"
            )


def masked_figure(wearer: Figure, face: Figure, mask: WornMask) -> Figure:
    """A wearer whose face is behind a rigid mask of another face.

    The shell keeps the other's neutral expression whatever the wearer does; eyes, and the mouth
    where it is cut out, stay the wearer's.
    """
    head, places = load_head(), template().T
    copied = swapped_figure(wearer, face, matched=False)
    covered = _shell(places, mask) * (head.vertex_part == 0)
    outward = head.normals(copied.fine)[:, : len(head.vertices)].T
    shell = copied.shape + mask.offset * outward
    shape = np.where(covered[:, None] > 0.5, shell, wearer.shape).astype(np.float32)
    on_atlas = _shell(canvas().place, mask)
    texture = wearer.texture + on_atlas[..., None] * (_painted(face, mask) - wearer.texture)
    rim = smoothstep(0.0, 0.5, on_atlas) * smoothstep(1.0, 0.5, on_atlas)
    texture[..., :3] *= 1 - 0.5 * rim[..., None]
    return wearer.replace(
        shape=shape,
        texture=texture.astype(np.float32),
        hair=wearer.hair.chosen(np.nonzero(wearer.hair.kind == HAIR)[0]),
        stiff=covered,
        waxy=(on_atlas * mask.artificial).astype(np.float32),
    )


def mask_region(drawing: Drawing, mask: WornMask) -> Array:
    """Where a drawing of a masked figure shows the mask, (size, size) from 0 to 1."""
    shell = load_head().subdivide @ _shell(template().T, mask)
    scene = drawing.scene
    values = np.where(scene.kind == 0, scene.fine_per_hit(shell), 0)
    return scene.image(values) * (1 - drawing.hair)


def _shell(places: Array, mask: WornMask) -> Array:
    """1 on the mask at template places (3, ...), 0 off it and in its holes."""
    x, y = np.abs(places[0]), places[1]
    face = smoothstep(_EDGE - 0.06, _EDGE + 0.06, inner_face(places))
    across, up = (x - 0.31) / (0.19 * mask.hole), (y - 7.28) / (0.085 * mask.hole)
    eyes = bell(across * across) * bell(up * up)
    shell = face * smoothstep(0.46, 0.34, eyes)
    if mask.mouth:
        lips = bell((x / 0.17) ** 2) * bell(((y - 6.668) / 0.02) ** 2)
        shell = shell * smoothstep(0.56, 0.44, lips)
    return shell.astype(np.float32)


def _painted(face: Figure, mask: WornMask) -> Array:
    """The copied face as the material shows it, (height, width, 5)."""
    material, share = _OF[mask.material], mask.artificial
    texture = face.texture.copy()
    color = texture[..., :3]
    texture[..., :3] = color + (material.color - color) * material.pale * share
    texture[..., RELIEF] *= 1 - material.smooth * share
    texture[..., GLOSS] += (material.gloss - texture[..., GLOSS]) * share
    return texture
