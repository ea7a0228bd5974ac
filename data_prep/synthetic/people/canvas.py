"""Face coordinates and a person's own noise, which all parts of the face use."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from data_prep.synthetic.noise import BLOTCHES, FINE, SKIN, noise
from data_prep.synthetic.people.geometry import Surface
from data_prep.synthetic.row_numbers import Number


@dataclass(frozen=True)
class Canvas:
    """Coordinates on the face, their mirror image, and the person's noise."""

    x: Tensor
    y: Tensor
    ax: Tensor
    """|x|, because most parts are painted once for both sides."""
    side: Tensor
    """-1 on the left of the image, 1 on the right."""
    grain: Tensor
    blotches: Tensor
    pores: Tensor
    strokes: Tensor
    """Fine noise stretched along hairs."""
    offset: tuple[Number, Number]


def make_canvas(surface: Surface, person: SimpleNamespace) -> Canvas:
    """Prepare the canvas of a face, maps (..., h, w); the noise depends only on the person."""
    x, y = surface.x, surface.y
    ox, oy = person.texture_offset.tolist()
    return Canvas(
        x=x,
        y=y,
        ax=x.abs(),
        side=torch.sign(x),
        grain=noise(SKIN, 0.9 * x + ox, 0.9 * y + oy),
        blotches=noise(BLOTCHES, 0.5 * x + oy, 0.5 * y + ox),
        pores=noise(FINE, 0.55 * x + ox, 0.55 * y + oy),
        strokes=noise(FINE, 0.5 * x + 0.25 * y + ox, 0.18 * y + oy),
        offset=(ox, oy),
    )
